//! What stories with chance in them are made of: dice, and a feed whose events come, change and go.

use std::collections::BTreeMap;

/// Numbers that look like chance and are the same in every run.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn at(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// UID -> what its event says.
pub(crate) type Events = BTreeMap<String, u64>;

/// A calendar of these events.
pub(crate) fn calendar(events: &Events) -> String {
    let event = |(uid, says): (&String, &u64)| {
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261120T090000Z\r\nDTSTART:20261201T090000Z\r\n\
             DTEND:20261201T100000Z\r\nSUMMARY:{uid} says {says}\r\nEND:VEVENT\r\n"
        )
    };
    let inside: String = events.iter().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{inside}END:VCALENDAR\r\n")
}

/// Lets so many of at most `uids` events come, change or go.
pub(crate) fn change(events: &mut Events, dice: &mut Dice, changes: u64, uids: u64) {
    for _ in 0..changes {
        let uid = format!("e{}", dice.below(uids));
        if dice.one_in(3) {
            events.remove(&uid);
        } else {
            events.insert(uid, dice.below(1000));
        }
    }
}

/// A number that the environment may set, for whoever has more time.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}
