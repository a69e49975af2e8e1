//! The live tests: the program against real servers, which `tests/live/servers/start` started. What the calendars hold
//! is judged by a reader that is not ours, and writes are counted on the wire. Without the servers the tests say so and
//! pass; under `CI=true` they fail.

// Clippy's `allow-unwrap-in-tests` does not reach the helpers of an integration test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The helpers of the other test binary follow its rules.
#![allow(clippy::format_push_string, clippy::format_collect, unreachable_pub, missing_docs)]

/// Convergence under every fault, on real servers.
mod converge;
/// The corpus of real feeds on real servers.
mod corpus;
/// Killed at any moment.
mod crash;
/// A home, a configuration, a state and the program itself.
#[path = "../it/env.rs"]
#[allow(dead_code)] // Shared with the other test binary, which uses other parts of it.
mod env;
/// The feed of these tests, and the ground on which the proxy stands.
#[path = "../it/fake/mod.rs"]
#[allow(dead_code)] // Shared with the other test binary, which uses other parts of it.
mod fake;
/// The corpus of real feeds, and what an independent reader says of the outcome.
#[path = "../it/judged.rs"]
#[allow(dead_code)] // Shared with the other test binary, which uses other parts of it.
mod judged;
/// A feed, a fresh calendar and the program between them.
mod mirror;
/// What stands between the program and a server and counts.
mod proxy;
/// What is tested, on every server.
mod scenarios;
/// A real server and the requests that a person would send by hand.
mod server;
/// What stories with chance in them are made of.
mod story;

/// Makes a module of tests for one server, of the scenarios in one module.
macro_rules! tests_on {
    ($module:ident, $name:literal, $scenarios:ident: $($scenario:ident),* $(,)?) => {
        mod $module {
            $(
                #[test]
                fn $scenario() {
                    crate::server::with($name, crate::$scenarios::$scenario);
                }
            )*
        }
    };
}

/// The scenarios of every server. Apart are those that need a login, which Xandikos has not, and those that need
/// scheduling, which only Xandikos has.
macro_rules! tests_on_all {
    ($($scenario:ident),* $(,)?) => {
        tests_on!(radicale, "RADICALE", scenarios: a_wrong_password_is_refused, $($scenario),*);
        tests_on!(sabre, "SABRE", scenarios: a_wrong_password_is_refused, $($scenario),*);
        tests_on!(xandikos, "XANDIKOS", scenarios: the_server_is_told_to_invite_nobody, $($scenario),*);
    };
}

tests_on_all!(
    the_whole_feed_arrives_and_a_second_pass_writes_nothing,
    what_churns_in_the_feed_is_not_written,
    only_what_changed_is_written_and_deletions_come_last,
    what_others_put_there_stays,
    an_edit_by_hand_is_undone_and_what_was_deleted_comes_back,
    a_calendar_that_was_made_anew_and_outgrew_the_old_one_is_filled_at_the_next_look,
    an_event_that_becomes_a_task_takes_its_place,
    a_lost_state_costs_no_write_and_no_duplicate,
    a_dry_run_writes_nothing,
    a_missing_calendar_is_told,
    a_missing_calendar_is_made_where_that_is_allowed,
    a_server_that_is_down_is_a_temporary_failure,
    a_thousand_events_arrive_and_twenty_changes_cost_twenty_writes,
);

/// The scenarios with chance in them.
macro_rules! crashes_on {
    ($($module:ident, $name:literal);*) => {
        $(tests_on!(
            $module, $name, crash:
            runs_that_are_killed_at_any_moment_are_made_up_for,
            a_server_that_goes_away_in_the_middle_and_comes_back_is_caught_up_with,
        );)*
    };
}

crashes_on!(radicale_crashes, "RADICALE"; sabre_crashes, "SABRE"; xandikos_crashes, "XANDIKOS");
tests_on!(folder_crashes, "RADICALE", crash: runs_into_a_folder_that_are_killed_at_any_moment_are_made_up_for);
tests_on!(radicale_stories, "RADICALE", converge: every_story_ends_with_the_feed_in_the_calendar_and_an_idle_pass);
tests_on!(sabre_stories, "SABRE", converge: every_story_ends_with_the_feed_in_the_calendar_and_an_idle_pass);
