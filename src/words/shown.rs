//! Texts as people get to see them.

use std::borrow::Cow;

/// How many characters of a text are shown to people.
const LONGEST_SHOWN: usize = 200;

/// A text as it is shown to people: cut where it becomes endless.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_SHOWN) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}
