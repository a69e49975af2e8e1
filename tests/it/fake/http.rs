//! A small HTTP/1.1 server, encrypted or not: a thread per connection, keep-alive, every request kept for the tests to
//! look at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub method: String,
    /// Path and query, as they were written.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Method and path, for comparing whole conversations.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What a handler says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Only so many octets of the body are sent, though all were announced; then the connection is closed.
    pub cut: Option<usize>,
    /// Waits before every octet of the body.
    pub pause: Option<Duration>,
    /// Nothing at all is sent; the connection is closed.
    pub dropped: bool,
    /// Writes an answer of its own octet by octet; then the connection is closed.
    pub raw: Option<Raw>,
}

/// Something that writes to a connection until it is done or nobody listens.
pub(crate) type Raw = fn(&mut dyn Write) -> std::io::Result<()>;

impl Answer {
    pub(crate) fn new(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Vec::new(), cut: None, pause: None, dropped: false, raw: None }
    }

    /// Closes the connection without a word.
    pub(crate) fn silence() -> Answer {
        Answer { dropped: true, ..Answer::new(0) }
    }

    /// Sends just what this writes, and closes the connection.
    pub(crate) fn raw(raw: Raw) -> Answer {
        Answer { raw: Some(raw), ..Answer::new(0) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self.header("Content-Type", media_type)
    }
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A running server; it stops when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopping: Arc<Mutex<bool>>,
    encryption: Arc<Mutex<Option<Arc<ServerConfig>>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(Mutex::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let encryption: Arc<Mutex<Option<Arc<ServerConfig>>>> = Arc::default();
        let (log, stop, tls) = (Arc::clone(&asked), Arc::clone(&stopping), Arc::clone(&encryption));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *stop.lock().unwrap() {
                    break;
                }
                let (handler, log, stop) = (Arc::clone(&handler), Arc::clone(&log), Arc::clone(&stop));
                let tls = tls.lock().unwrap().clone();
                // A connection that breaks is the client's affair.
                thread::spawn(move || match tls {
                    None => converse(stream, handler.as_ref(), &log, &stop).ok(),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).unwrap();
                        converse(StreamOwned::new(session, stream), handler.as_ref(), &log, &stop).ok()
                    }
                });
            }
        });
        Server { address, asked, stopping, encryption }
    }

    /// Speaks https from now on, or http again.
    pub(crate) fn encrypt(&self, encryption: Option<Arc<ServerConfig>>) {
        *self.encryption.lock().unwrap() = encryption;
    }

    /// An address on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.encryption.lock().unwrap().is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Everything that was asked since the last call.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Refuses connections from now on.
    pub(crate) fn stop(&self) {
        *self.stopping.lock().unwrap() = true;
        // Wakes the thread that waits for a connection; it drops the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Until one side has enough; then the connection is closed.
fn converse(
    stream: impl Read + Write,
    handler: &Handler,
    log: &Mutex<Vec<Asked>>,
    stop: &Mutex<bool>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read_request(&mut stream)? {
        log.lock().unwrap().push(asked.clone());
        let answer = handler(&asked);
        if let Some(raw) = answer.raw {
            return raw(stream.get_mut());
        }
        if answer.dropped || *stop.lock().unwrap() || !write_answer(stream.get_mut(), &asked, &answer)? {
            break;
        }
    }
    Ok(())
}

/// `None` when the client closed the connection between two requests.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let first = read_line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut asked = Asked { method, target, ..Asked::default() };
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        asked.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if asked.header("transfer-encoding").is_some() {
        asked.body = read_chunks(reader)?;
    } else if let Some(length) = asked.header("content-length").and_then(|length| length.parse().ok()) {
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body)?;
    }
    Ok(Some(asked))
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// A body in chunks (RFC 9112 §7.1).
pub(crate) fn read_chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&read_line(reader)?, 16).unwrap_or(0);
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..])?;
        read_line(reader)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

/// Whether the connection may go on.
fn write_answer(stream: &mut impl Write, asked: &Asked, answer: &Answer) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !matches!(answer.status, 204 | 304) {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    let sent = match answer.cut {
        _ if asked.method == "HEAD" => &[],
        Some(cut) => &answer.body[..cut.min(answer.body.len())],
        None => &answer.body[..],
    };
    let mut whole = (head + "\r\n").into_bytes();
    if let Some(pause) = answer.pause {
        stream.write_all(&whole)?;
        for octet in sent {
            thread::sleep(pause);
            stream.write_all(std::slice::from_ref(octet))?;
        }
    } else {
        // One write: a head and a body in two packets would wait for the client's delayed acknowledgement.
        whole.extend_from_slice(sent);
        stream.write_all(&whole)?;
    }
    let closing = asked.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(answer.cut.is_none() && !closing)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        207 => "Multi-Status",
        302 => "Found",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        412 => "Precondition Failed",
        507 => "Insufficient Storage",
        _ => "Whatever",
    }
}
