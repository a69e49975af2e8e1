//! One exchange over one connection, and the meaning of its failures. Only this file and `tls` name the crate `ureq`.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport,
};
use ureq::{Agent, Timeout, http};

use crate::words::error::{Fault, Kind};
use crate::words::message::{Headers, Request, Response};
use crate::words::secret::Secret;

use super::Options;
use super::tls::Encrypting;

const USER_AGENT: &str = concat!("baikal-sync/", env!("CARGO_PKG_VERSION"));
/// Equals the maximum number of concurrent writes to one server.
const IDLE_CONNECTIONS_PER_HOST: usize = 8;
const IDLE_CONNECTIONS: usize = 64;
/// Maximum size of one read or write, in octets; each new connection clears and touches all of it.
const INPUT_BUFFER: usize = 64 * 1024;
const OUTPUT_BUFFER: usize = 16 * 1024;
/// Minimum growth of a buffer for a body of unknown length, in octets.
const GROWTH: u64 = 64 * 1024;

/// A response and its timing.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) response: Response,
    /// Time to the head of the response, if the connection was already open.
    pub(super) round_trip: Option<Duration>,
}

/// A failed exchange.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    /// An established connection broke.
    pub(super) lost: bool,
    /// The connection had been used before.
    pub(super) reused: bool,
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    options: Options,
    opened: Arc<AtomicU64>,
    agent: Agent,
}

impl Connections {
    pub(super) fn new(options: &Options) -> Connections {
        let opened = Arc::default();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(Counting(Arc::clone(&opened)))
                .chain(Encrypting::new(options));
        let agent = Agent::with_parts(config(options), connector, Names::default());
        Connections { options: options.clone(), opened, agent }
    }

    /// Sends a request and reads the response, up to `limit` octets of decoded body.
    pub(super) fn exchange(
        &self,
        request: &Request,
        authorization: Option<&Secret>,
        limit: u64,
    ) -> Result<Exchange, Trouble> {
        let opened_before = self.opened.load(Ordering::Relaxed);
        // If another thread opened one meanwhile, we take it for ours, which only costs a wait.
        let reused = || self.opened.load(Ordering::Relaxed) == opened_before;
        let trouble = |(fault, lost)| Trouble { fault, lost, reused: reused() };

        let message = message(request, authorization).map_err(|fault| trouble((fault, false)))?;
        let proxy = self.agent.config().proxy().filter(|proxy| !proxy.is_no_proxy(message.uri()));
        let failure = Failure { origin: request.url.origin(), through_proxy: proxy.is_some(), options: &self.options };
        let start = Instant::now();
        let answer =
            if request.body.is_empty() { self.agent.run(message.map(|_| ())) } else { self.agent.run(message) };
        let answer = answer.map_err(|error| trouble(failure.before_body(error)))?;
        let round_trip = reused().then(|| start.elapsed());
        let (head, body) = answer.into_parts();
        let mut headers = Headers::default();
        for (name, value) in &head.headers {
            headers.add(name.as_str(), value.as_bytes());
        }
        let body = read_body(body, limit, &failure).map_err(trouble)?;
        Ok(Exchange { response: Response { status: head.status.as_u16(), headers, body }, round_trip })
    }
}

fn config(options: &Options) -> Config {
    let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
    Config::builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(USER_AGENT)
        .timeout_resolve(seconds(options.connect_timeout))
        .timeout_connect(seconds(options.connect_timeout))
        .timeout_per_read(seconds(options.idle_timeout))
        .timeout_per_write(seconds(options.idle_timeout))
        .timeout_global(seconds(options.timeout))
        .input_buffer_size(INPUT_BUFFER)
        .output_buffer_size(OUTPUT_BUFFER)
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS_PER_HOST)
        .build()
}

/// Counts opened connections.
#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

impl<In: Transport> Connector<In> for Counting {
    type Out = In;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<In>, ureq::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(chained)
    }
}

/// Resolves each name once: a run is short, and ureq would resolve (in a new thread) for every request.
#[derive(Debug, Default)]
struct Names {
    system: DefaultResolver,
    known: Mutex<HashMap<String, Vec<SocketAddr>>>,
}

impl Names {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Vec<SocketAddr>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(address) = numeric(uri) {
            let mut addresses = self.empty();
            addresses.push(address);
            return Ok(addresses);
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let origin = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        if let Some(known) = self.known().get(&origin) {
            let mut addresses = self.empty();
            for address in known {
                addresses.push(*address);
            }
            return Ok(addresses);
        }
        let addresses = self.system.resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })?;
        self.known().insert(origin, addresses.iter().copied().collect());
        Ok(addresses)
    }
}

/// The address of a host given as an IP address, which needs no lookup and thus no resolver thread.
fn numeric(uri: &http::Uri) -> Option<SocketAddr> {
    let host = uri.host()?.trim_matches(['[', ']']).parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Some(SocketAddr::new(host, port))
}

