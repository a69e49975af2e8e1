//! When an object takes place: time zones, recurrence rules, durations, the end of the last occurrence.

pub(in crate::ics) mod duration;
pub(in crate::ics) mod occurrence;
pub(in crate::ics) mod recurrence;
pub(in crate::ics) mod timezone;
