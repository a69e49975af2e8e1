//! A feed over http(s): conditional requests, redirects, and the meaning of each status.

use std::sync::Arc;
use std::time::SystemTime;

use crate::auth::Authenticator;
use crate::http::Client;
use crate::model::Validators;
use crate::words::error::{Fault, Kind, fault, kind_of};
use crate::words::message::{Request, Response, Why};
use crate::words::secret::LateSecret;
use crate::words::time::{Timestamp, parse_retry_after};
use crate::words::url::{PrivateUrl, Url};

use super::{Fetched, Source};

const REDIRECTS: usize = 10;
/// Microsoft's calendar hosts redirect other programs to an error page (since mid-2025).
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
/// Where a calendar must begin at the latest in a body labelled as HTML, in octets.
const SNIFF: usize = 1024;

/// Longest validator that we send back, in octets: many servers refuse requests with more than 8 kB of headers.
const LONGEST_VALIDATOR: usize = 1024;

/// How a feed is fetched.
#[derive(Debug)]
pub struct Settings {
    /// The User-Agent to send instead of the default.
    pub user_agent: Option<String>,
    /// The largest accepted body, decoded, in octets.
    pub max_size: u64,
    /// Credentials, if the feed requires them.
    pub authenticator: Option<Arc<Authenticator>>,
    /// A header that is only sent to the feed's own origin.
    pub header: Option<(String, LateSecret)>,
}

/// A feed over http(s).
#[derive(Debug)]
pub struct Web {
    url: PrivateUrl,
    settings: Settings,
    client: Client,
}

impl Web {
    /// The feed at this address. Errors name its origin, never its path or query.
    pub fn new(url: PrivateUrl, settings: Settings, client: Client) -> Web {
        Web { url, settings, client }
    }

    fn send(&self, request: &Request) -> anyhow::Result<Response> {
        let max_size = self.settings.max_size;
        let response = self.client.send(request, Why::Feed, self.settings.authenticator.as_deref(), max_size);
        response.map_err(|error| match kind_of(&error) {
            Kind::Feed => fault(Kind::Feed, format!("{} is larger than `max_size`, {max_size} octets", self.url)),
            _ => error,
        })
    }

    fn request(&self, url: &Url, validators: &Validators) -> anyhow::Result<Request> {
        let mut request = Request::new("GET", url.clone()).header("Accept", "text/calendar, */*;q=0.5");
        if let Some(agent) = user_agent(self.settings.user_agent.as_deref(), url.host()) {
            request = request.header("User-Agent", agent);
        }
        if let Some(etag) = &validators.etag {
            request = request.header("If-None-Match", etag.as_str());
        }
        if let Some(moment) = &validators.last_modified {
            request = request.header("If-Modified-Since", moment.as_str());
        }
        match &self.settings.header {
            Some((name, value)) if url.origin() == self.url.0.origin() => {
                Ok(request.header(name, value.get()?.reveal()))
            }
            _ => Ok(request),
        }
    }

    /// The target of a redirect.
    fn target(&self, from: &Url, response: &Response) -> anyhow::Result<Url> {
        let location = response.headers.get("location").unwrap_or_default();
        let Some(target) = from.join(&location).ok().filter(|_| !location.is_empty()) else {
            return Err(self.unavailable(response, "a redirect to nowhere"));
        };
        if target.path().to_ascii_lowercase().ends_with("/errorfe.aspx") {
            return Err(fault(
                Kind::Refused,
                format!("{} refuses this program by its name: set `user_agent` to that of a browser", self.url),
            ));
        }
        if from.is_https() && !target.is_https() {
            return Err(fault(
                Kind::Unavailable,
                format!(
                    "{} redirects from https to {}, which is not encrypted: not followed",
                    self.url,
                    target.origin()
                ),
            ));
        }
        Ok(target)
    }

    fn document(&self, response: Response) -> anyhow::Result<Fetched> {
        if let Some(encoding) = response.headers.get("content-encoding").filter(|name| name != "identity") {
            return Err(self.unavailable(&response, &format!("the encoding {encoding}, which nobody asked for")));
        }
        let start = response.body.get(..SNIFF).unwrap_or(&response.body);
        if response.is_html() && !start.windows(15).any(|part| part.eq_ignore_ascii_case(b"BEGIN:VCALENDAR")) {
            let message = format!("{} answers with a web page (a login form?), not with a calendar", self.url);
            return Err(fault(Kind::Feed, message));
        }
        let usable = |value: &String| (1..=LONGEST_VALIDATOR).contains(&value.len());
        let field = |name| response.headers.get(name).filter(usable);
        let validators = Validators { etag: field("etag"), last_modified: field("last-modified") };
        Ok(Fetched::Document { charset: response.charset(), validators, body: response.body })
    }

    fn failure(&self, response: &Response) -> anyhow::Error {
        let status = response.status;
        let (kind, words) = match status {
            400 if response.wants_encryption() => {
                (Kind::Missing, "which speaks https there: write https:// into `source`")
            }
            400 if response.wants_certificate() => {
                (Kind::Refused, "which asks for a certificate of ours, or does not accept it: see `tls_cert`")
            }
            401 if self.settings.authenticator.is_none() => (Kind::Refused, "which asks for a user and a password"),
            401 | 403 => (Kind::Refused, "which refuses access"),
            404 | 410 => (Kind::Missing, "where no feed is (any more)"),
            429 => (Kind::Unavailable, "which is asked too often"),
            500..=599 => (Kind::Unavailable, "which is in trouble"),
            _ => return self.unavailable(response, "no document"),
        };
        let now = Timestamp::from_system(SystemTime::now());
        let retry_after = response.headers.get("retry-after").and_then(|text| parse_retry_after(&text, now));
        Fault { retry_after, ..Fault::new(kind, format!("status {status} from {}, {words}", self.url)) }.into()
    }

    fn unavailable(&self, response: &Response, what: &str) -> anyhow::Error {
        fault(Kind::Unavailable, format!("{} answers {} with {what}", self.url, response.status))
    }
}

impl Source for Web {
    fn fetch(&self, validators: &Validators) -> anyhow::Result<Fetched> {
        let mut url = self.url.0.clone();
        let conditional = *validators != Validators::default();
        for _ in 0..=REDIRECTS {
            let response = self.send(&self.request(&url, validators)?)?;
            match response.status {
                200 => return self.document(response),
                304 if conditional => return Ok(Fetched::NotModified),
                301 | 302 | 303 | 307 | 308 => url = self.target(&url, &response)?,
                _ => return Err(self.failure(&response)),
            }
        }
        Err(fault(Kind::Unavailable, format!("{} redirects more than {REDIRECTS} times", self.url)))
    }
}

/// The User-Agent for a host; `None` for the program's own.
fn user_agent<'a>(setting: Option<&'a str>, host: &str) -> Option<&'a str> {
    let picky = ["outlook.office365.com", "outlook.office.com", "outlook.live.com", "outlook.com"].contains(&host)
        || host.ends_with(".outlook.com");
    setting.or(picky.then_some(BROWSER))
}

#[cfg(test)]
mod tests;
