//! The two ends of a subscription, and values that exist once for each of them.

use std::ops::{Index, IndexMut};

/// One of the two places that a subscription connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The source of a mirror.
    A,
    /// The target of a mirror.
    B,
}

impl End {
    /// Both, in order.
    pub const BOTH: [End; 2] = [End::A, End::B];

    /// The word in the state file.
    pub fn as_str(self) -> &'static str {
        match self {
            End::A => "a",
            End::B => "b",
        }
    }

    /// The end for this word.
    pub fn from_word(word: &str) -> Option<End> {
        End::BOTH.into_iter().find(|end| end.as_str() == word)
    }
}

/// One value for each end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends<T> {
    /// That of the source of a mirror.
    pub a: T,
    /// That of the target of a mirror.
    pub b: T,
}

impl<T> Index<End> for Ends<T> {
    type Output = T;

    fn index(&self, end: End) -> &T {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }
}

impl<T> IndexMut<End> for Ends<T> {
    fn index_mut(&mut self, end: End) -> &mut T {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }
}
