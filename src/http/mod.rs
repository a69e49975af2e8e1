//! HTTP: sends a request and returns the whole response, with authentication, limits and retries. Nothing outside
//! this folder opens a connection.

#[cfg(test)]
pub(crate) mod fake;
mod retry;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::auth::Authenticator;
use crate::signal::Stop;
use crate::words::error::{Kind, fault};
use crate::words::message::{Request, Response, Why};
use crate::words::secret::Secret;

use retry::{Retries, Verdict};
use transport::{Connections, Exchange, Trouble};

/// How often one request may be answered with 401: unauthenticated, with a stale nonce, with a fresh one.
const CHALLENGES: u32 = 3;

/// Connection settings from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Seconds to establish a connection, TLS included.
    pub connect_timeout: u64,
    /// Seconds without a single octet after which we give up.
    pub idle_timeout: u64,
    /// Seconds for a whole exchange.
    pub timeout: u64,
    /// PEM file of certificates to trust in addition to those of the system.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the client's certificate and its chain.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the key of `tls_cert`; `None` if that file contains the key.
    pub tls_key: Option<PathBuf>,
    /// How often a request is retried.
    pub retries: u32,
}

impl Options {
    /// Checks that the certificate files are usable, before anything is sent. Errors are [`Kind::Configuration`], or
    /// [`Kind::Refused`] for a key that others can read.
    pub fn check_certificates(&self) -> anyhow::Result<()> {
        tls::check(self)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout: 10,
            idle_timeout: 30,
            timeout: 300,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            retries: 3,
        }
    }
}

/// What was sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests; each retry and each 401 counts.
    pub requests: u64,
    /// Octets of request bodies.
    pub bytes_sent: u64,
    /// Octets of response bodies, decoded.
    pub bytes_received: u64,
}

/// Sends requests. Clones share connections and counters.
#[derive(Debug, Clone)]
pub struct Client {
    connections: Arc<Connections>,
    counters: Arc<Counters>,
    retries: u32,
    stop: Stop,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    /// Nanoseconds; 0 before the first measurement.
    round_trip: AtomicU64,
}

impl Client {
    /// Creates a client without connections. Certificates, both the system's and the configured ones, are read on the
    /// first https request.
    pub fn new(options: &Options, stop: Stop) -> Client {
        let connections = Arc::new(Connections::new(options));
        Client { connections, counters: Arc::default(), retries: options.retries, stop }
    }

    /// A client that shares the connections but counts traffic and round trips separately, from zero.
    pub fn counting_apart(&self) -> Client {
        Client { counters: Arc::default(), ..self.clone() }
    }

    /// What this client and its clones have sent and received.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.counters.requests.load(Ordering::Relaxed),
            bytes_sent: self.counters.bytes_sent.load(Ordering::Relaxed),
            bytes_received: self.counters.bytes_received.load(Ordering::Relaxed),
        }
    }

    /// The fastest time from request to first octet on an already open connection; determines how many connections
    /// are worth opening.
    pub fn round_trip(&self) -> Option<Duration> {
        let nanoseconds = self.counters.round_trip.load(Ordering::Relaxed);
        (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
    }

    /// Performs one exchange; redirects are not followed, and every status is a response.
    ///
    /// Answers a 401 with the authenticator if the request goes to its origin. Retries a repeatable request after a
    /// lost connection and after 429, 502, 503 and 504. Adds User-Agent and Accept-Encoding if the request has none.
    ///
    /// A decoded body above `limit` octets is [`Kind::Feed`]. A truncated body, silence, a failed connection and an
    /// expired server certificate are [`Kind::Unavailable`]. An untrusted certificate or one for another name is
    /// [`Kind::Refused`], because it does not fix itself and may be an attacker's; so is a server that requires or
    /// rejects ours. Unusable certificate files are [`Kind::Configuration`].
    pub fn send(
        &self,
        request: &Request,
        why: Why,
        authenticator: Option<&Authenticator>,
        limit: u64,
    ) -> anyhow::Result<Response> {
        let authenticator = authenticator.filter(|authenticator| authenticator.belongs_to(&request.url));
        let mut retries = Retries::new(request, self.retries);
        let mut challenges = 0;
        loop {
            let authorization = match authenticator {
                Some(authenticator) => authenticator.header(request.method, &request.url, &retry::chance_text())?,
                None => None,
            };
            let mut outcome = self.exchange(request, why, authorization.as_ref(), limit);
            if let (Ok(response), Some(authenticator), Some(sent)) = (&mut outcome, authenticator, &authorization) {
                authenticator.hide_in(response, sent);
            }
            if let (Ok(response), Some(authenticator)) = (&outcome, authenticator)
                && response.status == 401
                && challenges < CHALLENGES
            {
                challenges += 1;
                authenticator.challenged(authorization.as_ref(), response, request.url.is_https())?;
                continue;
            }
            match retries.judge(outcome) {
                Verdict::Final(outcome) => return outcome,
                Verdict::Again { after } => self.pause(after)?,
            }
        }
    }

    fn exchange(
        &self,
        request: &Request,
        why: Why,
        authorization: Option<&Secret>,
        limit: u64,
    ) -> Result<Response, Trouble> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_sent.fetch_add(request.body.len() as u64, Ordering::Relaxed);
        let began = Instant::now();
        let outcome = self.connections.exchange(request, authorization, limit);
        log::debug!("{}", line(request, why, began.elapsed(), &outcome));
        let Exchange { response, round_trip } = outcome?;
        self.counters.bytes_received.fetch_add(response.body.len() as u64, Ordering::Relaxed);
        if let Some(nanoseconds) = round_trip.and_then(|time| u64::try_from(time.as_nanos()).ok()) {
            let faster = |known: u64| (known == 0 || nanoseconds < known).then_some(nanoseconds);
            let _ = self.counters.round_trip.fetch_update(Ordering::Relaxed, Ordering::Relaxed, faster);
        }
        Ok(response)
    }

    fn pause(&self, duration: Duration) -> anyhow::Result<()> {
        self.stop.sleep(duration);
        match self.stop.requested() {
            Some(signal) if !duration.is_zero() => {
                Err(fault(Kind::Stopped, format!("signal {signal} came while waiting to try again")))
            }
            _ => Ok(()),
        }
    }
}

/// The log line of one request: method, address, outcome, duration, sizes and purpose. Hides the path of a feed,
/// which may be a secret.
fn line(request: &Request, why: Why, took: Duration, outcome: &Result<Exchange, Trouble>) -> String {
    let place = match why {
        Why::Feed => format!("{}/…", request.url.origin()),
        _ => request.url.to_string(),
    };
    let (answer, received) = match outcome {
        Ok(Exchange { response, .. }) => (response.status.to_string(), response.body.len()),
        Err(trouble) => (format!("no answer ({})", trouble.fault.message), 0),
    };
    let (sent, took) = (request.body.len(), took.as_millis());
    let (method, why) = (request.method, why.as_str());
    format!("{method} {place} -> {answer}, {took} ms, {sent} octets out, {received} in ({why})")
}
