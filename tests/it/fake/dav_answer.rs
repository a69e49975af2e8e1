//! The verbs of the CalDAV fake: what a healthy Baïkal answers, with the switches that concern single verbs.

use std::fmt::Write;

use super::dav::{HOME, Switches, USER, World};
use super::dav_store::Calendar;
use super::http::{Answer, Asked};

const NAMESPACES: &str = r#"xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:cal="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/""#;
const TOKEN: &str = "http://sabre.io/ns/sync/";

/// What an address names.
enum Place {
    Root,
    Principal,
    Home,
    /// The inbox and outbox of RFC 6638, which are no calendars.
    Schedule(&'static str),
    Calendar(String),
    Object(String, String),
    Nowhere,
}

fn place(path: &str) -> Place {
    let decoded = decode(path.split('?').next().unwrap_or_default());
    if let Some(inside) = decoded.strip_prefix(HOME) {
        return match inside.split_once('/') {
            None if inside.is_empty() => Place::Home,
            Some(("inbox", "")) => Place::Schedule("schedule-inbox"),
            Some(("outbox", "")) => Place::Schedule("schedule-outbox"),
            None | Some((_, "")) => Place::Calendar(inside.trim_end_matches('/').to_owned()),
            Some((calendar, name)) => Place::Object(calendar.to_owned(), name.to_owned()),
        };
    }
    match decoded.trim_end_matches('/') {
        "/dav.php" => Place::Root,
        "/dav.php/principals/alice" => Place::Principal,
        "/dav.php/calendars/alice" => Place::Home,
        _ => Place::Nowhere,
    }
}

pub(super) fn answer(world: &mut World, asked: &Asked) -> Answer {
    let switches = world.switches.clone();
    match (asked.method.as_str(), place(&asked.target)) {
        ("OPTIONS", _) => Answer::new(200)
            .header("DAV", "1, 3, extended-mkcol, access-control, calendar-access, calendar-auto-schedule"),
        ("PROPFIND", place) => propfind(world, asked, &place),
        ("MKCALENDAR", Place::Calendar(name)) => make_calendar(world, &name),
        (_, Place::Calendar(name) | Place::Object(name, _)) if !world.calendars.contains_key(&name) => not_found(&name),
        ("REPORT", Place::Calendar(name)) => report(&world.calendars[&name], &switches, asked, &name),
        ("GET" | "HEAD", Place::Object(calendar, name)) => get(&world.calendars[&calendar], &name),
        ("PUT", Place::Object(calendar, name)) => {
            put(world.calendars.get_mut(&calendar).expect("seen above"), &switches, asked, &name)
        }
        ("DELETE", Place::Object(calendar, name)) => {
            delete(world.calendars.get_mut(&calendar).expect("seen above"), &switches, asked, &name)
        }
        ("DELETE", Place::Calendar(name)) => {
            world.calendars.remove(&name);
            Answer::new(204)
        }
        ("GET" | "HEAD" | "PUT" | "DELETE" | "REPORT" | "MKCALENDAR", _) => not_found(&asked.target),
        _ => {
            with_status(501, error("DAV\\Exception\\NotImplemented", "There was no handler found for this method", ""))
        }
    }
}

/// An error in the form of sabre; its status is to be set.
pub(crate) fn error(exception: &str, message: &str, extra: &str) -> Answer {
    let message = escape(message);
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<d:error {NAMESPACES}>\n  <s:sabredav-version>4.7.0</s:sabredav-version>\n  \
         <s:exception>Sabre\\{exception}</s:exception>\n  <s:message>{message}</s:message>\n  {extra}\n</d:error>\n"
    );
    Answer::new(500).body("application/xml; charset=utf-8", body)
}

fn with_status(status: u16, answer: Answer) -> Answer {
    Answer { status, ..answer }
}

/// 415 as sabre says it of an object that is against the rules.
pub(crate) fn unsupported(message: &str) -> Answer {
    with_status(415, error("DAV\\Exception\\UnsupportedMediaType", message, ""))
}

/// 500 as sabre says it of an object with a recurrence that it cannot expand.
pub(crate) fn unexpandable(message: &str) -> Answer {
    error("VObject\\InvalidDataException", message, "")
}

fn not_found(name: &str) -> Answer {
    with_status(404, error("DAV\\Exception\\NotFound", &format!("Node with name '{name}' could not be found"), ""))
}

