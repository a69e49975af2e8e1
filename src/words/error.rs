//! Errors: a kind for the program, a message for the user.

use std::fmt;

/// The closed list of failures that the program distinguishes. `exit.rs` derives exit codes from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line asks for something that does not exist.
    Usage,
    /// The configuration is wrong, or something it refers to is missing.
    Configuration,
    /// The feed arrived, but it is not a complete calendar.
    Feed,
    /// A feed or server did not answer, or said that it is unavailable.
    Unavailable,
    /// Authentication failed, ours or that of the server by its certificate; permissions are missing; or a secret
    /// file is open to others.
    Refused,
    /// The server does not speak CalDAV.
    NotCaldav,
    /// The calendar, folder or feed does not exist.
    Missing,
    /// The state file or the disk failed.
    State,
    /// The last run was killed before it ended.
    Killed,
    /// Another run is working on the same subscription or target.
    Locked,
    /// The run was asked to stop.
    Stopped,
    /// A bug in the program.
    Internal,
}

impl Kind {
    /// The name of this kind in JSON and in the state file.
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

    /// Parses a name from `as_str`.
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

    /// Whether waiting may resolve it without a person.
    pub fn is_temporary(self) -> bool {
        matches!(self, Kind::Feed | Kind::Unavailable | Kind::Killed | Kind::Locked | Kind::Stopped)
    }
}

/// An error with the details attached where the failure happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// For the program.
    pub kind: Kind,
    /// For the user: what happened and what to do, in one sentence without the name of the subscription.
    pub message: String,
    /// How many seconds the server asked us to wait.
    pub retry_after: Option<u64>,
    /// No answer came before the time-out.
    pub hung: bool,
}

impl Fault {
    /// A fault without further information from the server.
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

/// An error of this kind with this message.
pub fn fault(kind: Kind, message: impl Into<String>) -> anyhow::Error {
    Fault::new(kind, message).into()
}

/// Adds a kind and a message to the errors of a library; the library's own message follows after a colon.
pub trait OrFault<T> {
    /// `message` describes what was being done and to what.
    fn or_fault(self, kind: Kind, message: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: fmt::Display> OrFault<T> for Result<T, E> {
    fn or_fault(self, kind: Kind, message: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| fault(kind, format!("{}: {error}", message())))
    }
}

/// The fault attached to an error, with the complete message; an error without one is a bug.
pub fn fault_of(error: &anyhow::Error) -> Fault {
    let fault = error.downcast_ref::<Fault>();
    Fault { message: sentence(error), ..fault.cloned().unwrap_or_else(|| Fault::new(Kind::Internal, String::new())) }
}

/// The kind attached to an error; an error without one is a bug.
pub fn kind_of(error: &anyhow::Error) -> Kind {
    error.downcast_ref::<Fault>().map_or(Kind::Internal, |fault| fault.kind)
}

/// The whole error chain as one line.
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
