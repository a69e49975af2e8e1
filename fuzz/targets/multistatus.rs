//! Answers of a CalDAV server: no href that is believed leads out of the calendar.
#![no_main]

use baikal_sync::dav::discover::{Depth, Survey};
use baikal_sync::dav::list::{Listing, Look};
use baikal_sync::dav::multiget::{Answer, Get, Multiget};
use baikal_sync::dav::sync_collection::{Page, SyncCollection};
use baikal_sync::dav::write::{Delete, MkCalendar, Put};
use baikal_sync::dav::{href, xml};
use baikal_sync::model::{Etag, Href, Precondition};
use baikal_sync::words::message::{Headers, Response};
use baikal_sync::words::url::Url;
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 12] = [207, 200, 201, 204, 301, 400, 403, 404, 409, 412, 415, 500];

/// The last octet of the body tells the status: a letter for one of the others, whatever ends XML for 207.
fn status(body: &[u8]) -> u16 {
    let choice = body.last().map_or(0, |octet| usize::from(octet.wrapping_sub(b'`')));
    STATUSES.get(choice).copied().unwrap_or(207)
}

/// The href names something directly inside the calendar.
fn check(base: &Url, href: &Href) {
    let url = href::url(base, href).expect("an address");
    assert!(url.reveal().starts_with(base.reveal()), "{}", url.reveal());
    assert!(!url.reveal()[base.reveal().len()..].contains('/'), "{}", url.reveal());
    assert!(url.reveal().len() > base.reveal().len() && !url.reveal().contains(['\n', ' ']));
}

fuzz_target!(|body: &[u8]| {
    let base = Url::parse("http://h/dav.php/calendars/alice/work/").expect("an address");
    let mut headers = Headers::default();
    headers.add("Content-Type", "application/xml; charset=utf-8");
    headers.add("ETag", "\"1\"");
    let response = Response { status: status(body), headers, body: body.to_vec() };
    if let Ok(listed) = Listing.response(&base, &response) {
        listed.entries.iter().for_each(|entry| check(&base, &entry.href));
    }
    if let Ok(Page::Delta { changed, gone, .. }) = (SyncCollection { since: "t" }).response(&base, &response) {
        changed.iter().for_each(|entry| check(&base, &entry.href));
        gone.iter().for_each(|href| check(&base, href));
    }
    if let Ok(Answer::Objects { stored, doubtful }) = (Multiget { hrefs: &[] }).response(&base, &response) {
        stored.iter().for_each(|object| check(&base, &object.href));
        doubtful.iter().for_each(|href| check(&base, href));
    }
    let (href, etag) = (Href::new("1.ics"), Etag::parse("\"1\"").expect("an ETag"));
    let _ = (
        Look.response(&base, &response),
        xml::ErrorBody::of(&response.body),
        Get { href: &href }.response(&base, &response),
    );
    let _ = Survey { depth: Depth::One }.response(&base, &response);
    let _ = Put { href: &href, text: b"", precondition: &Precondition::Absent }.response(&base, &response);
    let _ = Delete { href: &href, etag: &etag }.response(&base, &response);
    let _ = MkCalendar { properties: None }.response(&base, &response);
});
