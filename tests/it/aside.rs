//! What a pass overwrites or deletes is put aside first, as it stood there.

use baikal_sync::db::state::{Aside, State};

use crate::setting::{Setting, calendar, event, feed, watched};

fn aside(setting: &Setting) -> Vec<Aside> {
    let state = State::open_to_read(&setting.env.state()).unwrap().unwrap();
    let id = state.subscriptions().unwrap()[0].id;
    state.aside(id).unwrap()
}

/// UID, whether it was deleted, and the title that it had.
fn told(setting: &Setting) -> Vec<(String, bool, String)> {
    let title = |text: &[u8]| crate::setting::value(std::str::from_utf8(text).unwrap(), "SUMMARY:").to_owned();
    aside(setting).into_iter().map(|it| (it.key.unwrap().uid, it.is_deleted, title(&it.text))).collect()
}

#[test]
fn what_the_feed_changes_or_drops_and_what_somebody_edited_is_put_aside() {
    let setting = watched("");
    assert_eq!(told(&setting), [], "nothing is put aside for new events");
    setting.feed.set(calendar(&event("a", "New")));
    setting.run(&[]).exits(0);
    let first = [("a".to_owned(), false, "Event a".to_owned()), ("b".to_owned(), true, "Event b".to_owned())];
    let mut found = told(&setting);
    found.sort();
    assert_eq!(found, first);
    setting.edit("a", "Mine");
    setting.run(&[]).exits(0);
    assert_eq!(told(&setting).last(), Some(&("a".to_owned(), false, "Mine".to_owned())));
}

#[test]
fn a_hundred_updates_cost_one_more_request() {
    let uids: Vec<String> = (0..100).map(|number| format!("e{number}")).collect();
    let of = |title: &str| calendar(&uids.iter().map(|uid| event(uid, title)).collect::<String>());
    let setting = Setting::new(&of("Old"), "").mirrored();
    setting.feed.set(of("New"));
    setting.run(&[]).exits(0);
    let methods = setting.methods();
    assert_eq!((methods.len(), &methods[..2]), (103, &["PROPFIND".to_owned(), "REPORT".to_owned()][..]));
    assert_eq!(aside(&setting).len(), 100);
}

#[test]
fn what_was_put_aside_goes_after_thirty_days() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    setting.feed.set(feed(&["a", "b"]));
    setting.run(&[]).exits(0);
    setting.env.change_state("UPDATE aside SET at = at - 31 * 86400");
    setting.feed.set(feed(&["a"]));
    setting.run(&[]).exits(0);
    assert_eq!(told(&setting).iter().map(|(uid, ..)| uid.as_str()).collect::<Vec<_>>(), ["b"]);
}
