//! What a server lists, leaves out, or does not tell: unknown is not gone, and what is not ours stops nothing.

use crate::fake::http::{Answer, Asked};
use crate::setting::{Setting, calendar, event, feed, feed_of, object, side_by_side};

/// Answers to a multiget with the first so many objects, and leaves the others out or calls them gone.
fn capped(setting: &Setting, most: usize, calls_gone: bool) {
    setting.dav.distort(move |asked: &Asked, answer: Answer| {
        if !asked.text().contains("calendar-multiget") {
            return answer;
        }
        let text = String::from_utf8(answer.body.clone()).unwrap();
        let mut parts: Vec<String> = text.split_inclusive("</d:response>").map(str::to_owned).collect();
        let end = parts.pop().unwrap();
        for part in parts.iter_mut().skip(most) {
            let href = part.split("<d:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
            let gone =
                format!("<d:response><d:href>{href}</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>");
            *part = if calls_gone { gone } else { String::new() };
        }
        let head = answer.headers.into_iter().find(|(name, _)| name == "Content-Type").unwrap();
        Answer::new(207).body(&head.1, parts.concat() + &end)
    });
}

#[test]
fn what_a_multiget_leaves_out_is_not_gone_and_is_not_doubled() {
    for calls_gone in [false, true] {
        let setting = Setting::new(&feed_of(25), "").mirrored();
        setting.env.forget_state();
        capped(&setting, 7, calls_gone);
        setting.run(&[]).exits(0);
        assert_eq!((setting.writes(), setting.dav.work(|work| work.objects.len())), (vec![], 25), "{calls_gone}");
    }
}

#[test]
fn a_listing_that_lacks_objects_is_looked_at_twice_before_they_are_believed_to_be_gone() {
    let setting = Setting::new(&feed_of(12), "verify = \"always\"");
    setting.dav.switch(|switches| switches.no_sync_collection = true);
    setting.run(&[]).exits(0);
    setting.dav.distort(|asked, answer| {
        let is_listing = asked.method == "PROPFIND" && asked.header("depth") == Some("1");
        if !is_listing {
            return answer;
        }
        let text = String::from_utf8(answer.body.clone()).unwrap();
        let parts: Vec<&str> = text.split_inclusive("</d:response>").collect();
        let kept: String = parts[..5].concat() + parts.last().unwrap();
        Answer::new(207).body("application/xml; charset=utf-8", kept)
    });
    setting.feed.set(feed_of(13));
    setting.run(&[]).exits(0);
    assert_eq!((setting.writes(), setting.dav.work(|work| work.objects.len())), (vec!["PUT 201".to_owned()], 13));
}

/// Lets the server say of one object that stands in the calendar what this makes of its entry.
fn listed_as(setting: &Setting, name: &'static str, entry: fn(&str) -> String) {
    setting.dav.distort(move |asked, answer| {
        if asked.method != "PROPFIND" && !asked.text().contains("sync-collection") {
            return answer;
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let part = text.split_inclusive("</d:response>").find(|part| part.contains(name)).map(str::to_owned);
        let Some(part) = part else { return answer };
        let begin = part.find("<d:response>").unwrap();
        let changed = text.replace(&part[begin..], &entry(&part[begin..]));
        Answer { body: changed.into_bytes(), ..answer }
    });
}

#[test]
fn a_foreign_object_of_which_the_server_tells_nothing_stops_nothing_and_is_warned_of() {
    let ways: [fn(&str) -> String; 4] = [
        |entry| entry.replace("<d:getetag>", "<d:x>").replace("</d:getetag>", "</d:x>"),
        |entry| entry.replace("200 OK", "403 Forbidden"),
        |entry| {
            format!(
                "{}<d:status>HTTP/1.1 500 Oops</d:status></d:response>",
                entry.split("<d:propstat>").next().unwrap()
            )
        },
        |entry| {
            format!("{}<d:status>HTTP/1.1 403 No</d:status></d:response>", entry.split("<d:propstat>").next().unwrap())
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
        setting.dav.work(|work| work.put("theirs.ics", object("theirs", "Theirs")));
        listed_as(&setting, "theirs.ics", way);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b theirs", "{number}");
        setting.feed.set(feed(&["a"]));
        setting.run(&[]).exits(0);
        setting.run(&[]).exits(0);
        assert_eq!((setting.uids().as_str(), setting.writes()), ("a theirs", vec![]), "{number}");
    }
}

#[test]
fn an_object_of_ours_that_is_listed_without_its_version_is_read_and_not_doubled() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
    setting.dav.switch(|switches| switches.no_sync_collection = true);
    listed_as(&setting, ".ics", |entry| entry.replace("<d:getetag>", "<d:x>").replace("</d:getetag>", "</d:x>"));
    setting.run(&[]).exits(0);
    setting.feed.set(calendar(&(event("a", "Changed") + &event("b", "Event b"))));
    setting.run(&[]).exits(0);
    assert_eq!((setting.writes(), setting.uids().as_str()), (vec!["PUT 204".to_owned()], "a b"));
}

#[test]
fn an_expired_token_leads_to_a_listing_whatever_the_status() {
    side_by_side([400, 403, 404, 405, 409, 410, 412, 500, 502, 507], |status| {
        let setting = Setting::new(&feed(&["a", "b", "c"]), "verify = \"always\"").mirrored();
        let name = setting.name_of("b");
        setting.dav.work(|work| work.delete(&name));
        setting.dav.distort(
            move |asked, answer| {
                if asked.text().contains("sync-collection") { Answer::new(status) } else { answer }
            },
        );
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b c", "{status}");
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "{status}");
    });
}

#[test]
fn a_token_that_stays_the_same_while_the_ctag_changes_is_not_believed() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"").mirrored();
    setting.run(&[]).exits(0);
    let frozen = setting.dav.work(|work| format!("http://sabre.io/ns/sync/{}", work.counter));
    setting.dav.distort(move |asked, answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let token = |text: &str| {
            let rest = text.split("<d:sync-token>").nth(1)?;
            rest.split('<').next().map(str::to_owned)
        };
        if asked.text().contains("sync-collection") {
            let empty = "<d:multistatus xmlns:d=\"DAV:\"><d:sync-token>FROZEN</d:sync-token></d:multistatus>";
            return Answer::new(207).body("application/xml", empty.replace("FROZEN", &frozen));
        }
        match token(&text) {
            Some(token) => Answer {
                body: text
                    .replace(&format!("<d:sync-token>{token}<"), &format!("<d:sync-token>{frozen}<"))
                    .into_bytes(),
                ..answer
            },
            None => answer,
        }
    });
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn a_server_that_ignores_preconditions_is_read_before_an_edit_is_overwritten() {
    let setting = Setting::new(&feed(&["a", "b"]), "on_drift = \"keep\"");
    setting.dav.switch(|switches| (switches.is_other_scheduler, switches.ignores_preconditions) = (true, true));
    setting.run(&[]).exits(0);
    setting.feed.set(calendar(&(event("a", "New") + &event("c", "Event c"))));
    setting.edit_when("New", "b", "Edited");
    setting.run(&[]).exits(0);
    assert!(setting.text_of("b").contains("SUMMARY:Edited"), "what somebody edited meanwhile is not deleted");
}
