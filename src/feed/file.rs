//! A feed in a file or on standard input. It has no validators: the hash of the body shows whether it changed.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::model::Validators;
use crate::words::error::{Kind, OrFault, fault};

use super::{Fetched, Source};

/// A feed in a file.
#[derive(Debug)]
pub struct File {
    /// `None` for standard input.
    path: Option<PathBuf>,
    max_size: u64,
    /// The contents of standard input: it can be read only once, but a pass may fetch twice.
    input: Mutex<Option<Vec<u8>>>,
}

impl File {
    /// The feed in this file, or on standard input if the path is `-`; at most `max_size` octets.
    pub fn new(path: PathBuf, max_size: u64) -> File {
        let path = (path != Path::new("-")).then_some(path);
        File { path, max_size, input: Mutex::default() }
    }

    fn body(&self, open_input: impl FnOnce() -> Box<dyn Read>) -> anyhow::Result<Vec<u8>> {
        let Some(path) = &self.path else {
            let mut kept = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            let body = match kept.take() {
                Some(body) => body,
                None => self.read(open_input(), "standard input")?,
            };
            *kept = Some(body.clone());
            return Ok(body);
        };
        let name = path.display().to_string();
        let file = std::fs::File::open(path).or_fault(kind_of_open(path), || format!("cannot open {name}"))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(fault(
                Kind::Configuration,
                format!("{name} is a folder, not a feed; a folder is `dir:{name}`"),
            ));
        }
        self.read(Box::new(file), &name)
    }

    fn read(&self, input: Box<dyn Read>, name: &str) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        let read = input.take(self.max_size.saturating_add(1)).read_to_end(&mut body);
        read.or_fault(Kind::Unavailable, || format!("cannot read {name}"))?;
        if body.len() as u64 > self.max_size {
            return Err(fault(Kind::Feed, format!("{name} is larger than `max_size`, {} octets", self.max_size)));
        }
        Ok(body)
    }
}

fn kind_of_open(path: &Path) -> Kind {
    match path.metadata().map_err(|error| error.kind()) {
        Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Kind::Missing,
        Ok(_) | Err(io::ErrorKind::PermissionDenied) => Kind::Refused,
        Err(_) => Kind::Unavailable,
    }
}

impl Source for File {
    fn fetch(&self, _: &Validators) -> anyhow::Result<Fetched> {
        let body = self.body(|| Box::new(io::stdin()))?;
        Ok(Fetched::Document { body, charset: None, validators: Validators::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::{kind_of, sentence};

    fn check(source: &File, kind: Kind, words: &str) {
        let error = source.fetch(&Validators::default()).unwrap_err();
        assert_eq!(kind_of(&error), kind);
        assert!(sentence(&error).contains(words), "{error:#}");
    }

    #[test]
    fn a_file_is_a_document_without_validators() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed.ics");
        std::fs::write(&path, "BEGIN:VCALENDAR\r\n").unwrap();
        let whole = File::new(path.clone(), 17).fetch(&Validators::default()).unwrap();
        let body = b"BEGIN:VCALENDAR\r\n".to_vec();
        assert_eq!(whole, Fetched::Document { body, charset: None, validators: Validators::default() });
        check(&File::new(path, 16), Kind::Feed, "larger than `max_size`, 16 octets");
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        check(&File::new(folder.path().join("feed.ics"), 9), Kind::Missing, "/feed.ics: No such file");
        check(&File::new(folder.path().to_owned(), 9), Kind::Configuration, "is a folder");
    }

    #[test]
    fn standard_input_is_read_once_and_given_as_often_as_asked() {
        let source = File::new(PathBuf::from("-"), 9);
        let first = source.body(|| Box::new(&b"feed"[..])).unwrap();
        let second = source.body(|| Box::new(&b"other"[..])).unwrap();
        assert_eq!((first.as_slice(), second), (&b"feed"[..], first.clone()));
        let error = File::new(PathBuf::from("-"), 3).body(|| Box::new(&b"feed"[..])).unwrap_err();
        assert_eq!(kind_of(&error), Kind::Feed);
    }
}