fn message<'a>(request: &'a Request, authorization: Option<&Secret>) -> Result<http::Request<&'a [u8]>, Fault> {
    let mut builder = http::Request::builder().method(request.method).uri(request.url.reveal());
    for (name, value) in request.headers.iter() {
        builder = builder.header(name, value);
    }
    if let Some(authorization) = authorization {
        builder = builder.header("authorization", authorization.reveal());
    }
    // The library's own message could contain a secret.
    builder.body(request.body.as_slice()).map_err(|_| {
        let origin = request.url.origin();
        let text = format!("a request to {origin} cannot be sent: its address or a header is malformed");
        Fault::new(Kind::Configuration, text)
    })
}

fn read_body(body: ureq::Body, limit: u64, failure: &Failure<'_>) -> Result<Vec<u8>, (Fault, bool)> {
    let expected = body.content_length();
    if expected.is_some_and(|expected| expected > limit) {
        return Err((failure.too_large(limit), false));
    }
    let mut bytes = Vec::new();
    let mut reader = body.into_reader();
    loop {
        // One octet more than expected, to reach the end: only then can the connection be reused.
        let wanted = expected.map_or(GROWTH.max(bytes.len() as u64 / 4), |expected| expected + 1);
        let room = wanted.min(limit.saturating_add(1) - bytes.len() as u64);
        let reserved = usize::try_from(room).is_ok_and(|room| bytes.try_reserve_exact(room).is_ok());
        if !reserved {
            return Err((failure.too_large(bytes.len() as u64), false));
        }
        let got = reader.by_ref().take(room).read_to_end(&mut bytes);
        let got = got.map_err(|error| failure.in_body(error, bytes.len() as u64, expected))?;
        if bytes.len() as u64 > limit {
            return Err((failure.too_large(limit), false));
        }
        if (got as u64) < room {
            return Ok(bytes);
        }
    }
}

/// Explains failures.
struct Failure<'a> {
    origin: String,
    through_proxy: bool,
    options: &'a Options,
}

impl Failure<'_> {
    /// The failure of an exchange before its body, and whether an established connection was lost.
    fn before_body(&self, error: ureq::Error) -> (Fault, bool) {
        use ureq::Error;
        let lost = matches!(&error, Error::Io(error) | Error::Decompress(_, error) if is_loss(error));
        // The connection was established: a client that gets none did not hang the server.
        let hung = matches!(&error, Error::Timeout(timeout) if !matches!(timeout, Timeout::Resolve | Timeout::Connect));
        let origin = &self.origin;
        let message = match error {
            Error::Timeout(timeout) => self.timed_out(timeout),
            Error::HostNotFound => self.cannot_connect("name not found"),
            Error::Io(error) => self.io(&error),
            Error::Decompress(_, error) if lost => self.io(&error),
            Error::Decompress(..) => format!("the answer of {origin} is not proper gzip"),
            Error::Protocol(error) => format!("{origin} answers something that is not HTTP ({error})"),
            Error::LargeResponseHeader(..) => format!("{origin} answers with more than 64 kB of header"),
            Error::ConnectProxyFailed(error) => format!("the proxy does not connect to {origin}: {error}"),
            Error::Other(error) => match error.downcast::<Fault>() {
                Ok(fault) => return (*fault, false),
                Err(error) => self.cannot_connect(error),
            },
            error => self.cannot_connect(error),
        };
        (Fault { hung, ..Fault::new(Kind::Unavailable, message) }, lost)
    }

    fn in_body(&self, error: io::Error, got: u64, expected: Option<u64>) -> (Fault, bool) {
        let (fault, lost) = self.before_body(ureq::Error::from(error));
        if !lost {
            return (fault, lost);
        }
        let of = expected.map(|expected| format!(" of {expected}")).unwrap_or_default();
        let message = format!("the answer of {} broke off after {got}{of} octets", self.origin);
        (Fault { message, ..fault }, true)
    }

    fn too_large(&self, limit: u64) -> Fault {
        let message = format!("the answer of {} is larger than the limit of {limit} octets", self.origin);
        Fault::new(Kind::Feed, message)
    }

    fn cannot_connect(&self, why: impl std::fmt::Display) -> String {
        let through = if self.through_proxy { " through the proxy that the environment names" } else { "" };
        format!("cannot connect to {}{through}: {why}", self.origin)
    }

    fn timed_out(&self, timeout: Timeout) -> String {
        let Failure { origin, options, .. } = self;
        match timeout {
            Timeout::Resolve => format!("no address for {origin} within {} seconds", options.connect_timeout),
            Timeout::Connect => format!("no connection to {origin} within {} seconds", options.connect_timeout),
            Timeout::PerRead | Timeout::PerWrite => {
                format!("nothing came from {origin} for {} seconds", options.idle_timeout)
            }
            _ => format!("{origin} did not finish its answer within {} seconds", options.timeout),
        }
    }

    fn io(&self, error: &io::Error) -> String {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("{} closed the connection without an answer", self.origin),
            io::ErrorKind::ConnectionRefused => self.cannot_connect("connection refused"),
            _ if is_loss(error) => format!("the connection to {} was reset", self.origin),
            _ => self.cannot_connect(error),
        }
    }
}

/// Whether an established connection is gone.
fn is_loss(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset | ConnectionAborted)
}