fn make_calendar(world: &mut World, name: &str) -> Answer {
    if world.calendars.contains_key(name) {
        let message = "The resource you tried to create already exists";
        return with_status(405, error("DAV\\Exception\\MethodNotAllowed", message, ""));
    }
    world.calendars.insert(name.to_owned(), Calendar::default());
    Answer::new(201)
}

fn get(calendar: &Calendar, name: &str) -> Answer {
    match calendar.objects.get(name) {
        None => not_found(name),
        Some(object) => {
            Answer::new(200).header("ETag", &object.etag).body("text/calendar; charset=utf-8", object.text.clone())
        }
    }
}

fn put(calendar: &mut Calendar, switches: &Switches, asked: &Asked, name: &str) -> Answer {
    let is_new = !calendar.objects.contains_key(name);
    if let Some(refusal) = hindrance(calendar, switches, asked, name) {
        return refusal;
    }
    if let Some(refusal) = invalid(switches, asked) {
        if switches.stores_refused {
            calendar.put(name, asked.body.clone());
        }
        if switches.restless {
            calendar.touch(name);
        }
        return refusal;
    }
    if switches.one_uid && stands_elsewhere(calendar, &asked.text(), name) {
        return with_status(409, error("DAV\\Exception\\Conflict", "", "<cal:no-uid-conflict/>"));
    }
    let answer = Answer::new(if is_new { 201 } else { 204 });
    let sent = asked.text();
    let repaired = repair(&sent);
    let stored =
        switches.rewrites.map_or_else(|| repaired.clone().unwrap_or_else(|| sent.clone()), |rewrite| rewrite(&sent));
    let etag = calendar.put(name, if stored == sent { asked.body.clone() } else { stored.into_bytes() });
    if repaired.is_some() {
        let told = "iCalendar validation warning: DTSTAMP MUST appear exactly once in a VEVENT component";
        return answer.header("X-Sabre-Ew-Gross", told);
    }
    if switches.no_etag_on_put { answer } else { answer.header("ETag", written(&etag, switches)) }
}

fn delete(calendar: &mut Calendar, switches: &Switches, asked: &Asked, name: &str) -> Answer {
    if let Some(refusal) = hindrance(calendar, switches, asked, name) {
        return refusal;
    }
    let text = calendar.objects.get(name).map(|object| String::from_utf8_lossy(&object.text)).unwrap_or_default();
    if let Some(refusal) = switches.undeletable.iter().find(|refusal| text.contains(refusal.text)) {
        let answer = refusal.answer.clone();
        if switches.restless {
            calendar.touch(name);
        }
        return answer;
    }
    if calendar.delete(name) { Answer::new(204) } else { not_found(name) }
}

fn stands_elsewhere(calendar: &Calendar, text: &str, name: &str) -> bool {
    let uid = |text: &str| text.lines().find_map(|line| line.strip_prefix("UID:")).map(str::to_owned);
    let mut others = calendar.objects.keys().filter(|other| *other != name);
    others.any(|other| uid(&calendar.text(other)) == uid(text))
}

/// Why a write cannot be, whatever it writes.
fn hindrance(calendar: &Calendar, switches: &Switches, asked: &Asked, name: &str) -> Option<Answer> {
    if switches.read_only {
        let privileges = "<d:need-privileges><d:resource><d:href>/dav.php/calendars/alice/work</d:href><d:privilege><d:bind/></d:privilege></d:resource></d:need-privileges>";
        return Some(with_status(
            403,
            error("DAVACL\\Exception\\NeedPrivileges", "User did not have the required privileges", privileges),
        ));
    }
    let standing = calendar.objects.get(name);
    let broken = match (asked.header("if-match"), asked.header("if-none-match")) {
        _ if switches.ignores_preconditions => return None,
        (Some(wanted), _) if standing.is_none_or(|object| object.etag != wanted) => "If-Match",
        (_, Some("*")) if standing.is_some() => "If-None-Match",
        _ if switches.full => {
            return Some(with_status(507, error("DAV\\Exception\\InsufficientStorage", "Quota exceeded", "")));
        }
        _ => return None,
    };
    let extra = format!("<s:header>{broken}</s:header>");
    let told = with_status(412, error("DAV\\Exception\\PreconditionFailed", "The precondition failed", &extra));
    // Only If-Match tells what stands there.
    Some(match standing {
        Some(object) if broken == "If-Match" => told.header("ETag", &object.etag),
        _ => told,
    })
}

