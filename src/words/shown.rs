//! Text prepared for display.

use std::borrow::Cow;

/// How many characters of a text are shown.
const LONGEST_SHOWN: usize = 200;

/// Truncates a text for display.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_SHOWN) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}
