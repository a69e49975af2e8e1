//! The command line: commands and flags as plain data, with their help. Only this file and `commands/completions.rs`
//! name the crate `clap`.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::exit;
use crate::plan;

/// Mirror ICS feeds into CalDAV calendars.
///
/// Fetches every subscription that is due, writes just what changed to its calendar, remembers it and exits.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "baikal-sync", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const CONFIG_HELP: &str = "Configuration file [default: $BAIKAL_SYNC_CONFIG, ~/.config/baikal-sync/config.toml, \
                           /etc/baikal-sync/config.toml]";
const STATE_HELP: &str = "State file [default: $BAIKAL_SYNC_STATE, the key `state`, \
                          ~/.local/state/baikal-sync/state.db]";

const PROFILE_HELP: &str =
    "Use /etc/baikal-sync/NAME.toml and /var/lib/baikal-sync/NAME/state.db, as the systemd units do";

/// The name of a profile becomes part of a unit name and of a path.
fn profile_name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain);
    is_name.then(|| text.to_owned()).ok_or_else(|| "a profile is named by letters, digits and any of - _ .".to_owned())
}

/// The flags that every command takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// `--config`
    #[arg(short, long, global = true, value_name = "FILE", help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
    /// `--profile`
    #[arg(short, long, global = true, value_name = "NAME", help = PROFILE_HELP, conflicts_with = "config",
          value_parser = profile_name)]
    pub profile: Option<String>,
    /// `--state`
    #[arg(long, global = true, value_name = "FILE", help = STATE_HELP)]
    pub state: Option<PathBuf>,
    /// Say more; twice for every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say less; twice for nothing but results
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub quiet: u8,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[value(help = "On a terminal, unless NO_COLOR is set")]
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// A shell that completions can be made for.
#[expect(clippy::enum_variant_names, reason = "it is its name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Mirror every subscription that is due
    Run(Run),
    /// Show each subscription: last success, number of events, problems and what to do
    Status {
        /// Only these subscriptions
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Approve the deletions that are held now; the next run carries them out
    Approve {
        /// The subscription
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// End the waits: the next run tries again at once what failed or was refused
    Retry {
        /// Only these subscriptions
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Take a subscription out of the configuration; its events stay in the calendar
    Remove(Remove),
    /// Forget a subscription that the configuration does not have any more, or events that nobody has claimed
    Forget(Forget),
    /// Check configuration, permissions and secrets without asking any server
    Check,
    /// List the calendars that a server offers, with our rights on them
    Calendars {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        /// Ask this server of the configuration [default: the one of `[server]`]
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// The flags of `run`.
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Run {
    /// Only these subscriptions, due or not
    #[arg(value_name = "NAME", conflicts_with_all = ["source", "target"])]
    pub names: Vec<String>,
    /// Show what would be written, and write nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Run now, even if not due or waiting to retry; a named subscription also looks at its target
    #[arg(long)]
    pub force: bool,
    /// Trust nothing remembered: fetch anew, list everything, try rejected events again
    #[arg(long)]
    pub full: bool,
    /// Wait for another run that works on the same subscription or calendar
    #[arg(long)]
    pub wait: bool,
    /// Carry out every deletion of this run, held or not (see also `approve`)
    #[arg(long)]
    pub allow_deletes: bool,
    /// Take over events that stand in the calendar already: those that say the same or have a name as this program gives
    /// them; with `=all` whatever has a UID of the feed
    #[arg(long, value_name = "WHAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "ours")]
    pub take_over: Option<TakeOver>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Mirror just this feed: an address, a path, or - for standard input
    #[arg(long, requires = "target", value_parser = NonEmptyStringValueParser::new())]
    pub source: Option<String>,
    /// Where to: an address, a path or calendar name on the configured server, or dir:PATH
    #[arg(long, requires = "source", value_parser = NonEmptyStringValueParser::new())]
    pub target: Option<String>,
}

/// The flags of `remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Remove {
    /// The subscription
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Delete its events from the calendar too, but for those that somebody edited
    #[arg(long)]
    pub delete_events: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// The flags of `forget`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct Forget {
    /// The subscription
    #[arg(value_name = "NAME", required_unless_present = "prefix", conflicts_with = "prefix")]
    pub name: Option<String>,
    /// Delete its events from the calendar too, but for those that somebody edited
    #[arg(long)]
    pub delete_events: bool,
    /// Delete the events under this prefix, which `status` lists as unclaimed
    #[arg(long, value_name = "PREFIX", conflicts_with = "delete_events")]
    pub prefix: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// What `--take-over` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TakeOver {
    /// What says the same, and what has a name of our shape.
    #[value(help = "What says the same as the feed, and what has a name as this program gives them")]
    Ours,
    /// Whatever has a UID of the feed.
    #[value(help = "Whatever has a UID of the feed")]
    All,
}

impl TakeOver {
    /// The equivalent for the plan.
    pub(crate) fn meant(self) -> plan::TakeOver {
        match self {
            TakeOver::Ours => plan::TakeOver::Ours,
            TakeOver::All => plan::TakeOver::All,
        }
    }
}

/// Why there is no [`Cli`]: help or version was requested, or the command line is wrong.
#[derive(Debug)]
pub(crate) struct Answer(clap::Error);

impl Answer {
    /// The exit code: 0 for help and version, 64 for a mistake.
    pub(crate) fn code(&self) -> u8 {
        match self.0.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit::SETTLED,
            _ => exit::USAGE,
        }
    }

    /// Prints the answer, to standard output or standard error as appropriate.
    pub(crate) fn print(&self) -> std::io::Result<()> {
        self.0.print()
    }
}

/// Reads a command line; the first argument is the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Answer> {
    let matches = command().try_get_matches_from(arguments).map_err(Answer)?;
    clap::FromArgMatches::from_arg_matches(&matches).map_err(Answer)
}

/// The clap definition, for parsing and for completions.
pub(crate) fn command() -> clap::Command {
    Cli::command().after_long_help(epilogue()).after_help("More, with examples and exit codes: --help")
}

const EXAMPLES: &str = "\
EXAMPLES:
  Mirror everything that is due, as a timer does:
      baikal-sync run
  See what one subscription would write:
      baikal-sync run work --dry-run
  Without a configuration file, into a folder:
      baikal-sync run --source https://example.org/holidays.ics --target dir:holidays
  Find the calendars that a target can name:
      baikal-sync calendars
  Let deletions through that were held back, once it is clear that they are meant:
      baikal-sync approve work
";

fn epilogue() -> String {
    let mut text = format!("{EXAMPLES}\nEXIT CODES:\n");
    for (code, meaning) in exit::TABLE {
        let _ = writeln!(text, "  {code:>3}  {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, Answer> {
        parse(line.split(' ').map(OsString::from))
    }

    fn refused(line: &str) -> (u8, String) {
        let answer = read(line).unwrap_err();
        (answer.code(), answer.0.to_string().lines().next().unwrap_or_default().to_owned())
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_of_run_is_read() {
        let flags = "baikal-sync run work home -n --force --full --wait --allow-deletes --json";
        let Command::Run(run) = read(flags).unwrap().command else { panic!("not run") };
        assert_eq!(run.names, ["work", "home"]);
        assert!(run.dry_run && run.force && run.full && run.wait && run.allow_deletes && run.json);
    }

    #[test]
    fn global_flags_stand_before_and_after_the_command() {
        let expected = Global {
            config: Some("c.toml".into()),
            profile: None,
            state: Some("s.db".into()),
            verbose: 2,
            quiet: 0,
            color: Color::Never,
        };
        for line in [
            "baikal-sync -c c.toml --state s.db -vv --color never status --json",
            "baikal-sync status --json --config c.toml --state s.db -v -v --color=never",
        ] {
            let cli = read(line).unwrap();
            let status = Command::Status { names: Vec::new(), json: true };
            assert_eq!((cli.global, cli.command), (expected.clone(), status), "{line}");
        }
    }

    #[test]
    fn the_other_commands_are_read() {
        assert_eq!(read("baikal-sync check").unwrap().command, Command::Check);
        let calendars = Command::Calendars { json: true, server: Some("office".to_owned()) };
        assert_eq!(read("baikal-sync calendars --json --server office").unwrap().command, calendars);
        let approve = Command::Approve { name: "work".to_owned() };
        assert_eq!(read("baikal-sync approve work").unwrap().command, approve);
        assert_eq!(read("baikal-sync retry").unwrap().command, Command::Retry { names: Vec::new() });
        let completions = Command::Completions { shell: Shell::Zsh };
        assert_eq!(read("baikal-sync completions zsh").unwrap().command, completions);
    }

    #[test]
    fn a_profile_is_a_name_and_excludes_a_file() {
        assert_eq!(read("baikal-sync -p home status").unwrap().global.profile.as_deref(), Some("home"));
        for line in ["baikal-sync -p ../x status", "baikal-sync -p .x status", "baikal-sync -p x -c y status"] {
            assert_eq!(refused(line).0, 64, "{line}");
        }
    }

    #[test]
    fn a_mistake_exits_with_64_and_help_with_0() {
        assert_eq!(refused("baikal-sync rum"), (64, "error: unrecognized subcommand 'rum'".to_owned()));
        assert_eq!(refused("baikal-sync run --sourc x").0, 64);
        assert_eq!(refused("baikal-sync").0, 64);
        assert_eq!((refused("baikal-sync --help").0, refused("baikal-sync --version").0), (0, 0));
    }

    #[test]
    fn source_and_target_come_together_and_without_names() {
        assert_eq!(refused("baikal-sync run --source a.ics").0, 64);
        assert_eq!(refused("baikal-sync run --target dir:x").0, 64);
        assert_eq!(refused("baikal-sync run work --source a.ics --target dir:x").0, 64);
        let Command::Run(run) = read("baikal-sync run --source - --target dir:x").unwrap().command else { panic!() };
        assert_eq!((run.source.as_deref(), run.target.as_deref()), (Some("-"), Some("dir:x")));
    }

    #[test]
    fn help_ends_with_examples_and_every_exit_code() {
        let help = read("baikal-sync --help").unwrap_err().0.to_string();
        let (_, end) = help.split_once("EXAMPLES:").unwrap();
        for (code, meaning) in exit::TABLE {
            assert!(end.contains(&format!("{code:>3}  {meaning}")), "{help}");
        }
    }
}