/// What sabre refuses of a body, as far as our tests need it.
fn invalid(switches: &Switches, asked: &Asked) -> Option<Answer> {
    let text = asked.text();
    let lines = || text.lines().map(|line| line.trim_end_matches('\r'));
    if let Some(refusal) = switches.refusals.iter().find(|refusal| text.contains(refusal.text)) {
        return Some(refusal.answer.clone());
    }
    if !lines().any(|line| line == "BEGIN:VCALENDAR") {
        return Some(unsupported(
            "This resource only supports valid iCalendar 2.0 data. Parse error: This parser only supports VCARD and VCALENDAR files",
        ));
    }
    if lines().any(|line| line.starts_with("METHOD:")) {
        return Some(unsupported(
            "Validation error in iCalendar: A calendar object on a CalDAV server MUST NOT have a METHOD property.",
        ));
    }
    if !lines().any(|line| matches!(line, "BEGIN:VEVENT" | "BEGIN:VTODO")) {
        let message = "iCalendar objects must at least have a component of type VEVENT, VTODO";
        let told = error("CalDAV\\Exception\\InvalidComponentType", message, "<cal:supported-calendar-component/>");
        return Some(with_status(403, told));
    }
    let unfolded = text.replace("\r\n ", "");
    let mut uids: Vec<&str> = unfolded.lines().filter(|line| line.starts_with("UID:")).collect();
    uids.dedup();
    (uids.len() > 1).then(|| unsupported("Validation error in iCalendar: A calendar object on a CalDAV server may only have components with the same UID."))
}

/// The repair that sabre makes most often: a DTSTAMP of its own where there is none. `None`: nothing to repair.
fn repair(text: &str) -> Option<String> {
    let stamped = text.contains("\r\nDTSTAMP") || !text.contains("BEGIN:VEVENT\r\n");
    (!stamped).then(|| text.replace("BEGIN:VEVENT\r\n", "BEGIN:VEVENT\r\nDTSTAMP:20261120T120000Z\r\n"))
}

fn written(etag: &str, switches: &Switches) -> String {
    if switches.weak_etags { format!("W/{etag}") } else { etag.to_owned() }
}

fn propfind(world: &World, asked: &Asked, place: &Place) -> Answer {
    let deep = asked.header("depth") != Some("0");
    let mut answers = String::new();
    let mut add = |href: &str, properties: &dyn Fn(&str) -> Option<String>| {
        answers += &response(href, &wanted(asked), properties);
    };
    match place {
        Place::Root => add("/dav.php/", &|name| everywhere(name).or_else(|| collection(name))),
        Place::Principal => add("/dav.php/principals/alice/", &|name| principal(name).or_else(|| everywhere(name))),
        Place::Schedule(kind) => add(&asked.target, &|name| schedule(name, kind)),
        Place::Home => {
            add(HOME, &|name| everywhere(name).or_else(|| collection(name)));
            for (name, calendar) in world.calendars.iter().filter(|_| deep) {
                add(&format!("{HOME}{}/", encode(name)), &|wanted| of_calendar(calendar, &world.switches, wanted));
            }
            for (name, kind) in [("inbox", "schedule-inbox"), ("outbox", "schedule-outbox")].iter().filter(|_| deep) {
                add(&format!("{HOME}{name}/"), &|wanted| schedule(wanted, kind));
            }
        }
        Place::Calendar(name) => {
            let Some(calendar) = world.calendars.get(name) else { return not_found(name) };
            let base = format!("{HOME}{}/", encode(name));
            add(&base, &|wanted| of_calendar(calendar, &world.switches, wanted));
            for (object, stored) in calendar.objects.iter().filter(|_| deep) {
                add(&format!("{base}{}", encode(object)), &|wanted| of_object(&stored.etag, &world.switches, wanted));
            }
        }
        Place::Object(calendar, name) => {
            let stored = world.calendars.get(calendar).and_then(|calendar| calendar.objects.get(name));
            let Some(stored) = stored else { return not_found(name) };
            add(&asked.target, &|wanted| of_object(&stored.etag, &world.switches, wanted));
        }
        Place::Nowhere => return not_found(&asked.target),
    }
    multistatus(&answers)
}

