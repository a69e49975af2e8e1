//! DURATION values (RFC 5545 §3.3.6).

use crate::words::time::DAY;

/// A duration. Days are calendar days, some of which have 23 or 25 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ics) struct Duration {
    pub days: i64,
    pub seconds: i64,
}

impl Duration {
    /// Parses a value; `None` if invalid. `-PT15M` and `-PT0H15M0S` are equal.
    pub(in crate::ics) fn parse(text: &str) -> Option<Duration> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mut days, mut seconds): (i64, i64) = (0, 0);
        let mut number = String::new();
        for letter in rest.strip_prefix('P')?.chars() {
            let (total, unit) = match letter {
                '0'..='9' => {
                    number.push(letter);
                    continue;
                }
                'T' if number.is_empty() => continue,
                'W' => (&mut days, 7),
                'D' => (&mut days, 1),
                'H' => (&mut seconds, 3_600),
                'M' => (&mut seconds, 60),
                'S' => (&mut seconds, 1),
                _ => return None,
            };
            let count: i64 = number.parse().ok()?;
            *total = total.checked_add(count.checked_mul(unit)?)?;
            number.clear();
        }
        number.is_empty().then_some(Duration { days: sign * days, seconds: sign * seconds })
    }

    /// The total in seconds, with 24 hours in every day.
    pub(in crate::ics) fn in_seconds(self) -> Option<i64> {
        self.days.checked_mul(DAY.cast_signed())?.checked_add(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_and_days_are_days_and_the_rest_is_seconds() {
        let read = |text| Duration::parse(text).map(|span| (span.days, span.seconds));
        assert_eq!([read("P1W"), read("P2DT3H"), read("-PT15M")], [Some((7, 0)), Some((2, 10_800)), Some((0, -900))]);
        assert_eq!([read("1H"), read("PT5"), read("P99999999999999999999D")], [None; 3]);
        assert_eq!(Duration::parse("+P1DT1S").and_then(Duration::in_seconds), Some(86_401));
    }
}
