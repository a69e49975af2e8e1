//! A feed that answers as well or as badly as feeds do. What it serves can be changed between two runs.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use rustls::ServerConfig;

use super::http::{Answer, Asked, Server};

/// The path under which the feed stands: a secret, as in real life.
pub(crate) const PATH: &str = "/owa/calendar/5ecre7token/calendar.ics";

/// What the feed serves.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub body: Vec<u8>,
    pub media_type: String,
    /// ETag of the body; with it the feed answers 304 when it is asked with `If-None-Match`.
    pub etag: Option<String>,
    /// Last-Modified; with it the feed answers 304 to the same value in `If-Modified-Since`.
    pub last_modified: Option<String>,
    /// Compresses the body when the client allows it.
    pub gzip: bool,
    /// Closes the connection after so many octets of the body, though all were announced.
    pub cut: Option<usize>,
    /// Waits so long before each octet.
    pub pause: Option<Duration>,
    /// User and password that it asks for, by Basic.
    pub login: Option<(String, String)>,
    /// An answer for everyone, instead of the body.
    pub answer: Option<Answer>,
}

/// A running feed.
pub(crate) struct Feed {
    server: Server,
    serving: Arc<Mutex<Serving>>,
}

impl Feed {
    /// Serves this body as text/calendar, without validators.
    pub(crate) fn start(body: impl Into<Vec<u8>>) -> Feed {
        let serving = Arc::new(Mutex::new(Serving {
            body: body.into(),
            media_type: "text/calendar; charset=utf-8".to_owned(),
            etag: None,
            last_modified: None,
            gzip: false,
            cut: None,
            pause: None,
            login: None,
            answer: None,
        }));
        let shared = Arc::clone(&serving);
        let server = Server::start(move |asked| {
            let serving = shared.lock().unwrap().clone();
            answer(&serving, asked)
        });
        Feed { server, serving }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url(PATH)
    }

    /// What is served from now on; change it in place.
    pub(crate) fn serving(&self) -> MutexGuard<'_, Serving> {
        self.serving.lock().unwrap()
    }

    /// Serves another body, with an ETag of its own if there was one.
    pub(crate) fn set(&self, body: impl Into<Vec<u8>>) {
        let mut serving = self.serving();
        serving.body = body.into();
        if serving.etag.is_some() {
            serving.etag = Some(etag_of(&serving.body));
        }
    }

    /// Gives an ETag from now on.
    pub(crate) fn with_etag(self) -> Feed {
        let etag = etag_of(&self.serving().body);
        self.serving().etag = Some(etag);
        self
    }

    /// The same answer to everything from now on; `None` for the feed again.
    pub(crate) fn answer_always(&self, answer: Option<Answer>) {
        self.serving().answer = answer;
    }

    /// Requests since the last call.
    pub(crate) fn take(&self) -> Vec<Asked> {
        self.server.take()
    }

    /// Speaks https from now on, in this way.
    pub(crate) fn encrypt(&self, encryption: Arc<ServerConfig>) {
        self.server.encrypt(Some(encryption));
    }

    /// Refuses connections from now on.
    pub(crate) fn stop(&self) {
        self.server.stop();
    }
}

fn etag_of(body: &[u8]) -> String {
    format!("\"{}\"", super::dav_store::md5(body))
}

/// A page for people, with 200: a login form where the calendar was.
pub(crate) fn html_page() -> Answer {
    Answer::new(200).body("text/html; charset=utf-8", "<!DOCTYPE html>\r\n<html><body>Sign in</body></html>")
}

/// A redirect to another address.
pub(crate) fn redirect(to: &str) -> Answer {
    Answer::new(302).header("Location", to)
}

/// "Come back later".
pub(crate) fn too_many_requests(seconds: u32) -> Answer {
    Answer::new(429).header("Retry-After", seconds.to_string())
}

fn answer(serving: &Serving, asked: &Asked) -> Answer {
    if let Some(answer) = &serving.answer {
        return answer.clone();
    }
    if asked.target != PATH {
        return Answer::new(404);
    }
    if serving
        .login
        .as_ref()
        .is_some_and(|(user, password)| asked.header("authorization") != Some(&basic(user, password)))
    {
        return Answer::new(401).header("WWW-Authenticate", "Basic realm=\"feed\"");
    }
    let mut answer = Answer::new(200);
    for (name, value) in [("ETag", &serving.etag), ("Last-Modified", &serving.last_modified)] {
        if let Some(value) = value {
            answer = answer.header(name, value);
        }
    }
    if is_current(serving, asked) {
        answer.status = 304;
        return answer;
    }
    let accepts_gzip = asked.header("accept-encoding").is_some_and(|codings| codings.contains("gzip"));
    let mut body = serving.body.clone();
    if serving.gzip && accepts_gzip {
        body = gzip(&body);
        answer = answer.header("Content-Encoding", "gzip");
    }
    answer.cut = serving.cut;
    answer.pause = serving.pause;
    answer.body(&serving.media_type, body)
}

/// RFC 9110 §13.2.2: If-None-Match decides alone when it is there.
fn is_current(serving: &Serving, asked: &Asked) -> bool {
    match asked.header("if-none-match") {
        Some(known) => serving.etag.as_deref() == Some(known),
        None => {
            serving.last_modified.is_some() && asked.header("if-modified-since") == serving.last_modified.as_deref()
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The value of `Authorization` for Basic.
pub(crate) fn basic(user: &str, password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut written = "Basic ".to_owned();
    for three in format!("{user}:{password}").as_bytes().chunks(3) {
        let number = three.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[number >> (18 - 6 * place) & 63]);
            written.push(if place <= three.len() { letter } else { '=' });
        }
    }
    written
}
