//! A feed in a file or on standard input.
