//! Decides whether and when a request is sent again.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use crate::words::error::{Fault, Kind};
use crate::words::message::{Request, Response};
use crate::words::time::{Timestamp, in_words, parse_retry_after};

use super::transport::Trouble;

/// Longest Retry-After that we wait for within a run, in seconds.
const PATIENCE: u64 = 20;
/// The wait before the first retry; each later one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// What to do after an exchange.
#[derive(Debug)]
pub(super) enum Verdict {
    Final(anyhow::Result<Response>),
    Again { after: Duration },
}

/// The retry state of one request.
#[derive(Debug)]
pub(super) struct Retries {
    origin: String,
    repeatable: bool,
    left: u32,
    wait: Duration,
    on_dead_connection: bool,
}

impl Retries {
    /// Allows at most `retries` retries, and none for a request that might take effect twice.
    pub(super) fn new(request: &Request, retries: u32) -> Retries {
        let repeatable = may_be_repeated(request);
        Retries {
            origin: request.url.origin(),
            repeatable,
            left: if repeatable { retries } else { 0 },
            wait: FIRST_WAIT,
            on_dead_connection: false,
        }
    }

    /// Decides what to do after an attempt.
    pub(super) fn judge(&mut self, outcome: Result<Response, Trouble>) -> Verdict {
        match outcome {
            Ok(response) if response.may_pass_by_itself() => self.judge_busy(response),
            Ok(response) => Verdict::Final(Ok(response)),
            Err(trouble) => self.judge_trouble(trouble),
        }
    }

    fn judge_trouble(&mut self, trouble: Trouble) -> Verdict {
        // The server closed a kept-alive connection just as we reused it.
        if trouble.lost && trouble.reused && self.repeatable && !self.on_dead_connection {
            self.on_dead_connection = true;
            return Verdict::Again { after: Duration::ZERO };
        }
        match trouble.lost.then(|| self.next_wait()).flatten() {
            Some(after) => Verdict::Again { after },
            None => Verdict::Final(Err(trouble.fault.into())),
        }
    }

    fn judge_busy(&mut self, response: Response) -> Verdict {
        let now = Timestamp::from_system(SystemTime::now());
        let asked = response.headers.get("retry-after").and_then(|text| parse_retry_after(&text, now));
        match asked {
            Some(seconds) if seconds > PATIENCE => Verdict::Final(Err(Fault {
                retry_after: Some(seconds),
                ..Fault::new(
                    Kind::Unavailable,
                    format!("{} answers {} and asks to wait {}", self.origin, response.status, in_words(seconds)),
                )
            }
            .into())),
            asked => match self.next_wait() {
                Some(wait) => Verdict::Again { after: asked.map_or(wait, Duration::from_secs) },
                None => Verdict::Final(Ok(response)),
            },
        }
    }

    fn next_wait(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.wait.mul_f64(0.5 + chance_fraction());
        self.wait *= 2;
        Some(wait)
    }
}

/// Reads may be repeated, and so may writes with a precondition: if the lost one succeeded, the retry gets a 412, and
/// the caller reads what is stored.
fn may_be_repeated(request: &Request) -> bool {
    matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "PROPFIND" | "REPORT")
        || ["if-match", "if-none-match"].iter().any(|name| request.headers.get(name).is_some())
}

/// 128 unpredictable bits as hexadecimal digits.
pub(super) fn chance_text() -> String {
    format!("{:016x}{:016x}", chance(), chance())
}

/// A number from 0 to 1.
fn chance_fraction() -> f64 {
    f64::from(u32::try_from(chance() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// The standard library seeds its hashers from the system's source of randomness.
fn chance() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::message::Headers;
    use crate::words::url::Url;

    fn request(method: &'static str) -> Request {
        Request::new(method, Url::parse("https://dav.example.org/a?token=t0ken").unwrap())
    }

    fn status(status: u16, headers: &[(&str, &str)]) -> Response {
        let mut fields = Headers::default();
        for (name, value) in headers {
            fields.add(*name, *value);
        }
        Response { status, headers: fields, body: Vec::new() }
    }

    fn trouble(lost: bool, reused: bool) -> Trouble {
        let fault = Fault::new(Kind::Unavailable, "reset");
        Trouble { fault, lost, reused }
    }

    /// Milliseconds until the next attempt; `None` if there is none.
    fn wait(retries: &mut Retries, outcome: Result<Response, Trouble>) -> Option<u128> {
        match retries.judge(outcome) {
            Verdict::Again { after } => Some(after.as_millis()),
            Verdict::Final(_) => None,
        }
    }

    #[test]
    fn each_wait_is_about_twice_the_one_before_until_none_is_left() {
        let mut retries = Retries::new(&request("GET"), 3);
        for about in [500, 1000, 2000] {
            let waited = wait(&mut retries, Ok(status(503, &[]))).unwrap();
            assert!((about / 2..=about * 3 / 2).contains(&waited), "{waited} is not about {about}");
        }
        assert_eq!(wait(&mut retries, Ok(status(503, &[]))), None);
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        for (code, again) in
            [(429, true), (502, true), (503, true), (504, true), (500, false), (507, false), (423, false)]
        {
            assert_eq!(wait(&mut Retries::new(&request("GET"), 1), Ok(status(code, &[]))).is_some(), again, "{code}");
        }
        assert!(wait(&mut Retries::new(&request("GET"), 1), Err(trouble(true, false))).is_some());
        assert_eq!(wait(&mut Retries::new(&request("GET"), 1), Err(trouble(false, false))), None);
    }

    #[test]
    fn a_dead_kept_connection_costs_no_wait_and_no_retry_but_only_once() {
        let mut retries = Retries::new(&request("GET"), 1);
        assert_eq!(wait(&mut retries, Err(trouble(true, true))), Some(0));
        assert!(wait(&mut retries, Err(trouble(true, true))).unwrap() > 0);
        assert_eq!(wait(&mut retries, Err(trouble(true, true))), None);
    }

    #[test]
    fn writes_are_repeated_only_under_a_precondition() {
        let put = || request("PUT").body("x");
        let may = [put().header("If-Match", "\"a\""), put().header("if-none-match", "*"), request("REPORT")];
        let may_not = [put(), request("DELETE"), request("MKCALENDAR"), request("POST"), request("PROPPATCH")];
        assert!(may.iter().all(may_be_repeated));
        assert!(!may_not.iter().any(may_be_repeated));
    }

    #[test]
    fn a_short_retry_after_is_obeyed_and_a_long_one_is_left_to_the_next_run() {
        let retries = || Retries::new(&request("GET"), 1);
        assert_eq!(wait(&mut retries(), Ok(status(429, &[("Retry-After", "20")]))), Some(20_000));
        assert_eq!(wait(&mut retries(), Ok(status(503, &[("Retry-After", "Fri, 20 Nov 2020 09:00:00 GMT")]))), Some(0));
        let Verdict::Final(Err(error)) = retries().judge(Ok(status(429, &[("Retry-After", "21")]))) else { panic!() };
        assert_eq!(crate::words::error::fault_of(&error).retry_after, Some(21));
        assert_eq!(error.to_string(), "https://dav.example.org answers 429 and asks to wait 21 seconds");
    }

    #[test]
    fn chance_is_never_twice_the_same() {
        assert_ne!(chance_text(), chance_text());
        assert_eq!(chance_text().len(), 32);
    }
}
