//! The integration tests: the program as a whole against fakes, and what is promised in documents and by the layout.

// Clippy's `allow-unwrap-in-tests` does not reach the helpers of an integration test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The fakes write XML and headers; `format!` shows best what comes out.
#![allow(clippy::format_push_string, clippy::format_collect)]
// Tests are not an interface, and each helper serves several modules, not each module all helpers.
#![allow(unreachable_pub, missing_docs, clippy::missing_panics_doc)]

/// What a person answers between two runs.
mod answers;
/// What is overwritten or deleted.
mod aside;
/// People in events, and mail.
mod attendees;
/// After a failure the program stays away for a while.
mod backoff;
/// One failed write is one failed write.
mod blame;
/// Whose the events of a calendar are.
mod claims;
/// Convergence under every fault.
mod converge;
/// Every file of the corpus of real feeds.
mod corpus;
/// What can befall the state file.
mod crash;
/// What leaves the feed after it had ended.
mod deletes;
/// How a calendar is found.
mod discovery;
/// README, man pages and samples against the program.
mod docs;
/// What others do to our objects.
mod drift;
/// A home, a configuration, a state and the program itself; shared with the live tests, which use other parts of it.
#[allow(dead_code)]
mod env;
/// What goes wrong at the feed or the server.
mod failures;
/// Servers that can misbehave on command.
mod fake;
/// The fakes themselves, so that a test that passes proves something.
mod fake_tests;
/// A subscription is given up.
mod farewell;
/// When a feed is read at all.
mod feeds;
/// A folder as the target.
mod folder;
/// Deletions that look like an accident.
mod guards;
/// Feeds and servers that want to exhaust, mislead or spy.
mod hostile;
/// The corpus of real feeds, and what an independent reader says of the outcome; shared with the live tests.
mod judged;
/// What a server lists, leaves out, or does not tell.
mod listing;
/// The states of a record.
mod machine;
/// What is said, where, and to whom.
mod output;
/// Whose an object is.
mod ownership;
/// One bad event is one bad event.
mod rejects;
/// Passes on a healthy server.
mod run;
/// Passwords and private addresses are told nowhere.
mod secrets;
/// What most tests of whole passes begin with.
mod setting;
/// The state file in trouble.
mod state;
/// Stories with chance in them; shared with the live tests, which use other parts of it.
#[allow(dead_code)]
#[path = "../live/story.rs"]
mod story;
/// The house rules.
mod tidy;
/// Encrypted connections.
mod tls;
/// A pass says what is true.
mod truth;
/// Two runs at once, and runs that are stopped or killed.
mod two_at_once;
/// The systemd units.
mod units;
/// States of older versions.
mod upgrade;
