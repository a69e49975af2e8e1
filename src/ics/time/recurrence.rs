//! Recurrence rules (RFC 5545 §3.3.10). The only file that names the crate `rrule`. Rules are expanded in local time,
//! so the crate needs no time zones, and with limits, so that a hostile rule only costs milliseconds.

use rrule::RRuleSet;

use crate::words::time::{DAY, HOUR, MINUTE, Wall};

/// A series is cut after this many occurrences.
const MOST_OCCURRENCES: u32 = 10_000;
/// A series is cut after this many periods (days of a daily rule, weeks of a weekly one). A rule with filters may
/// search many of them for one occurrence.
const MOST_PERIODS: u64 = 100_000;
/// How many times of day a rule may name, because the crate expands a whole period at once: quarter hours of 24
/// hours.
const MOST_TIMES: usize = 96;
/// Longest rule that is parsed, in octets.
const LONGEST: usize = 1_000;

/// A valid rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ics) struct Rule {
    /// Without UNTIL and COUNT, in upper case.
    text: String,
    /// UNTIL as written.
    pub until: Option<String>,
    count: Option<u32>,
    /// One period in seconds, rounded down.
    period: u64,
}

/// The starts of a rule in order.
pub(in crate::ics) struct Series {
    starts: Box<dyn Iterator<Item = Wall>>,
    first: Wall,
    period: u64,
    seen: u32,
    count: u32,
    /// Whether the series was cut.
    pub cut: bool,
}

impl Rule {
    /// Parses the value of an RRULE. `None` if it is invalid, or designed to waste time.
    pub(in crate::ics) fn parse(text: &str) -> Option<Rule> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return None;
        }
        let text = text.to_ascii_uppercase().replace(' ', "");
        let parts = text.split(';').filter(|part| !part.is_empty());
        let parts: Vec<(&str, &str)> = parts.map(|part| part.split_once('=')).collect::<Option<_>>()?;
        let part = |name: &str| parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let values = |name| part(name).map_or(1, |list: &str| list.split(',').count());
        if values("BYHOUR") * values("BYMINUTE") * values("BYSECOND") > MOST_TIMES {
            return None;
        }
        // Within a week, the crate takes `5MO` for any day.
        let is_counted = |day: &str| day.len() > 2;
        let counts_days = part("BYDAY").is_some_and(|days| days.split(',').any(is_counted));
        if counts_days && !matches!(part("FREQ")?, "YEARLY" | "MONTHLY") {
            return None;
        }
        let unit = match part("FREQ")? {
            "YEARLY" => 365 * DAY,
            "MONTHLY" => 28 * DAY,
            "WEEKLY" => 7 * DAY,
            "DAILY" => DAY,
            "HOURLY" => HOUR,
            "MINUTELY" => MINUTE,
            "SECONDLY" => 1,
            _ => return None,
        };
        let interval =
            part("INTERVAL").map_or(Some(1), |interval| interval.parse::<u16>().ok().filter(|count| *count > 0))?;
        let kept = parts.iter().filter(|(name, _)| !matches!(*name, "UNTIL" | "COUNT"));
        Some(Rule {
            text: kept.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";"),
            until: part("UNTIL").map(str::to_owned),
            count: part("COUNT").map(str::parse).transpose().ok()?,
            period: unit * u64::from(interval),
        })
    }

    /// Whether the series never ends.
    pub(in crate::ics) fn is_endless(&self) -> bool {
        self.until.is_none() && self.count.is_none()
    }

    /// Whether it is the same in every year, whichever year it starts from.
    pub(in crate::ics) fn is_plainly_yearly(&self) -> bool {
        self.period == 365 * DAY && self.text.contains("FREQ=YEARLY") && self.count.is_none()
    }

    /// Expands the rule from DTSTART to the end of the series, or to `until` if that is earlier. DTSTART is only
    /// included if the rule produces it. `None` if the rule is invalid.
    pub(in crate::ics) fn series(&self, first: Wall, until: Option<Wall>) -> Option<Series> {
        // The crate rejects an UNTIL before DTSTART.
        let until = until.map(|until| format!(";UNTIL={}Z", until.max(first))).unwrap_or_default();
        let set: RRuleSet = format!("DTSTART:{first}Z\nRRULE:{}{until}", self.text).parse().ok()?;
        let starts = Box::new(set.limit().into_iter().map(|start| Wall(start.timestamp())));
        let count = self.count.unwrap_or(u32::MAX);
        Some(Series { starts, first, period: self.period, seen: 0, count, cut: false })
    }
}

