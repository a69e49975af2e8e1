//! `completions SHELL`: the completion script of a shell, made from the command line's definition.

use clap_complete::{Shell, generate};

use crate::cli;

/// The script for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut cli::command(), "baikal-sync", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_the_commands_and_their_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = String::from_utf8(completions(shell)).unwrap();
            assert!(script.contains("calendars") && script.contains("allow-deletes"), "{shell}");
        }
    }
}
