//! A test server that reads requests and returns scripted raw responses, including malformed ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::words::url::Url;

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Writes these octets.
    Raw(Vec<u8>),
    /// Writes these octets and closes the connection.
    Last(Vec<u8>),
    /// Sends nothing and keeps the connection open.
    Silence,
    /// Writes these octets, then one more every 50 ms forever.
    Drip(Vec<u8>),
}

/// A response with a Content-Length.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut raw = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for header in headers {
        raw.extend_from_slice(format!("{header}\r\n").as_bytes());
    }
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(body);
    Answer::Raw(raw)
}

/// A listening server.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Returns the answers in turn and repeats the last one. A new connection continues where the previous one ended.
    pub(crate) fn start(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&mut stream.unwrap(), &answers, &seen);
            }
        });
        Server { port, requests }
    }

    /// The address of a path on this server.
    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    /// The complete requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.lines().next().unwrap().to_owned()).collect()
    }
}

fn serve(stream: &mut TcpStream, answers: &[Answer], seen: &Mutex<Vec<String>>) {
    while let Some(request) = read_request(stream) {
        let turn = {
            let mut seen = seen.lock().unwrap();
            seen.push(request);
            seen.len() - 1
        };
        match answers.get(turn).or(answers.last()).unwrap() {
            Answer::Raw(raw) => stream.write_all(raw).unwrap(),
            Answer::Last(raw) => return stream.write_all(raw).unwrap(),
            Answer::Silence => {}
            Answer::Drip(raw) => {
                stream.write_all(raw).unwrap();
                while stream.write_all(b"x").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
}

/// `None` if the client has closed the connection.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut octet = [0];
    while !request.ends_with(b"\r\n\r\n") {
        (stream.read(&mut octet).ok()? == 1).then(|| request.push(octet[0]))?;
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
