//! Sends the requests of a home and its calendars to their server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::auth::Authenticator;
use crate::http::Client;
use crate::words::error::{Kind, fault, fault_of, kind_of};
use crate::words::message::{Request, Response, Why};

/// The largest accepted response, in octets: a listing of several hundred thousand objects.
const LARGEST_ANSWER: u64 = 128 << 20;

/// Sends requests; tests have their own implementation.
pub(super) trait Exchange: Send + Sync {
    /// Sets the purpose of the next requests.
    fn begin(&self, _why: Why) {}

    /// The response; `None` if it is larger than [`LARGEST_ANSWER`].
    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>>;

    /// The response; one that is too large is a failure of the server.
    fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.try_send(request)?.ok_or_else(|| {
            let origin = request.url.origin();
            let text = format!("the answer of {origin} is larger than the limit of {LARGEST_ANSWER} octets");
            fault(Kind::Unavailable, text)
        })
    }

    /// The round-trip time to the server, once known.
    fn round_trip(&self) -> Option<Duration>;
}

/// A connection to a real server.
pub(super) struct Connection {
    client: Client,
    authenticator: Option<Arc<Authenticator>>,
    why: Mutex<Why>,
}

impl Connection {
    pub(super) fn new(client: Client, authenticator: Option<Arc<Authenticator>>) -> Connection {
        Connection { client, authenticator, why: Mutex::default() }
    }
}

impl Exchange for Connection {
    fn begin(&self, why: Why) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>> {
        let why = *self.why.lock().unwrap_or_else(PoisonError::into_inner);
        match self.client.send(request, why, self.authenticator.as_deref(), LARGEST_ANSWER) {
            Err(error) if kind_of(&error) == Kind::Feed => Ok(None),
            response => response.map(Some),
        }
    }

    fn round_trip(&self) -> Option<Duration> {
        self.client.round_trip()
    }
}

/// Whether an error may concern only one request: the connection broke, or there was no answer.
pub(super) fn is_of_one_exchange(error: &anyhow::Error) -> bool {
    let fault = fault_of(error);
    fault.kind == Kind::Unavailable && fault.retry_after.is_none()
}
