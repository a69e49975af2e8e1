//! A state of an older version: the first pass reads the target and writes nothing, whatever kind of record it finds.

use baikal_sync::ics;
use baikal_sync::model::Hash;
use baikal_sync::words::digest::sha256;

use crate::env::subscription;
use crate::setting::{Setting, calendar, event, object};

const OLD: &str = concat!(
    include_str!("../../src/db/state/migrations/001.sql"),
    include_str!("../../src/db/state/migrations/002.sql"),
    include_str!("../../src/db/state/migrations/003.sql"),
    "PRAGMA user_version = 3;"
);
/// An hour ago; what was refused then rests.
const LATELY: &str = "strftime('%s') - 600";

/// A record of the older version: its UID, what the feed says of it, what stands there and where, and the columns that make
/// its kind.
struct Old {
    uid: &'static str,
    feed: Option<&'static str>,
    standing: Option<(&'static str, &'static str)>,
    columns: &'static [(&'static str, &'static str)],
}

fn hash_of(text: &str) -> Hash {
    ics::read(text.as_bytes().to_vec(), None).unwrap().objects()[0].hash
}

fn blob(hash: Hash) -> String {
    format!("x'{hash}'")
}

/// A server, a feed and a state in which these records stand.
fn with(records: &[Old], keys: &str) -> Setting {
    let of_feed = records.iter().filter_map(|old| Some(event(old.uid, old.feed?)));
    let setting = Setting::new(&calendar(&of_feed.collect::<String>()), &format!("verify = \"always\"\n{keys}"));
    let url = setting.dav.calendar_url("work");
    let source = sha256(&[setting.feed.url().as_bytes()]);
    let mut sql = format!(
        "{OLD} INSERT INTO subscription (id, name, target, source, form, settled_at, started_at, address, feed_objects)
         VALUES (1, 'work', '{url}', {}, 2, 1, 1, '{url}', 9);",
        blob(source)
    );
    for (number, old) in records.iter().enumerate() {
        let name = old.standing.map_or("", |(name, _)| name);
        let href = if name.is_empty() { format!("0123abcd-{number:032x}.ics") } else { name.to_owned() };
        let etag = old.standing.map(|(_, title)| {
            setting.dav.work(|work| {
                work.put(&href, object(old.uid, title));
                work.objects[&href].etag.clone()
            })
        });
        let content = hash_of(&object(old.uid, old.feed.or(old.standing.map(|(_, title)| title)).unwrap()));
        let mut columns: Vec<(&str, String)> = vec![
            ("subscription", "1".to_owned()),
            ("component", "'VEVENT'".to_owned()),
            ("uid", format!("'{}'", old.uid)),
            ("href", format!("'{href}'")),
            ("etag", etag.map_or("NULL".to_owned(), |etag| format!("'{etag}'"))),
            ("source_hash", "zeroblob(32)".to_owned()),
            ("sent_hash", "x'01'".to_owned()),
            ("content_hash", blob(content)),
            ("start", "''".to_owned()),
            ("summary", "''".to_owned()),
            ("standing", "'mirrored'".to_owned()),
        ];
        for (column, value) in old.columns {
            columns.retain(|(known, _)| known != column);
            columns.push((column, value.replace("LATELY", LATELY)));
        }
        let (names, values): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
        sql += &format!("INSERT INTO record ({}) VALUES ({});", names.join(", "), values.join(", "));
    }
    setting.env.file("state/baikal-sync/state.db", "");
    setting.env.change_state(&sql);
    setting
}

fn mirrored(uid: &'static str, columns: &'static [(&'static str, &'static str)]) -> Old {
    Old { uid, feed: Some("Event"), standing: Some(("", "Event")), columns }
}

#[test]
fn every_kind_of_record_is_carried_over_without_a_write() {
    let old = [
        mirrored("mirrored", &[]),
        mirrored("untold", &[("etag", "NULL")]),
        Old { standing: Some(("", "Made of it")), ..mirrored("rewritten", &[("server_hash", "zeroblob(32)")]) },
        Old {
            standing: Some(("", "Its own")),
            ..mirrored("flipped", &[("restored_hash", "zeroblob(32)"), ("etag", "'\"before\"'")])
        },
        Old {
            standing: None,
            ..mirrored(
                "refused",
                &[("standing", "'rejected'"), ("since", "LATELY"), ("tries", "1"), ("reason", "'415'")],
            )
        },
        Old {
            standing: Some(("", "Older")),
            ..mirrored(
                "refused2",
                &[("standing", "'rejected'"), ("since", "LATELY"), ("tries", "1"), ("reason", "'415'")],
            )
        },
        Old { feed: None, ..mirrored("kept", &[("standing", "'kept'")]) },
        Old {
            feed: None,
            ..mirrored("undeletable", &[("standing", "'undeletable'"), ("since", "LATELY"), ("tries", "1")])
        },
        Old {
            standing: Some(("theirs.ics", "Theirs")),
            ..mirrored("foreign", &[("standing", "'foreign'"), ("etag", "NULL")])
        },
        Old { standing: Some(("mine.ics", "Event")), ..mirrored("adopted", &[]) },
        Old { feed: None, standing: Some(("gone.ics", "Event")), ..mirrored("adopted2", &[]) },
    ];
    let setting = with(&old, "deletes = \"future\"");
    let ran = setting.run(&[]);
    assert!(matches!(ran.code, 0 | 3), "{ran}");
    assert_eq!(setting.writes(), [""; 0], "{ran}");
    assert!(setting.asked().iter().any(|asked| asked.text().contains("multiget")), "it reads the target");
    setting.run(&[]).exits(0);
    assert_eq!((setting.writes(), setting.methods()), (vec![], vec!["PROPFIND".to_owned()]));
    setting.run(&["--full"]);
    assert_eq!(setting.writes(), ["PUT 201", "PUT 204", "DELETE 204"], "what was refused, and nothing else");
}

#[test]
fn a_record_of_an_older_version_goes_on_as_one_of_this() {
    let setting = with(&[mirrored("a", &[]), mirrored("b", &[]), mirrored("c", &[("standing", "'approved'")])], "");
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event"))));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["PUT 204", "DELETE 204"]);
    assert!(setting.name_of("a").starts_with("0123abcd-"), "the prefix is that of the records");
}

#[test]
fn what_was_taken_over_from_others_goes_back_to_them_unless_that_was_asked_for() {
    let adopted = || [Old { standing: Some(("mine.ics", "Event")), ..mirrored("adopted", &[]) }, mirrored("b", &[])];
    for (keys, title) in [("", "Event"), ("on_conflict = \"equal\"", "New")] {
        let setting = with(&adopted(), keys);
        setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", keys));
        setting.run(&[]).exits(0);
        setting.feed.set(calendar(&(event("adopted", "New") + &event("b", "Event"))));
        setting.run(&[]);
        assert!(setting.dav.work(|work| work.text("mine.ics")).contains(title), "{keys}");
    }
}
