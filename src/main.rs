//! The program: hands its arguments to the library and exits with the code that comes back.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(baikal_sync::main(std::env::args_os()))
}
