//! A feed server that costs next to nothing: its answer lies ready in one piece. Plain, or encrypted with a throw-away
//! certificate.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running feed server, to the end of the process.
pub(crate) struct Origin {
    address: SocketAddr,
    encrypted: bool,
    served: Arc<Mutex<Served>>,
    asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Served {
    etag: String,
    whole: Arc<Vec<u8>>,
}

impl Served {
    fn new(body: &[u8], version: usize) -> Served {
        let etag = format!("\"{version}\"");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/calendar; charset=utf-8\r\nETag: {etag}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Served { etag, whole: Arc::new([head.as_bytes(), body].concat()) }
    }
}

impl Origin {
    /// Serves a feed at every path.
    pub(crate) fn start(body: &[u8]) -> Origin {
        Origin::with(body, None)
    }

    /// The same over https, with this certificate.
    pub(crate) fn encrypted(body: &[u8], certificate: &Certificate) -> Origin {
        Origin::with(body, Some(certificate.server()))
    }

    fn with(body: &[u8], tls: Option<Arc<ServerConfig>>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let origin = Origin {
            address: listener.local_addr().expect("an address"),
            encrypted: tls.is_some(),
            served: Arc::new(Mutex::new(Served::new(body, 0))),
            asked: Arc::default(),
        };
        let (served, asked) = (Arc::clone(&origin.served), Arc::clone(&origin.asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, asked, tls) = (Arc::clone(&served), Arc::clone(&asked), tls.clone());
                thread::spawn(move || {
                    stream.set_nodelay(true).expect("a socket");
                    match tls {
                        None => converse(&stream, &served, &asked),
                        Some(config) => {
                            let session = ServerConnection::new(config).expect("a session");
                            converse(StreamOwned::new(session, stream), &served, &asked);
                        }
                    }
                });
            }
        });
        origin
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let host = if self.encrypted { "https://localhost" } else { "http://127.0.0.1" };
        format!("{host}:{}/{path}", self.address.port())
    }

    /// Serves another body, under another ETag.
    pub(crate) fn set(&self, body: &[u8], version: usize) {
        *self.served.lock().expect("no panic") = Served::new(body, version);
    }

    /// The ETag of what is served.
    pub(crate) fn etag(&self) -> String {
        self.served.lock().expect("no panic").etag.clone()
    }

    /// Requests since the last call.
    pub(crate) fn take(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

/// Answers until the client goes; how it goes is its affair.
fn converse(stream: impl Read + Write, served: &Mutex<Served>, asked: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !reader.read_line(&mut head).is_ok_and(|length| length > 0) {
                return;
            }
        }
        asked.fetch_add(1, Ordering::Relaxed);
        let served = served.lock().expect("no panic").clone();
        let answer = if head.contains(&served.etag) {
            format!("HTTP/1.1 304 Not Modified\r\nETag: {}\r\n\r\n", served.etag).into_bytes().into()
        } else {
            served.whole
        };
        if reader.get_mut().write_all(&answer).and_then(|()| reader.get_mut().flush()).is_err() {
            return;
        }
    }
}

/// A certificate for `localhost` that lives as long as its folder.
pub(crate) struct Certificate {
    folder: PathBuf,
    /// The certificates of this machine and this one, for every client alike.
    pub(crate) bundle: PathBuf,
}

impl Certificate {
    /// Makes one with `openssl`; `None` where that is missing.
    pub(crate) fn make(folder: &Path) -> Option<Certificate> {
        let [key, own, bundle] = ["key.pem", "own.pem", "bundle.pem"].map(|name| folder.join(name));
        let made = Command::new("openssl")
            .args(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
                    .split(' '),
            )
            .args("-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE".split(' '))
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&own)
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mut all = std::fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        all.extend(std::fs::read(&own).expect("the certificate"));
        std::fs::write(&bundle, all).expect("the bundle");
        Some(Certificate { folder: folder.to_owned(), bundle })
    }

    fn server(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::from_pem_file(self.folder.join("own.pem")).expect("the certificate");
        let key = PrivateKeyDer::from_pem_file(self.folder.join("key.pem")).expect("its key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("TLS 1.2 and 1.3").with_no_client_auth().with_single_cert(vec![chain], key);
        Arc::new(config.expect("key and certificate belong together"))
    }
}
