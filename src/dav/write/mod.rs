//! Writes: PUT and DELETE of one object with a precondition, and MKCALENDAR (RFC 4791 §5.3).

use crate::dav::xml::{self, ErrorBody};
use crate::dav::{href, is_about_everything, sentence, trouble, whole};
use crate::model::{ComponentType, Etag, Failure, Href, Precondition, Written};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// Writes one object.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    /// The object.
    pub href: &'a Href,
    /// The iCalendar text.
    pub text: &'a [u8],
    /// What must be stored there for the write to succeed.
    pub precondition: &'a Precondition,
}

impl Put<'_> {
    /// The request for this calendar.
    pub fn request(&self, base: &Url) -> anyhow::Result<Request> {
        let request = Request::new("PUT", href::url(base, self.href)?);
        let request = match self.precondition {
            Precondition::Absent => request.header("If-None-Match", "*"),
            Precondition::Unchanged(etag) => request.header("If-Match", etag.as_str()),
        };
        Ok(silent(request).header("Content-Type", "text/calendar; charset=utf-8").body(self.text))
    }

    /// The outcome. An `Err` is about the server as a whole.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Written> {
        outcome("PUT", base, response)
    }
}

/// Deletes one specific version of an object.
#[derive(Debug, Clone)]
pub struct Delete<'a> {
    /// The object.
    pub href: &'a Href,
    /// The version.
    pub etag: &'a Etag,
}

impl Delete<'_> {
    /// The request for this calendar.
    pub fn request(&self, base: &Url) -> anyhow::Result<Request> {
        Ok(silent(Request::new("DELETE", href::url(base, self.href)?)).header("If-Match", self.etag.as_str()))
    }

    /// The outcome. An `Err` is about the server as a whole.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Written> {
        outcome("DELETE", base, response)
    }
}

/// The same write with the ETag in the server's own spelling, if that differs: DavMail compares the field with its
/// ETag as text and sends no quotes.
pub fn in_own_spelling(request: Request, etag: &Etag) -> Option<Request> {
    let mut headers = crate::words::message::Headers::default();
    for (name, value) in request.headers.iter() {
        let is_etag = name.eq_ignore_ascii_case("If-Match");
        headers.add(name, if is_etag { etag.spelling()?.as_bytes() } else { value });
    }
    Some(Request { headers, ..request })
}

/// Makes sabre send no invitation, cancellation or refusal for a write; the F must be a capital (sabre/dav 1.8 to
/// 4.7).
fn silent(request: Request) -> Request {
    request.header("Schedule-Reply", "F")
}

/// The outcome of a write. Any 2xx that is not a web page is a success (Radicale 3 answers a DELETE with 200, DavMail
/// an update), except a 207 that contains an error. For other failures the status does not show what caused them.
pub fn outcome(method: &'static str, base: &Url, response: &Response) -> anyhow::Result<Written> {
    let asked = Request::new(method, base.clone());
    if is_about_everything(response) {
        return Err(trouble(&asked, response));
    }
    let refusal = match response.status {
        200..=299 if response.is_html() => Some(response.status),
        207 => refusal_within(response),
        200..=299 => None,
        status => Some(status),
    };
    if refusal.is_none() {
        let etag = response.headers.get("etag").and_then(|written| Etag::parse(&written));
        return Ok(Written::Done { etag });
    }
    let body = ErrorBody::of(&response.body);
    if body.names(xml::NO_UID_CONFLICT) {
        let href = body.conflict.as_deref().map(|written| href::place(base, written));
        let inside = href.and_then(|place| if let href::Place::Member(href) = place { Some(href) } else { None });
        return Ok(Written::UidTaken { href: inside });
    }
    let is_verdict = xml::OBJECT_CONDITIONS.into_iter().any(|condition| body.names(condition));
    if response.status == 412 && !is_verdict {
        return Ok(Written::Stale);
    }
    Ok(Written::Failed(Failure {
        reason: reason(response),
        fault: whole(&asked, response),
        is_verdict,
        may_pass: response.status >= 500 && !response.may_pass_by_itself(),
    }))
}

/// The first error status in a multistatus.
fn refusal_within(response: &Response) -> Option<u16> {
    let statuses = xml::read(&response.body, |root| {
        let members = xml::members(root).filter(|_| root.is(xml::MULTISTATUS));
        members.flat_map(|member| member.statuses()).collect::<Vec<u16>>()
    });
    statuses.unwrap_or_default().into_iter().find(|status| *status >= 300)
}

fn reason(response: &Response) -> String {
    let page = response.is_html();
    let said = sentence(response).filter(|_| !page);
    said.unwrap_or_else(|| match response.status {
        200..=299 if page => "the server answered with a web page".to_owned(),
        207 => "the server answered 207 with a refusal inside".to_owned(),
        300..=399 => format!("the server answered {}: it sends us elsewhere", response.status),
        413 => "the server answered 413: the event is too large for it".to_owned(),
        status => format!("the server answered {status} without a reason"),
    })
}

/// Creates a calendar. `None` sends no properties: Xandikos creates nothing if it does not know one of them.
#[derive(Debug, Clone)]
pub struct MkCalendar<'a> {
    /// Its display name and the components it should accept.
    pub properties: Option<(&'a str, &'a [ComponentType])>,
}

/// The outcome of MKCALENDAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The calendar was created.
    New,
    /// Something already existed there.
    Existed,
    /// The server rejected the properties and created nothing: retry without them.
    PropertiesRefused,
}

impl MkCalendar<'_> {
    /// The request for a calendar at this address.
    pub fn request(&self, base: &Url) -> Request {
        let request = Request::new("MKCALENDAR", base.as_collection());
        let Some((name, components)) = self.properties else { return request };
        let components = components.iter().map(|component| format!("<c:comp name=\"{}\"/>", component.as_str()));
        let properties = xml::DISPLAYNAME.around(&xml::escape(name))
            + &xml::SUPPORTED_CALENDAR_COMPONENT_SET.around(&components.collect::<String>());
        let body = xml::MKCALENDAR.document(&xml::SET.around(&xml::PROP.around(&properties)));
        request.header("Content-Type", "application/xml; charset=utf-8").body(body)
    }

    /// The outcome. Xandikos 0.4 answers 207 and creates nothing if it does not know a property.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Made> {
        let body = ErrorBody::of(&response.body);
        match response.status {
            201 if !response.is_html() => Ok(Made::New),
            405 => Ok(Made::Existed),
            403 | 409 if body.names(xml::RESOURCE_MUST_BE_NULL) => Ok(Made::Existed),
            207 | 400 | 415 | 422 if self.properties.is_some() && !response.is_html() => Ok(Made::PropertiesRefused),
            409 => Err(crate::words::error::fault(
                crate::words::error::Kind::Missing,
                format!("the calendar {base} cannot be made: the folder above it is not there"),
            )),
            _ => Err(trouble(&self.request(base), response)),
        }
    }
}

#[cfg(test)]
mod tests;
