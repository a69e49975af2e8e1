//! The property of `tests/it/converge.rs` on real servers: whatever is cut off, lost or edited between the passes and during
//! them, the calendar ends as the feed and what was never ours, and a further pass writes nothing.

use std::collections::BTreeMap;

use crate::mirror::Mirror;
use crate::server::{Calendar, Server};
use crate::story::{Dice, Events, calendar, change, number};

/// What somebody does to the calendar by hand.
enum Deed {
    Write(String, String),
    Remove(String),
}

impl Deed {
    fn is_done_to(&self, calendar: &Calendar) {
        match self {
            Deed::Write(name, text) => calendar.put(name, text),
            Deed::Remove(name) => drop(calendar.remove(name)),
        }
    }
}

/// Somebody edits or deletes one of our objects, or adds one of their own. During a pass nobody edits: where PUT tells no
/// ETag, an edit between it and the settling cannot be told from what the server made.
fn somebody(dice: &mut Dice, mirror: &Mirror, during: bool, foreign: &mut BTreeMap<String, String>) -> Deed {
    let ours: Vec<_> = mirror.calendar.objects().into_iter().filter(|(name, _)| !name.starts_with("theirs")).collect();
    if ours.is_empty() || dice.one_in(3) {
        let uid = format!("theirs-{}", dice.below(3));
        let text = calendar(&[(uid.clone(), dice.below(1000))].into());
        foreign.insert(format!("{uid}.ics"), text.clone());
        return Deed::Write(format!("{uid}.ics"), text);
    }
    let (name, text) = ours[dice.at(ours.len())].clone();
    if during || dice.one_in(2) {
        return Deed::Remove(name);
    }
    let says = format!(" says {}", 10_000 + dice.below(1_000_000));
    Deed::Write(name, text.replace(" says ", &format!("{says}0")))
}

fn story(server: &Server, seed: u64) {
    println!("story {seed}");
    let (mut dice, mirror) = (Dice(seed), Mirror::new(server));
    let (mut events, mut foreign) = (Events::new(), BTreeMap::new());
    for _ in 0..2 + dice.below(2) {
        change(&mut events, &mut dice, 10, 12);
        mirror.feed.set(calendar(&events));
        if dice.one_in(2) {
            somebody(&mut dice, &mirror, false, &mut foreign).is_done_to(&mirror.calendar);
        }
        let mut deed = dice.one_in(2).then(|| somebody(&mut dice, &mirror, true, &mut foreign));
        let (at, last) = (1 + dice.below(10), if dice.one_in(3) { 1 + dice.below(12) } else { 1000 });
        let (calendar, mut requests) = (mirror.calendar.clone(), 0);
        let late = std::sync::Arc::new(std::sync::Mutex::new(deed.take()));
        let soon = std::sync::Arc::clone(&late);
        mirror.proxy.hook(move |_| {
            requests += 1;
            if requests == at
                && let Some(deed) = soon.lock().unwrap().take()
            {
                deed.is_done_to(&calendar);
            }
            requests <= last
        });
        let ran = mirror.run(&["--force", "--allow-deletes"]);
        assert!(matches!(ran.code, 0 | 75), "{ran}");
        mirror.proxy.unhook();
        if let Some(deed) = late.lock().unwrap().take() {
            deed.is_done_to(&mirror.calendar);
        }
        if dice.one_in(4) {
            mirror.env.forget_state();
        }
    }
    settles(&mirror, &foreign);
}

/// After two quiet passes everything is as it should be, and a third one writes nothing.
#[track_caller]
fn settles(mirror: &Mirror, foreign: &BTreeMap<String, String>) {
    for _ in 0..2 {
        mirror.run(&["--force", "--allow-deletes"]).exits(0);
    }
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    for (name, text) in foreign {
        let says = |text: &str| text.lines().find(|line| line.starts_with("SUMMARY")).map(str::to_owned);
        assert_eq!(says(&mirror.calendar.get(name)), says(text), "{name}");
        mirror.calendar.delete(name);
    }
    mirror.holds_the_feed();
}

pub(crate) fn every_story_ends_with_the_feed_in_the_calendar_and_an_idle_pass(server: &Server) {
    let first = number("BAIKAL_TEST_SEED", 0);
    (first..first + number("BAIKAL_TEST_LIVE_STORIES", 5)).for_each(|seed| story(server, seed));
}
