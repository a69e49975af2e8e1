//! What becomes of ORGANIZER and ATTENDEE, and that no server is made to send mail.

use crate::setting::{Setting, calendar};

/// A meeting as Outlook publishes it.
const MEETING: &str = "BEGIN:VEVENT\r\nUID:meeting\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260901T090000Z\r\n\
                       SUMMARY:Meeting\r\nORGANIZER;CN=Alice:mailto:alice@example.org\r\n\
                       ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.org\r\nEND:VEVENT\r\n";

/// The lines about people in the one object of the calendar.
fn people(setting: &Setting) -> Vec<String> {
    let text = setting.dav.work(|work| work.objects.values().next().unwrap().text.clone());
    let text = String::from_utf8(text).unwrap();
    let about = |line: &&str| line.starts_with("ORGANIZER") || line.starts_with("ATTENDEE");
    text.lines().filter(about).map(str::to_owned).collect()
}

#[test]
fn people_are_mirrored_as_they_are_where_schedule_reply_keeps_the_server_quiet() {
    let setting = Setting::new(&calendar(MEETING), "").mirrored();
    let expected = ["ORGANIZER;CN=Alice:mailto:alice@example.org", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.org"];
    assert_eq!(people(&setting), expected);
}

#[test]
fn another_server_that_schedules_is_told_not_to_for_every_person_and_nothing_is_written_twice() {
    let setting = Setting::new(&calendar(MEETING), "verify = \"always\"");
    setting.dav.switch(|switches| switches.is_other_scheduler = true);
    setting.run(&[]).exits(0);
    assert!(people(&setting).iter().all(|line| line.contains(";SCHEDULE-AGENT=CLIENT")), "{:?}", people(&setting));
    setting.env.forget_state();
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn people_are_left_out_where_that_is_asked_for_and_come_back_when_it_is_not() {
    let setting = Setting::new(&calendar(MEETING), "attendees = \"strip\"").mirrored();
    assert_eq!(people(&setting), [""; 0]);
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
    setting.configure(&crate::env::subscription(&setting.feed.url(), "calendars/alice/work/", ""));
    setting.run(&[]).exits(0);
    assert_eq!((setting.writes(), people(&setting).len()), (vec!["PUT 204".to_owned()], 2));
}
