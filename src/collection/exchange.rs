//! What carries the requests of a home and its calendars to their server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::auth::Authenticator;
use crate::http::Client;
use crate::words::error::{Kind, fault, fault_of, kind_of};
use crate::words::message::{Request, Response, Why};

/// The largest answer that is read, in octets: the listing of some hundred thousands of objects.
const LARGEST_ANSWER: u64 = 128 << 20;

/// Sends requests; the tests have one of their own.
pub(super) trait Exchange: Send + Sync {
    /// Says what the next requests are for.
    fn begin(&self, _why: Why) {}

    /// The response; `None` when it is larger than [`LARGEST_ANSWER`].
    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>>;

    /// The response; one that is too large is a trouble of the server.
    fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.try_send(request)?.ok_or_else(|| {
            let origin = request.url.origin();
            let text = format!("the answer of {origin} is larger than the limit of {LARGEST_ANSWER} octets");
            fault(Kind::Unavailable, text)
        })
    }

    /// How long the way to the server and back takes, once that is known.
    fn round_trip(&self) -> Option<Duration>;
}

/// The exchange with a real server.
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

/// Whether an error may concern one request alone: the connection broke, or no answer came.
pub(super) fn is_of_one_exchange(error: &anyhow::Error) -> bool {
    let fault = fault_of(error);
    fault.kind == Kind::Unavailable && fault.retry_after.is_none()
}
