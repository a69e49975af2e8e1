//! Stands between the program and a server, passes everything on, and keeps what was asked and answered.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use crate::fake::http::{Answer, Asked, Server, read_chunks};

/// Header fields that concern one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 4] = ["connection", "content-length", "keep-alive", "transfer-encoding"];

/// Is shown each request before it is passed on, and says whether it is.
type Hook = Box<dyn FnMut(&Asked) -> bool + Send>;

/// A running proxy.
pub(crate) struct Proxy {
    server: Server,
    hook: Arc<Mutex<Option<Hook>>>,
    exchanges: Arc<Mutex<Vec<(Asked, u16)>>>,
}

impl Proxy {
    /// Stands before this server (`http://host:port`).
    pub(crate) fn before(origin: &str) -> Proxy {
        let upstream = origin.trim_start_matches("http://").to_owned();
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&exchanges);
        let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
        let shown = Arc::clone(&hook);
        let server = Server::start(move |asked| {
            if !shown.lock().unwrap().as_mut().is_none_or(|hook| hook(asked)) {
                return Answer::silence();
            }
            let answer = pass_on(&upstream, asked).unwrap_or_else(|_| Answer::silence());
            kept.lock().unwrap().push((asked.clone(), answer.status));
            answer
        });
        Proxy { server, hook, exchanges }
    }

    /// An address on the server, by way of the proxy.
    pub(crate) fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Requests and their statuses since the last call, in the order of the answers.
    pub(crate) fn take(&self) -> Vec<(Asked, u16)> {
        std::mem::take(&mut *self.exchanges.lock().unwrap())
    }

    /// Shows every request to this before it is passed on; what it answers with `false` ends with the connection closed.
    pub(crate) fn hook(&self, hook: impl FnMut(&Asked) -> bool + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Passes everything on again.
    pub(crate) fn unhook(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// Refuses connections from now on.
    pub(crate) fn stop(&self) {
        self.server.stop();
    }
}

/// Sends the request on a connection of its own and reads the answer to its end.
fn pass_on(upstream: &str, asked: &Asked) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(upstream)?;
    let mut head =
        format!("{} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", asked.line(), asked.body.len());
    for (name, value) in asked.headers.iter().filter(|(name, _)| !is_hop_by_hop(name)) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut request = (head + "\r\n").into_bytes();
    request.extend_from_slice(&asked.body);
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    read_answer(&answer)
}

fn read_answer(octets: &[u8]) -> std::io::Result<Answer> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let mut answer = Answer::new(status.ok_or(std::io::ErrorKind::InvalidData)?);
    let mut chunked = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        if !is_hop_by_hop(name) {
            answer = answer.header(name, value.trim());
        }
    }
    let body = &octets[end + 4..];
    answer.body = if chunked { read_chunks(&mut BufReader::new(body))? } else { body.to_vec() };
    Ok(answer)
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known))
}
