//! `completions SHELL`: the completion script of a shell, generated from the command line's definition. The only file
//! that names the crate `clap_complete`.

use clap_complete::generate;

use crate::cli::{self, Shell};

/// The script for a shell.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let generator = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::PowerShell => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    let mut script = Vec::new();
    generate(generator, &mut cli::command(), "baikal-sync", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_the_commands_and_their_flags_in_its_own_language() {
        for (shell, own) in [
            (Shell::Bash, "complete -F"),
            (Shell::Elvish, "set edit:completion"),
            (Shell::Fish, "complete -c baikal-sync"),
            (Shell::PowerShell, "Register-ArgumentCompleter"),
            (Shell::Zsh, "#compdef baikal-sync"),
        ] {
            let script = String::from_utf8(completions(shell)).unwrap();
            for part in [own, "calendars", "allow-deletes"] {
                assert!(script.contains(part), "{shell:?}: {part}");
            }
        }
    }
}
