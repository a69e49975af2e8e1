//! Writing: PUT and DELETE of one object under a precondition, and MKCALENDAR (RFC 4791 §5.3).

use crate::dav::xml::{self, ErrorBody};
use crate::dav::{gone, href, sentence, trouble};
use crate::model::{ComponentType, Etag, Href, Precondition, Written};
use crate::url::Url;
use crate::wire::{Request, Response};

/// Writes one object.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    /// Where.
    pub href: &'a Href,
    /// The iCalendar text.
    pub text: &'a [u8],
    /// What must stand there.
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

    /// How it ended. An `Err` is a trouble of the calendar as a whole.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Written> {
        match response.status {
            201 | 204 if !response.is_html() => {
                let etag = response.headers.get("etag").and_then(|written| Etag::parse(&written));
                Ok(Written::Done { etag })
            }
            404 | 410 => Err(gone(base)),
            _ => refusal("PUT", base, response),
        }
    }
}

/// Deletes exactly one version of an object.
#[derive(Debug, Clone)]
pub struct Delete<'a> {
    /// Where.
    pub href: &'a Href,
    /// The version.
    pub etag: &'a Etag,
}

impl Delete<'_> {
    /// The request for this calendar.
    pub fn request(&self, base: &Url) -> anyhow::Result<Request> {
        Ok(silent(Request::new("DELETE", href::url(base, self.href)?)).header("If-Match", self.etag.as_str()))
    }

    /// How it ended; an object that was gone already is done.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Written> {
        match response.status {
            204 | 404 | 410 => Ok(Written::Done { etag: None }),
            // Radicale (`reference/servers.md` §0 rule 1).
            200 if xml::read(&response.body, |root| root.is(xml::MULTISTATUS)) == Some(true) => {
                Ok(Written::Done { etag: None })
            }
            _ => refusal("DELETE", base, response),
        }
    }
}

/// sabre sends no invitation, cancellation or refusal for a write with this header; the F must be a capital
/// (`reference/servers.md` §8).
fn silent(request: Request) -> Request {
    request.header("Schedule-Reply", "F")
}

/// Whose fault a write is that did not succeed: the object's, or that of the calendar and its server.
fn refusal(method: &'static str, base: &Url, response: &Response) -> anyhow::Result<Written> {
    let body = ErrorBody::of(&response.body);
    let reason = || reason(response);
    let of_object = xml::OBJECT_CONDITIONS.into_iter().any(|condition| body.names(condition));
    match response.status {
        403 | 409 | 412 if body.names(xml::NO_UID_CONFLICT) => {
            let href = body.conflict.as_deref().map(|written| href::place(base, written));
            let inside = href.and_then(|place| if let href::Place::Member(href) = place { Some(href) } else { None });
            Ok(Written::UidTaken { href: inside })
        }
        403 | 409 | 412 if of_object => Ok(Written::Rejected { reason: reason() }),
        412 => Ok(Written::Stale),
        // Radicale and Xandikos, where the calendar is missing (`reference/servers.md` §1).
        409 => Err(gone(base)),
        403 if method == "DELETE" && !body.names(xml::NEED_PRIVILEGES) && !response.is_html() => {
            Ok(Written::Forbidden { reason: reason() })
        }
        400 | 413 | 415 => Ok(Written::Rejected { reason: reason() }),
        // Between us and the server, nobody has judged the object: a stopped PHP, a database locked for a minute.
        501..=504 | 507 => Err(trouble(&Request::new(method, base.clone()), response)),
        500.. => match body.exception.as_deref() {
            Some(exception) if exception.contains("VObject") => Ok(Written::Rejected { reason: reason() }),
            Some(exception) if exception.contains("PDOException") => {
                Err(trouble(&Request::new(method, base.clone()), response))
            }
            _ => Ok(Written::Faulted { reason: reason() }),
        },
        _ => Err(trouble(&Request::new(method, base.clone()), response)),
    }
}

fn reason(response: &Response) -> String {
    let page = response.is_html();
    let said = sentence(response).filter(|_| !page);
    said.unwrap_or_else(|| match response.status {
        413 => "the server answered 413: the object is too large for it".to_owned(),
        status => format!("the server answered {status} without a reason"),
    })
}

/// Makes a calendar. `None` for a bare one: Xandikos makes nothing when it does not know one of the properties.
#[derive(Debug, Clone)]
pub struct MkCalendar<'a> {
    /// Its name for people and what it is to hold.
    pub properties: Option<(&'a str, &'a [ComponentType])>,
}

/// How MKCALENDAR ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The calendar is there.
    New,
    /// Something stood there before.
    Existed,
    /// The properties were not to the server's liking, nothing was made: try without them.
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

    /// How it ended (`reference/servers.md` §9).
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Made> {
        let body = ErrorBody::of(&response.body);
        match response.status {
            201 if !response.is_html() => Ok(Made::New),
            405 => Ok(Made::Existed),
            403 | 409 if body.names(xml::RESOURCE_MUST_BE_NULL) => Ok(Made::Existed),
            207 | 400 | 415 | 422 if self.properties.is_some() && !response.is_html() => Ok(Made::PropertiesRefused),
            409 => Err(crate::error::fault(
                crate::error::Kind::Missing,
                format!("the calendar {base} cannot be made: the folder above it is not there"),
            )),
            _ => Err(trouble(&self.request(base), response)),
        }
    }
}

#[cfg(test)]
mod tests;
