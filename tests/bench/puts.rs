//! The least that a first pass can cost: the same PUTs, one after the other, over a bare socket that is kept open as long
//! as the server lets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::fake::dav_store::md5;

/// Who writes where.
pub(crate) struct Writer {
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What the server wants to see answered.
struct Challenge {
    realm: String,
    nonce: String,
    opaque: String,
}

impl Writer {
    /// Sends the bodies to `path` with a number for each name; gives the time of all. The challenge is asked for before.
    pub(crate) fn put_all(&self, path: &str, bodies: &[Vec<u8>]) -> Duration {
        let mut stream = self.connect();
        let (_, head) = exchange(&mut stream, "PROPFIND", path, "", b"").expect("an answer");
        let challenge = Challenge::read(&head);
        let start = Instant::now();
        for (number, body) in bodies.iter().enumerate() {
            let target = format!("{path}bare-{number}.ics");
            let login = challenge.as_ref().map(|challenge| self.digest(challenge, &target, number + 1));
            let headers = format!(
                "{}If-None-Match: *\r\nContent-Type: text/calendar; charset=utf-8\r\n",
                login.unwrap_or_default()
            );
            let mut answer = exchange(&mut stream, "PUT", &target, &headers, body);
            if answer.is_none() {
                stream = self.connect();
                answer = exchange(&mut stream, "PUT", &target, &headers, body);
            }
            let (status, head) = answer.expect("an answer");
            assert_eq!(status, 201, "PUT {target}: {head}");
            if head.to_ascii_lowercase().contains("\r\nconnection: close") {
                stream = self.connect();
            }
        }
        start.elapsed()
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        BufReader::new(stream)
    }

    /// RFC 7616 §3.4.1 with MD5 and qop=auth.
    fn digest(&self, challenge: &Challenge, target: &str, count: usize) -> String {
        let Writer { user, password, .. } = self;
        let Challenge { realm, nonce, opaque } = challenge;
        let who = md5(format!("{user}:{realm}:{password}").as_bytes());
        let what = md5(format!("PUT:{target}").as_bytes());
        let response = md5(format!("{who}:{nonce}:{count:08x}:bench:auth:{what}").as_bytes());
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
             qop=auth, nc={count:08x}, cnonce=\"bench\", response=\"{response}\", opaque=\"{opaque}\"\r\n"
        )
    }
}

impl Challenge {
    fn read(head: &str) -> Option<Challenge> {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("www-authenticate: digest"))?;
        let field = |name: &str| {
            let rest = line.split_once(&format!("{name}=\""))?.1;
            rest.split('"').next().map(str::to_owned)
        };
        Some(Challenge { realm: field("realm")?, nonce: field("nonce")?, opaque: field("opaque")? })
    }
}

/// Status and head of the answer; `None` when the connection is gone.
fn exchange(
    stream: &mut BufReader<TcpStream>,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Option<(u16, String)> {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let length = length.unwrap_or(0_u64);
    std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).ok()?;
    Some((head.split(' ').nth(1)?.parse().ok()?, head))
}
