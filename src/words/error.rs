//! What went wrong: a kind for the program, a sentence for the person.

use std::fmt;

/// The closed list of troubles that the program acts on. Exit codes follow from it in `exit.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line asks for something that does not exist.
    Usage,
    /// The configuration is wrong, or something that it names is missing.
    Configuration,
    /// The feed arrived, but it is not a complete calendar.
    Feed,
    /// A feed or a server did not answer, or answered that it cannot now.
    Unavailable,
    /// Authentication failed, of us or of the server by its certificate, rights are missing, or a secret file is open to
    /// others.
    Refused,
    /// The server does not speak CalDAV.
    NotCaldav,
    /// The calendar, folder or feed is not there.
    Missing,
    /// The state file or the disk failed.
    State,
    /// The last run was killed before it ended.
    Killed,
    /// Another run works on the same subscription or target.
    Locked,
    /// The run was asked to stop.
    Stopped,
    /// A fault of the program itself.
    Internal,
}

impl Kind {
    /// The word for this kind in JSON and in the state file.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Configuration => "configuration",
            Kind::Feed => "feed",
            Kind::Unavailable => "unavailable",
            Kind::Refused => "refused",
            Kind::NotCaldav => "not_caldav",
            Kind::Missing => "missing",
            Kind::State => "state",
            Kind::Killed => "killed",
            Kind::Locked => "locked",
            Kind::Stopped => "stopped",
            Kind::Internal => "internal",
        }
    }

    /// The kind of a word that `as_str` gave.
    pub fn from_word(word: &str) -> Option<Kind> {
        const ALL: [Kind; 12] = [
            Kind::Usage,
            Kind::Configuration,
            Kind::Feed,
            Kind::Unavailable,
            Kind::Refused,
            Kind::NotCaldav,
            Kind::Missing,
            Kind::State,
            Kind::Killed,
            Kind::Locked,
            Kind::Stopped,
            Kind::Internal,
        ];
        ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether waiting may mend it without a person.
    pub fn is_temporary(self) -> bool {
        matches!(self, Kind::Feed | Kind::Unavailable | Kind::Killed | Kind::Locked | Kind::Stopped)
    }
}

/// An error as it is attached at the edge where the failure happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For the program.
    pub kind: Kind,
    /// For the person: what happened and what to do, one sentence without the name of the subscription.
    pub message: String,
    /// How long the server asked us to stay away, in seconds.
    pub retry_after: Option<u64>,
    /// No answer came within the time-out.
    pub hung: bool,
}

impl Fault {
    /// A fault of which the server said nothing more.
    pub fn new(kind: Kind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into(), retry_after: None, hung: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// An error of this kind with this sentence.
pub fn fault(kind: Kind, message: impl Into<String>) -> anyhow::Error {
    Fault::new(kind, message).into()
}

/// Gives the errors of a library a kind and a sentence; the library's own words follow after a colon.
pub trait OrFault<T> {
    /// `message` says what was being done and to what.
    fn or_fault(self, kind: Kind, message: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: fmt::Display> OrFault<T> for Result<T, E> {
    fn or_fault(self, kind: Kind, message: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| fault(kind, format!("{}: {error}", message())))
    }
}

/// The fault that was attached to an error, with the whole sentence; without one it is a fault of the program.
pub fn fault_of(error: &anyhow::Error) -> Fault {
    let fault = error.downcast_ref::<Fault>();
    Fault { message: sentence(error), ..fault.cloned().unwrap_or_else(|| Fault::new(Kind::Internal, String::new())) }
}

/// The kind that was attached to an error; without one it is a fault of the program.
pub fn kind_of(error: &anyhow::Error) -> Kind {
    error.downcast_ref::<Fault>().map_or(Kind::Internal, |fault| fault.kind)
}

/// The whole chain of an error as one line.
pub fn sentence(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_kind_is_found_through_later_context() {
        let error = Err::<(), _>(fault(Kind::Refused, "401 for GET")).context("subscription work").unwrap_err();
        assert_eq!((kind_of(&error), sentence(&error).as_str()), (Kind::Refused, "subscription work: 401 for GET"));
    }

    #[test]
    fn every_kind_comes_back_from_its_word() {
        for kind in [Kind::Usage, Kind::Feed, Kind::Missing, Kind::Internal, Kind::Stopped, Kind::Locked] {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
    }
}