fn report(calendar: &Calendar, switches: &Switches, asked: &Asked, name: &str) -> Answer {
    let text = asked.text();
    let document = roxmltree::Document::parse(&text).expect("a report is XML");
    let base = format!("{HOME}{}/", encode(name));
    match document.root_element().tag_name().name() {
        "calendar-multiget" => multiget(calendar, switches, &document, &base),
        "sync-collection" if !switches.no_sync_collection => {
            sync_collection(calendar, switches, asked, &document, &base)
        }
        _ => with_status(415, error("DAV\\Exception\\ReportNotSupported", "", "<d:supported-report/>")),
    }
}

/// Missing objects are left out of the answer, and lines end with LF.
fn multiget(calendar: &Calendar, switches: &Switches, document: &roxmltree::Document<'_>, base: &str) -> Answer {
    let mut answers = String::new();
    for href in document.descendants().filter(|node| node.has_tag_name(("DAV:", "href"))).filter_map(|node| node.text())
    {
        let Place::Object(_, name) = place(href) else {
            let message = format!("Requested uri ({href}) is out of base uri (/dav.php/)");
            return with_status(403, error("DAV\\Exception\\Forbidden", &message, ""));
        };
        let Some(object) = calendar.objects.get(&name) else { continue };
        let poison = if switches.poisoned.contains(&name.as_str()) { "\u{10}" } else { "" };
        let text = String::from_utf8_lossy(&object.text).replace('\r', "") + poison;
        answers += &format!(
            "<d:response><d:href>{base}{}</d:href><d:propstat><d:prop><d:getetag>{}</d:getetag><cal:calendar-data>{}</cal:calendar-data></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>",
            encode(&name),
            escape(&written(&object.etag, switches)),
            escape(&text)
        );
    }
    multistatus(&answers)
}

/// RFC 6578, with the trap of sabre: a token of the future means "no changes".
fn sync_collection(
    calendar: &Calendar,
    switches: &Switches,
    asked: &Asked,
    document: &roxmltree::Document<'_>,
    base: &str,
) -> Answer {
    let token = document.descendants().find(|node| node.has_tag_name(("DAV:", "sync-token")));
    let token = token.and_then(|node| node.text()).unwrap_or_default().trim();
    let names: Vec<&str> = match (token, token.strip_prefix(TOKEN)) {
        ("", _) => calendar.objects.keys().map(String::as_str).collect(),
        (_, Some(number)) => calendar.changed_since(number.parse().unwrap_or(u64::MAX)),
        (_, None) => {
            let told =
                error("DAV\\Exception\\InvalidSyncToken", "Invalid or unknown sync token", "<d:valid-sync-token/>");
            return with_status(403, told);
        }
    };
    let mut answers = String::new();
    for name in names {
        let href = format!("{base}{}", encode(name));
        match calendar.objects.get(name) {
            Some(object) => {
                answers += &response(&href, &wanted(asked), &|wanted| of_object(&object.etag, switches, wanted));
            }
            None => {
                answers += &format!(
                    "<d:response><d:status>HTTP/1.1 404 Not Found</d:status><d:href>{href}</d:href></d:response>"
                );
            }
        }
    }
    let future = token.strip_prefix(TOKEN).is_some_and(|number| number.parse().unwrap_or(u64::MAX) > calendar.counter);
    let next = if future { token.to_owned() } else { format!("{TOKEN}{}", calendar.counter) };
    multistatus(&format!("{answers}<d:sync-token>{next}</d:sync-token>"))
}

fn multistatus(inside: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?>\n<d:multistatus {NAMESPACES}>{inside}</d:multistatus>\n");
    Answer::new(207).body("application/xml; charset=utf-8", body)
}

/// The properties that a request asks for, as qualified names with our prefixes.
fn wanted(asked: &Asked) -> Vec<String> {
    let text = asked.text();
    let Ok(document) = roxmltree::Document::parse(&text) else { return Vec::new() };
    let Some(prop) = document.descendants().find(|node| node.has_tag_name(("DAV:", "prop"))) else { return Vec::new() };
    let prefix = |namespace: Option<&str>| match namespace {
        Some("DAV:") => "d",
        Some("urn:ietf:params:xml:ns:caldav") => "cal",
        Some("http://calendarserver.org/ns/") => "cs",
        Some("http://sabredav.org/ns") => "s",
        _ => "x",
    };
    let elements = prop.children().filter(roxmltree::Node::is_element);
    elements.map(|node| format!("{}:{}", prefix(node.tag_name().namespace()), node.tag_name().name())).collect()
}

