//! Commands to copy and paste: they include the flags needed to use the same configuration and state.

/// What a command needs to use the configuration and state of the run that prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// `--profile`: the program runs as a systemd unit of this instance.
    pub profile: Option<String>,
    /// `--config`, as an absolute path.
    pub config: Option<String>,
    /// `--state`, as an absolute path.
    pub state: Option<String>,
}

impl Advice {
    /// The command with these words after its flags.
    pub fn command(&self, words: &[&str]) -> String {
        let flags = [("-p", &self.profile), ("--config", &self.config), ("--state", &self.state)];
        let flags = flags.into_iter().filter_map(|(flag, value)| Some([flag, value.as_deref()?])).flatten();
        let words = std::iter::once("baikal-sync").chain(flags).chain(words.iter().copied());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// The command that runs a subscription now. A profile is run as its unit: another user could neither read its
    /// password nor write its state.
    pub fn run(&self, name: &str) -> String {
        match &self.profile {
            Some(profile) => format!("systemctl start {}", quoted(&format!("baikal-sync@{profile}"))),
            None => self.command(&["run", name]),
        }
    }

    /// The command that runs a subscription with a flag; `None` with a profile, whose unit takes no flags.
    pub fn run_with(&self, name: &str, flag: &str) -> Option<String> {
        self.profile.is_none().then(|| self.command(&["run", name, flag]))
    }
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_carries_the_flags_that_were_given() {
        let given = |text: &str| Some(text.to_owned());
        assert_eq!(Advice::default().command(&["approve", "work"]), "baikal-sync approve work");
        let files = Advice { config: given("/a b/c.toml"), state: given("/s.db"), profile: None };
        assert_eq!(files.command(&["retry"]), "baikal-sync --config '/a b/c.toml' --state /s.db retry");
        assert_eq!(files.run("work"), "baikal-sync --config '/a b/c.toml' --state /s.db run work");
    }

    #[test]
    fn a_profile_is_run_by_its_unit() {
        let advice = Advice { profile: Some("home".to_owned()), ..Advice::default() };
        assert_eq!(advice.command(&["approve", "work"]), "baikal-sync -p home approve work");
        assert_eq!(advice.run("work"), "systemctl start baikal-sync@home");
        assert_eq!(advice.run_with("work", "--force"), None);
    }

    #[test]
    fn a_word_with_a_quote_stays_one_word() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
