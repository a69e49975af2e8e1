//! SHA-256. The only file that names the crate `sha2`.

use std::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 hash; the field's name says of what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", &self.to_string()[..8])
    }
}

/// SHA-256 of the concatenated chunks.
pub fn sha256(chunks: &[&[u8]]) -> Hash {
    sha256_of(chunks.iter().copied())
}

/// The same for an iterator of chunks.
pub fn sha256_of<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> Hash {
    let mut digest = Sha256::new();
    for chunk in chunks {
        digest.update(chunk);
    }
    Hash(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_one_of_fips_180() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&[b"a", b"bc"]).to_string(), abc);
    }
}
