//! For tests: a server that follows a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::collection::exchange::Exchange;
use crate::words::message::{Headers, Request, Response};

/// A request and its answer. The request is `METHOD path`, or `METHOD http://host/path` if the host matters.
pub(super) type Step = (&'static str, Response);

/// Answers each request with the next step, which must match it. Clones share the script.
#[derive(Clone)]
pub(super) struct Script(Arc<Mutex<VecDeque<Step>>>);

impl Script {
    pub(super) fn new(steps: Vec<Step>) -> Script {
        Script(Arc::new(Mutex::new(steps.into())))
    }

    /// Asserts that every step was used.
    #[track_caller]
    pub(super) fn assert_used_up(&self) {
        let left: Vec<&str> = self.steps().iter().map(|(request, _)| *request).collect();
        assert!(left.is_empty(), "not asked: {left:?}");
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Step>> {
        self.0.lock().unwrap()
    }
}

impl Exchange for Script {
    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>> {
        let Request { method, url, .. } = request;
        let next = self.steps().pop_front();
        let (expected, response) = next.unwrap_or_else(|| panic!("unexpected {method} {url}"));
        let found =
            if expected.contains("://") { format!("{method} {url}") } else { format!("{method} {}", url.path()) };
        assert_eq!(found, expected);
        Ok(Some(response).filter(|response| response.status != TOO_LARGE))
    }

    fn round_trip(&self) -> Option<Duration> {
        None
    }
}

/// Marks an answer in the script as larger than we accept.
pub(super) const TOO_LARGE: u16 = 0;
/// The path of the calendar in most scripts.
pub(super) const WORK: &str = "/dav.php/calendars/alice/work/";

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response { status, headers: Headers::default(), body: body.into() };
    for (name, value) in headers {
        response.headers.add(*name, *value);
    }
    response
}

pub(super) fn multistatus(inner: &str) -> Response {
    let root = "<d:multistatus xmlns:d=\"DAV:\" xmlns:c=\"urn:ietf:params:xml:ns:caldav\">";
    answer(207, &[("Content-Type", "application/xml")], &format!("{root}{inner}</d:multistatus>"))
}

pub(super) fn member(href: &str, prop: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop>{prop}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

pub(super) fn calendar(href: &str, name: &str) -> String {
    let reports = "<d:supported-report-set><d:supported-report><d:report><d:sync-collection/></d:report></d:supported-report></d:supported-report-set>";
    member(
        href,
        &format!(
            "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><d:displayname>{name}</d:displayname>{reports}"
        ),
    )
}
