//! The program: hands its arguments to the library and exits with what comes back.

fn main() {}
