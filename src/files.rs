//! Files with rules: secrets that others must not read.

use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFault};
use crate::secret::Secret;

/// Reads a secret file.
pub fn read_secret_file(path: &Path, _exempt: &[PathBuf]) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).or_fault(Kind::Configuration, || format!("{}", path.display()))?;
    Ok(Secret::new(text.trim_end_matches('\n')))
}
