//! What is tested on every server: the promises of the program, seen from outside.

use crate::env::server;
use crate::mirror::{Mirror, changes, config, generated};
use crate::server::Server;

/// An object of somebody else.
pub(crate) const FOREIGN: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Somebody//Else//EN\r\nBEGIN:VEVENT\r\nUID:foreign-1\r\n\
                       DTSTAMP:20261120T090000Z\r\nDTSTART:20261201T090000Z\r\nDTEND:20261201T100000Z\r\nSUMMARY:Mine\r\n\
                       END:VEVENT\r\nEND:VCALENDAR\r\n";

pub(crate) fn the_whole_feed_arrives_and_a_second_pass_writes_nothing(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT"; 14]);
    mirror.holds_the_feed();
    mirror.run(&[]).exits(0);
    let asked = mirror.feed.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("if-none-match"), mirror.feed.serving().etag.as_deref());
    assert_eq!(mirror.writes(), [""; 0]);
}

pub(crate) fn what_churns_in_the_feed_is_not_written(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    mirror.serve("outlook-2-churned.ics");
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    mirror.holds_the_feed();
}

pub(crate) fn only_what_changed_is_written_and_deletions_come_last(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    mirror.serve("outlook-3-changed.ics");
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT"; 3]);
    mirror.holds_the_feed();
    mirror.serve("outlook-4-removed.ics");
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["DELETE"]);
    mirror.holds_the_feed();
    mirror.serve("outlook.ics");
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT", "PUT", "PUT", "DELETE"]);
    mirror.holds_the_feed();
}

pub(crate) fn what_others_put_there_stays(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.calendar.put("foreign-1.ics", FOREIGN);
    let before = mirror.calendar.get("foreign-1.ics");
    for feed in ["outlook.ics", "outlook-3-changed.ics", "outlook-4-removed.ics"] {
        mirror.serve(feed);
        mirror.run(&["--full"]).exits(0);
    }
    assert_eq!(mirror.calendar.get("foreign-1.ics"), before);
    mirror.calendar.delete("foreign-1.ics");
    mirror.holds_the_feed();
}

pub(crate) fn an_edit_by_hand_is_undone_and_what_was_deleted_comes_back(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    let edited = mirror.find("SUMMARY:Zahnarzt");
    let text = mirror.calendar.get(&edited).replace("SUMMARY:Zahnarzt", "SUMMARY:Abgesagt");
    mirror.calendar.put(&edited, &text);
    mirror.calendar.delete(&mirror.find("SUMMARY:Betriebsausflug"));
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT", "PUT"]);
    mirror.holds_the_feed();
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
}

/// sabre takes the sync-token that we remember for one of the new calendar.
pub(crate) fn a_calendar_that_was_made_anew_and_outgrew_the_old_one_is_filled_at_the_next_look(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    mirror.calendar.make_anew();
    let theirs: Vec<String> = (0..20).map(|number| format!("foreign-{number}.ics")).collect();
    for name in &theirs {
        mirror.calendar.put(name, &FOREIGN.replace("foreign-1", name));
    }
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT"; 14]);
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    for name in &theirs {
        mirror.calendar.delete(name);
    }
    mirror.holds_the_feed();
}

pub(crate) fn an_event_that_becomes_a_task_takes_its_place(server: &Server) {
    let mirror = Mirror::new(server);
    let event = FOREIGN.replace("DTEND:20261201T100000Z\r\n", "");
    mirror.feed.set(event.as_bytes());
    mirror.run(&[]).exits(0);
    mirror.feed.set(event.replace("VEVENT", "VTODO").as_bytes());
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), ["PUT"]);
    assert!(mirror.calendar.objects().values().all(|text| text.contains("BEGIN:VTODO")));
    mirror.run(&["--full"]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
}

pub(crate) fn a_lost_state_costs_no_write_and_no_duplicate(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    mirror.env.forget_state();
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    mirror.holds_the_feed();
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
}

/// Of servers that know no `Schedule-Reply: F`; on the others that header is asserted with each write.
pub(crate) fn the_server_is_told_to_invite_nobody(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.run(&[]).exits(0);
    let text = mirror.calendar.get(&mirror.find("SUMMARY:Interview")).replace("\r\n ", "");
    let people = text.lines().filter(|line| line.starts_with("ATTENDEE") || line.starts_with("ORGANIZER"));
    let agents: Vec<bool> = people.map(|line| line.contains(";SCHEDULE-AGENT=CLIENT")).collect();
    assert_eq!(agents, [true; 3], "{text}");
}

pub(crate) fn a_dry_run_writes_nothing(server: &Server) {
    let mirror = Mirror::new(server);
    let told = mirror.run(&["--dry-run", "--json"]).exits(0).json();
    assert_eq!(told["subscriptions"][0]["plan"].as_array().map(Vec::len), Some(14), "{told:#}");
    assert_eq!(mirror.writes(), [""; 0]);
    assert!(mirror.calendar.objects().is_empty());
}

pub(crate) fn a_wrong_password_is_refused(to: &Server) {
    let mirror = Mirror::new(to);
    let wrong = mirror.env.file("wrong", "not the password\n");
    let config = config(to, &mirror.proxy, &mirror.feed.url(), &mirror.calendar.path, "");
    let user = to.user.as_deref().expect("a server with a login");
    let url = mirror.proxy.url("/");
    mirror.env.set_config(&config.replace(&server(&url, user, &to.password_file), &server(&url, user, &wrong)));
    let ran = mirror.run(&[]).exits(77);
    assert!(!ran.stderr.contains("not the password"), "{ran}");
}

pub(crate) fn a_missing_calendar_is_told(server: &Server) {
    let missing = server.calendar(&server.unused_path());
    let mirror = Mirror::into(server, missing, "");
    mirror.run(&[]).exits(76);
    assert_eq!(mirror.writes(), [""; 0]);
}

pub(crate) fn a_missing_calendar_is_made_where_that_is_allowed(server: &Server) {
    let missing = server.calendar(&server.unused_path());
    let mirror = Mirror::into(server, missing, "create = true");
    mirror.run(&[]).exits(0);
    mirror.holds_the_feed();
}

pub(crate) fn a_server_that_is_down_is_a_temporary_failure(server: &Server) {
    let mirror = Mirror::new(server);
    mirror.proxy.stop();
    mirror.run(&[]).exits(75);
    assert!(mirror.calendar.objects().is_empty());
}

pub(crate) fn a_thousand_events_arrive_and_twenty_changes_cost_twenty_writes(server: &Server) {
    let (Some(first), Some(second)) = (
        generated(&["--events", "1000", "--style", "mixed"]),
        generated(&["--events", "1000", "--style", "mixed", "--fetch", "1", "--change", "20"]),
    ) else {
        return;
    };
    let (added, changed, removed) = changes(&first, &second);
    assert!((added, removed) == (0, 0) && changed > 10, "{added} {changed} {removed}");
    let mirror = Mirror::new(server);
    mirror.feed.set(first);
    mirror.run(&[]).exits(0);
    mirror.holds_the_feed();
    mirror.feed.set(second);
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), vec!["PUT"; changed]);
    mirror.holds_the_feed();
}
