//! Encrypted connections to servers with all kinds of certificates (`tests/fixtures/tls/make`).

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use rustls::{ServerConfig, ServerConnection};

use super::*;
use crate::http::Client;
use crate::signal::Stop;
use crate::words::error::{kind_of, sentence};
use crate::words::message::{Request, Why};
use crate::words::time::Timestamp;
use crate::words::url::Url;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Starts a server with this certificate that answers each request with 200 and `hello`; returns its port.
fn server(certificate: &str) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(fixture(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, stream.unwrap());
            let mut request = [0; 4096];
            while stream.read(&mut request).is_ok_and(|octets| octets > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
            }
        }
    });
    port
}

/// Options that trust this certificate. A machine without certificates of its own needs at least one.
fn trusting(ca: &str) -> Options {
    Options { tls_ca: Some(fixture(ca)), retries: 0, ..Options::default() }
}

fn client(trusted: &str) -> Client {
    Client::new(&trusting(trusted), Stop::default())
}

fn get(client: &Client, port: u16) -> anyhow::Result<Vec<u8>> {
    let url = Url::parse(&format!("https://localhost:{port}/private?token=t0ken")).unwrap();
    client.send(&Request::new("GET", url), Why::Find, None, 100).map(|response| response.body)
}

/// Checks the kind and message of the failure when a client that trusts one certificate meets another.
#[track_caller]
fn check(certificate: &str, trusted: &str, kind: Kind, words: &str) {
    let port = server(certificate);
    let error = get(&client(trusted), port).unwrap_err();
    let words = format!("no safe connection to https://localhost:{port}: {words}");
    assert_eq!((sentence(&error), kind_of(&error)), (words, kind));
}

#[test]
fn a_certificate_that_the_configuration_names_is_trusted_and_the_connection_is_kept() {
    for (certificate, trusted) in
        [("own.pem", "own.pem"), ("server.pem", "authority.pem"), ("server.pem", "server.pem")]
    {
        let (client, port) = (client(trusted), server(certificate));
        assert_eq!(get(&client, port).unwrap(), b"hello");
        assert_eq!(get(&client, port).unwrap(), b"hello");
        assert!(client.round_trip().is_some());
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_for_a_person_to_judge() {
    let words =
        "nobody whom this machine trusts has signed its certificate; if you trust it, name it or its CA in `tls_ca`";
    check("own.pem", "stranger.pem", Kind::Refused, words);
    check("server.pem", "stranger.pem", Kind::Refused, words);
}

#[test]
fn a_certificate_is_good_for_its_own_names_only() {
    let words = "its certificate is for cal.example.org, *.example.net; check the address";
    check("elsewhere.pem", "authority.pem", Kind::Refused, words);
    check("elsewhere.pem", "elsewhere.pem", Kind::Refused, words);
    let words = "its certificate names no host; it must be made anew, with a subjectAltName";
    check("nameless.pem", "nameless.pem", Kind::Refused, words);
}

#[test]
fn a_certificate_out_of_date_is_mended_by_others() {
    let until = Timestamp(1_615_734_566).local();
    let words = format!("its certificate was good until {until}; whoever runs the server must renew it");
    check("expired.pem", "authority.pem", Kind::Unavailable, &words);
    check("expired.pem", "expired.pem", Kind::Unavailable, &words);
    let from = Timestamp(4_102_444_800).local();
    let words = format!("its certificate is good from {from}; check the clock of this machine");
    check("future.pem", "authority.pem", Kind::Unavailable, &words);
}

#[test]
fn a_server_that_speaks_plain_http_is_told_apart_from_an_unsafe_one() {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let error = sentence(&get(&client("own.pem"), port).unwrap_err());
    assert!(error.ends_with("does not speak https; perhaps the address is one of plain http"), "{error}");
}

/// The error for this certificate and a copy of this key, before anything is sent.
fn refused(certificate: &str, key: &str, mode: u32) -> Option<(Kind, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::copy(fixture(key), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let options = Options { tls_cert: Some(fixture(certificate)), tls_key: Some(path), ..Options::default() };
    options.check_certificates().err().map(|error| (kind_of(&error), sentence(&error)))
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_a_mistake_in_the_configuration() {
    assert_eq!(refused("client.pem", "client.key", 0o600), None);
    for (key, words) in [("server.key", "does not go with the key"), ("server.pem", "holds no private key")] {
        let (kind, said) = refused("client.pem", key, 0o600).unwrap();
        assert!(kind == Kind::Configuration && said.contains(words), "{said}");
    }
    // A certificate is not secret, so a file with nothing else may be world-readable.
    let alone = Options { tls_cert: Some(fixture("client.pem")), ..Options::default() };
    let error = alone.check_certificates().unwrap_err();
    assert_eq!(kind_of(&error), Kind::Configuration);
    assert!(
        sentence(&error).ends_with("client.pem holds no private key in PEM form; name its file in `tls_key`"),
        "{error:#}"
    );
}

#[test]
fn a_key_that_others_can_read_is_refused_like_any_secret() {
    let (kind, said) = refused("client.pem", "client.key", 0o644).unwrap();
    assert!(kind == Kind::Refused && said.contains("chmod go-rwx"), "{said}");
}
