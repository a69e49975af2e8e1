//! How a calendar is found, and names that are hard to write in an address.

use crate::env::{server, subscription};
use crate::fake::dav::USER;
use crate::setting::{Setting, calendar, event, feed, object};

#[test]
fn a_calendar_is_found_from_any_address_of_its_server() {
    for path in ["/", "", "/dav.php", "/dav.php/", "/dav.php/principals/alice/", "/dav.php/calendars/alice/"] {
        let setting = Setting::new(&feed(&["a"]), "");
        let address = setting.dav.url().replace("/dav.php/", path);
        let password = setting.env.path("password");
        setting.env.set_config(&(server(&address, USER, &password) + &subscription(&setting.feed.url(), "work", "")));
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a", "from {path:?}");
    }
}

#[test]
fn what_was_found_is_remembered_until_it_is_wrong() {
    let setting = Setting::into("work", &feed(&["a"]), "verify = \"always\"").mirrored();
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
    let mut moved = setting.dav.world().calendars.remove("work").unwrap();
    moved.display_name = Some("work".to_owned());
    setting.dav.world().calendars.insert("elsewhere".to_owned(), moved);
    setting.run(&[]).exits(76);
    let told = setting.run(&["--force", "--json"]).exits(0).json();
    assert_eq!(told["subscriptions"][0]["outcome"], "unchanged", "{told:#}");
}

#[test]
fn a_title_that_two_calendars_share_is_not_guessed() {
    let setting = Setting::into("Plans", &feed(&["a"]), "");
    for name in ["one", "two"] {
        setting.dav.world().calendars.entry(name.to_owned()).or_default().display_name = Some("Plans".to_owned());
    }
    let ran = setting.run(&[]);
    assert!(matches!(ran.code, 76 | 78) && ran.stderr.contains("/one/") && ran.stderr.contains("/two/"), "{ran}");
}

#[test]
fn a_calendar_with_a_difficult_name_is_made_and_found_again() {
    for name in ["Büro & Co", "a+b", "100%", "x?y#z"] {
        let setting = Setting::into(name, &feed(&["a"]), "create = true\nverify = \"always\"").mirrored();
        setting.run(&[]).exits(0);
        assert_eq!(setting.methods(), ["PROPFIND"], "{name}");
        let filled = setting.dav.world().calendars.values().filter(|calendar| calendar.objects.len() == 1).count();
        assert_eq!(filled, 1, "{name}");
    }
}

#[test]
fn an_object_with_a_difficult_name_is_adopted_updated_and_deleted() {
    for name in ["ä b.ics", "100%.ics", "a+b&c.ics", "a%20b.ics", "no extension"] {
        let setting = Setting::new(&feed(&["a", "b"]), "on_conflict = \"equal\"");
        setting.dav.work(|work| work.put(name, object("a", "Event a")));
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), ["PUT 201"], "{name}");
        setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b"))));
        setting.run(&[]).exits(0);
        assert!(setting.dav.work(|work| work.text(name)).contains("SUMMARY:New"), "{name}");
        setting.feed.set(feed(&["b"]));
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "b", "{name}");
    }
}

#[test]
fn weak_etags_do_not_keep_us_from_writing() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
    setting.dav.switch(|switches| switches.weak_etags = true);
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
    setting.feed.set(calendar(&event("a", "New")));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["PUT 204", "DELETE 204"]);
}
