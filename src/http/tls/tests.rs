//! Encrypted connections to a server with a certificate of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use rustls::{ServerConfig, ServerConnection};

use super::*;
use crate::error::{kind_of, sentence};
use crate::http::Client;
use crate::signal::Stop;
use crate::url::Url;
use crate::wire::Request;

/// Made by `openssl req -x509 -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost`: a certificate that
/// signs itself and calls itself a CA.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUXf7Wy4S07YDm3YvCcIv2I60FovUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDA5NDU1NloYDzIxMjYxMDI3
MDk0NTU2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS/4wS2DSgxpILbvsYe1vGa5+SYegVDyXSxMgE6kX6cN56WItd57E6b
C5WBQIvWknIy0mOQ35oJT+EX2R/7boaBo2kwZzAdBgNVHQ4EFgQUMt2IKNDhxFqA
dj0aTmC8aXTrVZIwHwYDVR0jBBgwFoAUMt2IKNDhxFqAdj0aTmC8aXTrVZIwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhALbWMyRie1/vfW6wCxDGnL7KcrIkMlICi5CoaaRWpVlTAiEAubMBvhW6
b5pmbHKpKORZmYQl/lrn2YBxmpcS8BRA8XU=
-----END CERTIFICATE-----
";
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsFcCUOmlRa2dlocP
AzYY1bogF4+JTA5JUnB+olW0xrKhRANCAAS/4wS2DSgxpILbvsYe1vGa5+SYegVD
yXSxMgE6kX6cN56WItd57E6bC5WBQIvWknIy0mOQ35oJT+EX2R/7boaB
-----END PRIVATE KEY-----
";
/// A key that does not belong to `CERTIFICATE`.
const OTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxpfaQWVtqQao7bgn
49t0sUMSniTKL6wTK6YEAYYq2cuhRANCAATfS0FxpfY5RyLLnSgIrUx+xFm/2PaW
mgFnZ9h5ItYwmq8mLjwIZVcHiMOQoSMoh+LmtP8fi4kR0OuXscLapczm
-----END PRIVATE KEY-----
";

/// A certificate for `OTHER_KEY`.
const OTHER_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUGOvtywzYw9S9KnHGAqYgeHmm8uEwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRb3RoZXIuZXhhbXBsZS5vcmcwIBcNMjYxMTIwMDk0NTU2WhgP
MjEyNjEwMjcwOTQ1NTZaMBwxGjAYBgNVBAMMEW90aGVyLmV4YW1wbGUub3JnMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE30tBcaX2OUciy50oCK1MfsRZv9j2lpoB
Z2fYeSLWMJqvJi48CGVXB4jDkKEjKIfi5rT/H4uJEdDrl7HC2qXM5qNTMFEwHQYD
VR0OBBYEFFAWgMHnmPcIt2ibMOEjKxz0HrTgMB8GA1UdIwQYMBaAFFAWgMHnmPcI
t2ibMOEjKxz0HrTgMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIh
ALquUiM4m2KHWjhdANxzzIZ3U9lA2JnQwxBJpJSOCv4OAiA/9X9V7cdxRlJCiPRJ
s9WL8FA2Oga0ySYYIt2mdqaXew==
-----END CERTIFICATE-----
";

/// A server that answers each request with 200 and `hello`; gives its port.
fn server() -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
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

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn client(options: Options) -> Client {
    Client::new(&Options { retries: 0, ..options }, Stop::default()).unwrap()
}

fn get(client: &Client, host: &str, port: u16) -> anyhow::Result<Vec<u8>> {
    let url = Url::parse(&format!("https://{host}:{port}/private?token=t0ken")).unwrap();
    client.send(&Request::new("GET", url), None, 100).map(|response| response.body)
}

fn check(options: Options, host: &str, kind: Kind, words: &str) {
    let port = server();
    let error = get(&client(options), host, port).unwrap_err();
    assert_eq!((sentence(&error).replace(&port.to_string(), "PORT").as_str(), kind_of(&error)), (words, kind));
}

#[test]
fn a_certificate_that_the_configuration_names_is_trusted_and_the_connection_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(Options { tls_ca: Some(file(&folder, "server.pem", CERTIFICATE)), ..Options::default() });
    let port = server();
    assert_eq!(get(&client, "localhost", port).unwrap(), b"hello");
    assert_eq!(get(&client, "localhost", port).unwrap(), b"hello");
    assert!(client.round_trip().is_some());
}

#[test]
fn any_other_certificate_needs_an_authority() {
    let words = "no safe connection to https://localhost:PORT: its certificate comes from nobody whom this machine trusts; \
                 if you trust it, name it or its CA in `tls_ca`";
    let folder = tempfile::tempdir().unwrap();
    // A machine that has no certificates of its own needs some other one.
    let other = file(&folder, "other.pem", OTHER_CERTIFICATE);
    check(Options { tls_ca: Some(other), ..Options::default() }, "localhost", Kind::Unavailable, words);
}

#[test]
fn a_named_certificate_is_not_trusted_for_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { tls_ca: Some(file(&folder, "server.pem", CERTIFICATE)), ..Options::default() };
    let words = "no safe connection to https://127.0.0.1:PORT: its certificate is for another name";
    check(options, "127.0.0.1", Kind::Unavailable, words);
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
    let folder = tempfile::tempdir().unwrap();
    let options = Options { tls_ca: Some(file(&folder, "server.pem", CERTIFICATE)), ..Options::default() };
    let error = sentence(&get(&client(options), "localhost", port).unwrap_err());
    assert!(error.ends_with("does not speak https; is the address one of plain http?"), "{error}");
}

#[test]
fn a_key_that_does_not_belong_to_the_certificate_is_a_mistake_in_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let server = file(&folder, "server.pem", CERTIFICATE);
    let options = |key| Options {
        tls_ca: Some(server.clone()),
        tls_cert: Some(server.clone()),
        tls_key: Some(file(&folder, "key.pem", key)),
        ..Options::default()
    };
    assert_eq!(get(&client(options(KEY)), "localhost", self::server()).unwrap(), b"hello");
    let words = "`tls_cert` and `tls_key` cannot be used: keys may not be consistent: KeyMismatch";
    check(options(OTHER_KEY), "localhost", Kind::Configuration, words);
}
