//! A feed over http(s).
