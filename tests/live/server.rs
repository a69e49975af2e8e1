//! A real server and the requests that a person would send by hand, sent by curl so that they are not ours.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// A server as `tests/live/servers/start` announced it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    /// The path below which calendars can be made, with slashes at both ends.
    home: String,
    /// `None` where nobody is asked who he is.
    pub user: Option<String>,
    pub password_file: PathBuf,
}

/// A calendar that nobody else uses.
#[derive(Clone)]
pub(crate) struct Calendar {
    server: Server,
    /// Its path, with slashes at both ends.
    pub path: String,
}

/// Runs a scenario on a server, or says that the server is not there.
pub(crate) fn with(name: &str, scenario: fn(&Server)) {
    match announced(name) {
        Some(server) => scenario(&server),
        None if std::env::var("CI").is_ok_and(|value| value == "true") => {
            panic!("{name} is not running; `tests/all` installs and starts it")
        }
        None => eprintln!("{name} is not running, so nothing is tested; tests/all installs and starts it"),
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn announced(name: &str) -> Option<Server> {
    let text = std::fs::read_to_string(root().join("target/live/servers.env")).ok()?;
    let value =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}_{key}="))).map(str::to_owned);
    let origin = value("URL")?.trim_end_matches('/').to_owned();
    let home = value("HOME")?.strip_prefix(&origin)?.to_owned();
    let user = value("USER").filter(|user| !user.is_empty());
    Some(Server { origin, home, user, password_file: value("PASSWORD_FILE")?.into() })
}

impl Server {
    /// The path of a calendar that is not there.
    pub(crate) fn unused_path(&self) -> String {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("{}t-{}-{number}/", self.home, std::process::id())
    }

    /// A new, empty calendar.
    pub(crate) fn fresh_calendar(&self) -> Calendar {
        let calendar = Calendar { server: self.clone(), path: self.unused_path() };
        let (status, said) = self.ask("MKCALENDAR", &calendar.path, &[], b"");
        assert_eq!(status, 201, "MKCALENDAR {}: {said}", calendar.path);
        calendar
    }

    /// A calendar at this path, which the program may or may not have made.
    pub(crate) fn calendar(&self, path: &str) -> Calendar {
        Calendar { server: self.clone(), path: path.to_owned() }
    }

    /// One request; gives the status and the body.
    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (u16, String) {
        let mut curl = self.curl();
        curl.args(["--request", method, "--write-out", "\n%{http_code}"]);
        for header in headers {
            curl.args(["--header", header]);
        }
        if !body.is_empty() {
            curl.args(["--data-binary", "@-"]);
        }
        curl.arg(format!("{}{path}", self.origin));
        let text = String::from_utf8_lossy(&fed(curl, body).stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        (status.parse().unwrap_or(0), body.to_owned())
    }

    /// curl with what it needs for this server.
    fn curl(&self) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*"]);
        if let Some(user) = &self.user {
            let password = std::fs::read_to_string(&self.password_file).unwrap();
            curl.args(["--anyauth", "--user", &format!("{user}:{}", password.trim_end())]);
        }
        curl
    }
}

/// Runs a command to its end with this on its standard input.
fn fed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("curl is installed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

impl Calendar {
    /// Deletes the calendar and makes an empty one at the same address.
    pub(crate) fn make_anew(&self) {
        for (method, statuses) in [("DELETE", 200..=204), ("MKCALENDAR", 201..=201)] {
            let (status, said) = self.server.ask(method, &self.path, &[], b"");
            assert!(statuses.contains(&status), "{method} {}: {status} {said}", self.path);
        }
    }

    /// Everything that stands there: name and text.
    pub(crate) fn objects(&self) -> BTreeMap<String, String> {
        let body = b"<propfind xmlns=\"DAV:\"><prop><getetag/></prop></propfind>";
        let headers = ["Depth: 1", "Content-Type: application/xml"];
        let (status, listing) = self.server.ask("PROPFIND", &self.path, &headers, body);
        assert_eq!(status, 207, "PROPFIND {}: {listing}", self.path);
        let document = roxmltree::Document::parse(&listing).unwrap();
        let hrefs =
            document.descendants().filter(|node| node.has_tag_name(("DAV:", "href"))).filter_map(|node| node.text());
        let names = hrefs.filter_map(|href| href.rsplit('/').next()).filter(|name| !name.is_empty());
        self.read(&names.map(str::to_owned).collect::<Vec<_>>())
    }

    /// The texts of these objects, by one process: a thousand would take a minute.
    fn read(&self, names: &[String]) -> BTreeMap<String, String> {
        if names.is_empty() {
            return BTreeMap::new();
        }
        let folder = TempDir::new().unwrap();
        let file = |number: usize| folder.path().join(number.to_string());
        let mut orders = String::new();
        for (number, name) in names.iter().enumerate() {
            let url = format!("{}{}{name}", self.server.origin, self.path);
            orders += &format!("url = \"{url}\"\noutput = \"{}\"\n", file(number).display());
        }
        let mut curl = self.server.curl();
        curl.args(["--fail", "--config", "-"]);
        let output = fed(curl, orders.as_bytes());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        names.iter().enumerate().map(|(n, name)| (name.clone(), std::fs::read_to_string(file(n)).unwrap())).collect()
    }

    /// The text of one object.
    pub(crate) fn get(&self, name: &str) -> String {
        let (status, text) = self.server.ask("GET", &format!("{}{name}", self.path), &[], b"");
        assert_eq!(status, 200, "GET {name}: {text}");
        text
    }

    /// Puts an object there, as someone else would.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let headers = ["Content-Type: text/calendar; charset=utf-8"];
        let (status, said) = self.server.ask("PUT", &format!("{}{name}", self.path), &headers, text.as_bytes());
        assert!(matches!(status, 201 | 204), "PUT {name}: {status} {said}");
    }

    /// Deletes an object, as someone else would.
    pub(crate) fn delete(&self, name: &str) {
        assert!(self.remove(name), "{name} is not there");
    }

    /// Deletes an object if it is there; whether it was.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let (status, said) = self.server.ask("DELETE", &format!("{}{name}", self.path), &[], b"");
        assert!(matches!(status, 200 | 204 | 404), "DELETE {name}: {status} {said}");
        status != 404
    }
}