fn response(href: &str, wanted: &[String], properties: &dyn Fn(&str) -> Option<String>) -> String {
    let (mut found, mut missing) = (String::new(), String::new());
    for name in wanted {
        match properties(name) {
            Some(value) => write!(found, "<{name}>{value}</{name}>").unwrap(),
            // Names of other namespaces would need a declaration.
            None if name.starts_with("x:") => {}
            None => write!(missing, "<{name}/>").unwrap(),
        }
    }
    let mut written = format!("<d:response><d:href>{href}</d:href>");
    for (properties, status) in [(found, "200 OK"), (missing, "404 Not Found")] {
        if !properties.is_empty() {
            written += &format!(
                "<d:propstat><d:prop>{properties}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>"
            );
        }
    }
    written + "</d:response>"
}

fn everywhere(name: &str) -> Option<String> {
    (name == "d:current-user-principal").then(|| format!("<d:href>/dav.php/principals/{USER}/</d:href>"))
}

fn collection(name: &str) -> Option<String> {
    (name == "d:resourcetype").then(|| "<d:collection/>".to_owned())
}

fn principal(name: &str) -> Option<String> {
    match name {
        "cal:calendar-home-set" => Some(format!("<d:href>{HOME}</d:href>")),
        "d:displayname" => Some("Alice".to_owned()),
        "d:resourcetype" => Some("<d:principal/>".to_owned()),
        _ => None,
    }
}

fn schedule(name: &str, kind: &str) -> Option<String> {
    (name == "d:resourcetype").then(|| format!("<d:collection/><cal:{kind}/>"))
}

fn of_calendar(calendar: &Calendar, switches: &Switches, name: &str) -> Option<String> {
    let token = format!("{TOKEN}{}", calendar.counter);
    match name {
        "d:resourcetype" => Some("<d:collection/><cal:calendar/>".to_owned()),
        "d:displayname" => calendar.display_name.as_deref().map(escape),
        "cs:getctag" if switches.no_sync_collection => Some(calendar.counter.to_string()),
        "cs:getctag" => Some(token),
        "d:sync-token" if !switches.no_sync_collection => Some(token),
        "s:sync-token" if !switches.no_sync_collection => Some(calendar.counter.to_string()),
        "cal:supported-calendar-component-set" => {
            Some("<cal:comp name=\"VEVENT\"/><cal:comp name=\"VTODO\"/>".to_owned())
        }
        "d:current-user-privilege-set" => Some(privileges(switches)),
        "d:supported-report-set" => Some(reports(switches)),
        _ => everywhere(name),
    }
}

fn privileges(switches: &Switches) -> String {
    let names: &[&str] = if switches.read_only {
        &["d:read", "d:read-acl"]
    } else if switches.no_unbind {
        &["d:read", "d:write-content", "d:bind"]
    } else {
        &["d:read", "d:write", "d:write-content", "d:bind", "d:unbind"]
    };
    names.iter().map(|name| format!("<d:privilege><{name}/></d:privilege>")).collect()
}

fn reports(switches: &Switches) -> String {
    let names = ["cal:calendar-multiget", "cal:calendar-query", "d:sync-collection"];
    let names = names.iter().filter(|name| !(switches.no_sync_collection && **name == "d:sync-collection"));
    names.map(|name| format!("<d:supported-report><d:report><{name}/></d:report></d:supported-report>")).collect()
}

fn of_object(etag: &str, switches: &Switches, name: &str) -> Option<String> {
    match name {
        "d:getetag" => Some(escape(&written(etag, switches))),
        "d:getcontenttype" => Some("text/calendar; charset=utf-8; component=vevent".to_owned()),
        "d:resourcetype" => Some(String::new()),
        _ => None,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Percent-encoding with small letters, as sabre writes it.
fn encode(name: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.~()@".contains(&octet);
    name.bytes()
        .map(|octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02x}") })
        .collect()
}

fn decode(path: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        octets.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&octets).into_owned()
}
