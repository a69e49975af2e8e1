//! A folder of .ics files as a collection.
