//! A property with decoded parameters and text. The only file that names the crate `ical`; its parser trims values
//! and strips leading colons (0.11), so it gets only the parameters.

use ical::property::{Property as Parsed, PropertyParser};

use super::charset;
use super::line::ContentLine;
use super::scan::slice;

/// The parser is quadratic in the number of parameters (`ical` 0.11: 200,000 take 15 s); real lines have a dozen.
const MOST_PARAMETERS: usize = 200;
/// Longest parameters that are parsed, in octets; inline photographs are in values, not parameters.
const LONGEST_PARAMETERS: usize = 64 * 1024;
/// From this number of values in one parameter on, the parser treats the rest as the value of the property.
const MOST_VALUES: usize = 10;

/// A decoded property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    /// In upper case.
    pub name: String,
    /// Names in upper case, values without quotes and with RFC 6868 decoded.
    pub parameters: Vec<(String, Vec<String>)>,
    /// As written.
    pub value: String,
}

/// Parses a line. `None` if it is too unusual to be parsed reliably; it is then only passed through.
pub(super) fn read(entry: &ContentLine<'_>) -> Option<Property> {
    let (parameters, raw_value) = entry.parts();
    if parameters.is_empty() {
        let value = String::from_utf8_lossy(raw_value).into_owned();
        return Some(Property { name: entry.label(), parameters: Vec::new(), value });
    }
    let separators = parameters.iter().filter(|byte| matches!(byte, b';' | b',')).count();
    if parameters.len() > LONGEST_PARAMETERS || separators > MOST_PARAMETERS {
        return None;
    }
    // The value is kept out: the parser would trim it and strip leading colons.
    let head = slice(&entry.text, 0..entry.text.len() - raw_value.len());
    let mut line = head.to_vec();
    line.push(b'\x01');
    let parsed = PropertyParser::from_reader(line.as_slice()).next()?.ok()?;
    let value = String::from_utf8_lossy(raw_value).into_owned();
    let parameters = certain(parsed)?;
    Some(Property { name: entry.label(), parameters, value })
}

fn certain(parsed: Parsed) -> Option<Vec<(String, Vec<String>)>> {
    let whole = parsed.value.as_deref() == Some("\x01");
    let parameters = parsed.params.unwrap_or_default();
    let odd =
        |(name, values): &(String, Vec<String>)| values.len() >= MOST_VALUES || name.contains([';', ':', ',', '"']);
    if !whole || parameters.iter().any(odd) {
        return None;
    }
    let decode =
        |(name, values): (String, Vec<String>)| (name, values.iter().map(|value| from_rfc6868(value)).collect());
    Some(parameters.into_iter().map(decode).collect())
}

impl Property {
    /// The first value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, values) = self.parameters.iter().find(|(known, _)| known == name)?;
        values.first().map(String::as_str)
    }
}

/// Decodes `^n`, `^'` and `^^` (RFC 6868 §3.1).
fn from_rfc6868(value: &str) -> String {
    unescaped(value, '^', |escaped| match escaped {
        'n' => Some('\n'),
        '\'' => Some('"'),
        '^' => Some('^'),
        _ => None,
    })
}

/// Decodes the escapes of a TEXT value (RFC 5545 §3.3.11), and that of a quote, which older Apple and Mozilla
/// programs write; a backslash before anything else is kept.
pub(super) fn from_text(value: &str) -> String {
    unescaped(value, '\\', |escaped| match escaped {
        'n' | 'N' => Some('\n'),
        '\\' | ',' | ';' | '"' => Some(escaped),
        _ => None,
    })
}

/// Replaces each `sign` and the character after it by their meaning; without one, both are kept.
fn unescaped(value: &str, sign: char, meaning: impl Fn(char) -> Option<char>) -> String {
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(character) = rest.next() {
        let next = if character == sign { rest.clone().next() } else { None };
        match next.and_then(&meaning) {
            Some(meant) => {
                decoded.push(meant);
                rest.next();
            }
            None => decoded.push(character),
        }
    }
    decoded
}

/// The line without ENCODING=QUOTED-PRINTABLE (vCalendar 1.0; RFC 2045 §6.7), its text in UTF-8.
pub(super) fn from_quoted_printable(entry: &ContentLine<'_>) -> ContentLine<'static> {
    let charset = entry.parameter("CHARSET").map(|charset| String::from_utf8_lossy(charset).into_owned());
    let text = charset::guess(&quoted_octets(entry.value()), charset.as_deref());
    let text = text.replace("\r\n", "\n").replace('\n', "\\n");
    let begins =
        |parameter: &[u8], name: &[u8]| parameter.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let kept = |parameter: &&[u8]| {
        !begins(parameter, b"ENCODING=") && !begins(parameter, b"CHARSET=") && !begins(parameter, b"QUOTED-PRINTABLE")
    };
    let head = entry.with_parameters(entry.parameters().filter(kept));
    let mut line = slice(&head.text, 0..head.text.len() - head.value().len()).to_vec();
    line.extend_from_slice(text.as_bytes());
    ContentLine::new(charset::clean(&line).unwrap_or(line))
}

fn quoted_octets(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let hex = value.get(at + 1..at + 3).filter(|_| *byte == b'=');
        let octet = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        octets.push(octet.unwrap_or(*byte));
        at += if octet.is_some() { 3 } else { 1 };
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, &str, &str)>) {
        let read = read(&ContentLine::new(line.as_bytes()));
        let words = read.map(|property| {
            let list: Vec<_> =
                property.parameters.iter().map(|(name, values)| format!("{name}={}", values.join("|"))).collect();
            (property.name, list.join(" "), property.value)
        });
        let expected = expected.map(|(name, list, value)| (name.to_owned(), list.to_owned(), value.to_owned()));
        assert_eq!(words, expected, "{line}");
    }

    #[test]
    fn what_the_parser_loses_stays() {
        check("SUMMARY:::) x ", Some(("SUMMARY", "", "::) x ")));
        check("summary;x=\"a:b;c,d\",e:: y\u{a0}", Some(("SUMMARY", "X=a:b;c,d|e", ": y\u{a0}")));
        check("LOCATION;LANGUAGE=de:", Some(("LOCATION", "LANGUAGE=de", "")));
        check("ATTENDEE;CN=Joe ^'J^' ^n^^:mailto:j", Some(("ATTENDEE", "CN=Joe \"J\" \n^", "mailto:j")));
    }

    #[test]
    fn what_cannot_be_read_with_certainty_is_not_read() {
        check("X;A=1,2,3,4,5,6,7,8,9,10,11:v", None);
        check("X;FLAG;A=b:v", None);
        check("X;A=\"open:v", None);
        check(&format!("X{}:v", ";A=1".repeat(200_000)), None);
    }

    #[test]
    fn text_is_unescaped_once() {
        assert_eq!(from_text(r#"a\, b\; c\\n \N\n\x\"\"#), "a, b; c\\n \n\n\\x\"\\");
    }

    #[test]
    fn quoted_printable_becomes_text() {
        let decode = |line: &str| {
            String::from_utf8(from_quoted_printable(&ContentLine::new(line.as_bytes())).text.into_owned()).unwrap()
        };
        assert_eq!(
            decode("SUMMARY;LANGUAGE=de;ENCODING=QUOTED-PRINTABLE:M=C3=BCll=0D=0A=zz"),
            "SUMMARY;LANGUAGE=de:Müll\\n=zz"
        );
        assert_eq!(decode("SUMMARY;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:M=FC=01ll"), "SUMMARY:Müll");
    }
}
