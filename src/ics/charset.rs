//! Decodes a body to UTF-8 text and removes forbidden characters. The only file that names the crate `encoding_rs`.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::memmem;

use super::scan::Lines;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body that can be scanned as octets.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoded {
    /// The text, in UTF-8 except for what `clean` fixes line by line.
    pub text: Vec<u8>,
    /// Whether lines may hold octets that `clean` would change.
    pub suspicious: bool,
}

/// Decodes a body only if needed: by its BOM, then by the server's charset, then as UTF-8 if it is mostly valid, then
/// as Windows-1252, in which every octet sequence is valid.
pub(super) fn decode(mut body: Vec<u8>, charset: Option<&str>) -> Decoded {
    let named = Encoding::for_bom(&body).map(|(encoding, _)| encoding).or_else(|| foreign(charset));
    let encoding = match named {
        None if is_clean(&body) => return Decoded { text: body, suspicious: false },
        None if is_mostly_utf8(&body) => return Decoded { text: body, suspicious: true },
        None => WINDOWS_1252,
        Some(encoding) => encoding,
    };
    let text = if encoding == UTF_8 {
        body.drain(..BYTE_ORDER_MARK.len());
        body
    } else if encoding == UTF_16LE || encoding == UTF_16BE {
        decode_as(encoding, &body)
    } else {
        // Folding counts octets and may split a character.
        decode_as(encoding, &unfolded(&body))
    };
    let suspicious = !is_clean(&text);
    Decoded { text, suspicious }
}

/// The server's charset, unless it is UTF-8 or unknown.
fn foreign(charset: Option<&str>) -> Option<&'static Encoding> {
    charset.and_then(|label| Encoding::for_label(label.as_bytes())).filter(|encoding| *encoding != UTF_8)
}

fn decode_as(encoding: &'static Encoding, body: &[u8]) -> Vec<u8> {
    encoding.decode(body).0.into_owned().into_bytes()
}

fn unfolded(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len());
    for line in Lines::new(body) {
        text.extend_from_slice(&line.text);
        text.push(b'\n');
    }
    text
}

/// Whether at least as many non-ASCII sequences are valid UTF-8 as are not, after unfolding.
fn is_mostly_utf8(body: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0_usize, 0_usize);
    for chunk in Lines::new(body).filter(|line| !line.text.is_ascii()) {
        for chunk in chunk.text.utf8_chunks() {
            valid += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
            invalid += usize::from(!chunk.invalid().is_empty());
        }
    }
    valid >= invalid
}

/// Decodes text without a declared encoding: as UTF-8 if valid, otherwise as Windows-1252.
pub(super) fn guess(octets: &[u8], charset: Option<&str>) -> String {
    match (foreign(charset), std::str::from_utf8(octets)) {
        (Some(encoding), _) => encoding.decode(octets).0.into_owned(),
        (_, Ok(text)) => text.to_owned(),
        _ => WINDOWS_1252.decode(octets).0.into_owned(),
    }
}

/// Whether a whole body is valid UTF-8 without characters that servers reject. A carriage return only counts within a
/// line.
fn is_clean(text: &[u8]) -> bool {
    let next = text.get(1..).unwrap_or_default();
    // Folding numbers instead of stopping at the first match lets the compiler use SIMD.
    let count =
        |found, (one, other): (&u8, &u8)| found | u8::from(is_control(*one) || (*one == b'\r' && *other != b'\n'));
    let mut pieces = text.chunks(4096).zip(next.chunks(4096));
    let bad = pieces.any(|(piece, next)| piece.iter().zip(next).fold(0, count) != 0);
    let bad = bad || text.last().is_some_and(|last| is_control(*last));
    !bad && !has_noncharacter(text) && Encoding::utf8_valid_up_to(text) == text.len()
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0x7f
}

fn has_noncharacter(text: &[u8]) -> bool {
    memmem::find_iter(text, b"\xef\xbf").any(|at| matches!(text.get(at + 2), Some(0xbe | 0xbf)))
}

/// The line without control characters, U+FFFE, U+FFFF and carriage returns, and with U+FFFD for octets that are not
/// UTF-8; `None` if it is clean.
pub(super) fn clean(line: &[u8]) -> Option<Vec<u8>> {
    if is_clean(line) && !line.ends_with(b"\r") {
        return None;
    }
    let unwanted = |character: char| {
        matches!(character, '\r' | '\n' | '\u{fffe}' | '\u{ffff}' | '\u{7f}') || (character < ' ' && character != '\t')
    };
    let text = String::from_utf8_lossy(line);
    Some(text.chars().filter(|character| !unwanted(*character)).collect::<String>().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8], charset: Option<&str>, expected: &str) {
        let text = decode(body.to_vec(), charset).text;
        let lines: Vec<_> = Lines::new(&text).map(|line| clean(&line.text).unwrap_or(line.text.into_owned())).collect();
        assert_eq!(String::from_utf8(lines.join(&b'\n')).unwrap(), expected);
    }

    #[test]
    fn a_byte_order_mark_decides_and_is_gone() {
        check(b"\xef\xbb\xbfA:\xc3\xa9", Some("iso-8859-1"), "A:é");
        check(b"\xff\xfeA\0:\0\xe9\0\n\0B\0", None, "A:é\nB");
        check(b"\xfe\xff\0A\0:\0\xe9", Some("utf-8"), "A:é");
    }

    #[test]
    fn the_charset_of_the_server_decides_next() {
        check(b"A:\xe9\xc3\xa9", Some("ISO-8859-1"), "A:éÃ©");
        check(b"A:\x8e\r\n \x52", Some("Shift_JIS"), "A:山");
        check(b"A:\xc3\xa9", Some("no-such-charset"), "A:é");
    }

    #[test]
    fn stray_octets_are_replaced_in_utf8_and_else_read_as_windows_1252() {
        check(b"A:\xc3\xa9\xc3\xa9\xe9", None, "A:éé\u{fffd}");
        check(b"A:caf\xe9 \x80", Some("utf-8"), "A:café €");
        check(b"A:\xc3\r\n \xa9", None, "A:é");
    }

    #[test]
    fn what_poisons_xml_is_removed() {
        check("A:\u{1}x\u{b}\u{1f}\u{7f}\u{fffe}\u{ffff}\ty\u{fffd}\rz\0".as_bytes(), None, "A:x\ty\u{fffd}z");
        assert_eq!(clean("A:ä\t".as_bytes()), None);
    }
}