impl Iterator for Series {
    type Item = Wall;

    fn next(&mut self) -> Option<Wall> {
        if self.seen == self.count || self.cut {
            return None;
        }
        let start = self.starts.next();
        let passed = start.map_or(0, |start| start.0.abs_diff(self.first.0) / self.period);
        // If a counted series ends early, the crate gave up the search, or the calendar ended.
        let gave_up = start.is_none() && self.count != u32::MAX;
        self.cut = gave_up || self.seen == MOST_OCCURRENCES || passed > MOST_PERIODS;
        self.seen += 1;
        start.filter(|_| !self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the first starts of a rule from New Year 2026 at nine.
    fn check(rule: &str, expected: &[&str]) {
        let start = Wall::parse("20260101T090000").unwrap();
        let series = Rule::parse(rule).and_then(|rule| rule.series(start, None));
        let starts: Vec<String> = series.into_iter().flatten().take(4).map(|wall| wall.to_string()).collect();
        assert_eq!(starts, expected, "{rule}");
    }

    /// How many starts a rule produces, and whether it was cut.
    fn count(rule: &str) -> Option<(usize, bool)> {
        let mut series = Rule::parse(rule)?.series(Wall::parse("20260101T090000").unwrap(), None)?;
        let seen = series.by_ref().count();
        Some((seen, series.cut))
    }

    #[test]
    fn a_rule_is_followed_on_the_clock_on_the_wall() {
        check("FREQ=DAILY;COUNT=2", &["20260101T090000", "20260102T090000"]);
        check("freq=monthly;byday=-1fr;count=2;", &["20260130T090000", "20260227T090000"]);
        check("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;COUNT=1", &["20260112T090000"]);
        check("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=2", &["20280229T090000", "20320229T090000"]);
    }

    #[test]
    fn until_ends_a_series_and_counts_itself() {
        let start = Wall::parse("20260101T090000").unwrap();
        let seen = |until| {
            Rule::parse("FREQ=DAILY").and_then(|rule| rule.series(start, Wall::parse(until))).map(Iterator::count)
        };
        assert_eq!([seen("20260103T090000"), seen("20260103T085959"), seen("20200101")], [Some(3), Some(2), Some(1)]);
    }

    #[test]
    fn what_cannot_be_understood_is_no_rule() {
        for rule in ["", "FREQ=FORTNIGHTLY", "DAILY", "FREQ=DAILY;X", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=-1"] {
            check(rule, &[]);
            assert_eq!(Rule::parse(rule), None, "{rule}");
        }
        check("FREQ=WEEKLY;BYDAY=5MO", &[]);
        check("FREQ=DAILY;BYDAY=\u{e9}", &[]);
        check("FREQ=MONTHLY;RSCALE=CHINESE", &[]);
    }

    #[test]
    fn a_hostile_rule_is_cut_or_refused() {
        assert_eq!(count("FREQ=SECONDLY;COUNT=4000000000"), Some((10_000, true)));
        assert_eq!(count("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"), Some((0, true)));
        assert_eq!(count("FREQ=SECONDLY;BYHOUR=3;BYMINUTE=0;BYSECOND=0;COUNT=9999").map(|(_, cut)| cut), Some(true));
        assert_eq!(count("FREQ=YEARLY;INTERVAL=65535;COUNT=9").map(|(_, cut)| cut), Some(true));
        let all: Vec<String> = (0..60).map(|number| number.to_string()).collect();
        let all = all.join(",");
        assert_eq!(count(&format!("FREQ=YEARLY;BYMINUTE={all};BYSECOND={all};COUNT=1")), None);
    }
}
