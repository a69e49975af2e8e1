//! A CalDAV calendar as a collection.
