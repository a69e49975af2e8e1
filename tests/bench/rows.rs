//! The rows of the table: the aims of the project, and how each is measured.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::env::{Env, server, subscription};
use crate::fake::dav::{Dav, HOME, Login, PASSWORD, USER};
use crate::fake::dav_store::Calendar;
use crate::measure::{Times, in_turns, peak_memory, processor_time, time, wait_for_the_next_second};
use crate::origin::{Certificate, Origin};
use crate::puts::Writer;
use crate::{Row, feed};

/// Measures what belongs together.
type Measure = fn() -> Vec<Row>;

/// Every group of rows and its name.
pub(crate) const ALL: [(&str, Measure); 9] = [
    ("idle", idle),
    ("verify", verify),
    ("https", https),
    ("stamps-10k", stamps_10k),
    ("stamps-100k", stamps_100k),
    ("changes", changes),
    ("drift", drift),
    ("first", first),
    ("thousand", thousand),
];

/// Runs of short things; the disturbances of a shared machine are longer than they are.
const RUNS: usize = 20;

/// A feed, a fake Baïkal, and the program between them.
struct Setting {
    origin: Origin,
    dav: Dav,
    env: Env,
}

impl Setting {
    fn new(feed: &[u8], keys: &str) -> Setting {
        let (origin, dav, env) = (Origin::start(feed), Dav::start(), Env::new());
        let password = env.file("password", PASSWORD);
        let target = dav.calendar_url("work");
        env.set_config(&(server(&dav.url(), USER, &password) + &subscription(&origin.url("feed.ics"), &target, keys)));
        Setting { origin, dav, env }
    }

    /// The same, after its first pass and an idle one.
    fn settled(feed: &[u8], keys: &str) -> Setting {
        let setting = Setting::new(feed, keys);
        for _ in 0..2 {
            setting.env.run(&["run"]).exits(0);
        }
        setting
    }

    fn run(&self) -> Command {
        self.env.command(&["run"])
    }

    /// The time of an idle run, which commits.
    fn time_idle(&self) -> Duration {
        wait_for_the_next_second();
        self.time()
    }

    fn time(&self) -> Duration {
        time(self.run())
    }

    /// The methods that the next run sends to the calendar, each with its number, and how often it asks for the feed.
    fn requests(&self) -> (usize, BTreeMap<String, usize>) {
        self.origin.take();
        self.dav.take();
        self.env.run(&["run"]).exits(0);
        let mut methods = BTreeMap::new();
        for asked in self.dav.take() {
            *methods.entry(asked.method).or_insert(0) += 1;
        }
        (self.origin.take(), methods)
    }

    /// Commits that the next run makes: `SQLite` counts them in octets 24 to 27 of its file.
    fn commits(&self) -> u32 {
        let count = || {
            let bytes = std::fs::read(self.env.state()).expect("the state");
            u32::from_be_bytes(bytes[24..28].try_into().expect("four octets"))
        };
        let before = count();
        wait_for_the_next_second();
        self.env.run(&["run"]).exits(0);
        count() - before
    }
}

/// curl as it would fetch the feed if it had changed.
fn curl(origin: &Origin) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--output", "/dev/null"]);
    curl.args(["--header", &format!("If-None-Match: {}", origin.etag()), &origin.url("feed.ics")]);
    curl
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1e3)
}

fn megabytes(octets: u64) -> String {
    format!("{:.1} MB", octets as f64 / 1e6)
}

/// Ours beside theirs: the ratio of the best and how it came about.
fn beside(ours: &Times, theirs: &Times, name: &str) -> (f64, String) {
    let ratio = ours.best() / theirs.best();
    let text = format!(
        "{ratio:.2} x {name}: {} to {} (medians {} to {})",
        milliseconds(ours.best()),
        milliseconds(theirs.best()),
        milliseconds(ours.median()),
        milliseconds(theirs.median())
    );
    (ratio, text)
}

fn listed(methods: &BTreeMap<String, usize>) -> String {
    let each: Vec<String> = methods.iter().map(|(method, count)| format!("{count} {method}")).collect();
    if each.is_empty() { "0 DAV".to_owned() } else { each.join(", ") }
}

fn idle() -> Vec<Row> {
    let setting = Setting::settled(&feed::feed(1000), "");
    let (asked, methods) = setting.requests();
    let commits = setting.commits();
    let (ours, theirs) = in_turns(RUNS, || setting.time_idle(), || time(curl(&setting.origin)));
    let (ratio, text) = beside(&ours, &theirs, "curl");
    let counts = format!("{asked} feed, {}, {commits} commit", listed(&methods));
    vec![
        Row::new("nothing changed, 304", "<= 1 x curl", text, ratio <= 1.0),
        Row::new(
            "  its requests and commits",
            "1 feed, 0 DAV, 1 commit",
            counts,
            asked == 1 && methods.is_empty() && commits == 1,
        ),
    ]
}

fn verify() -> Vec<Row> {
    let setting = Setting::settled(&feed::feed(1000), "verify = \"always\"");
    let (asked, methods) = setting.requests();
    let (ours, theirs) = in_turns(RUNS, || setting.time_idle(), || time(curl(&setting.origin)));
    let (_, text) = beside(&ours, &theirs, "curl of the feed");
    let met = asked == 1 && methods == BTreeMap::from([("PROPFIND".to_owned(), 1)]);
    let result = format!("{asked} feed, {}; {text}", listed(&methods));
    vec![Row::new("the same, verify due (Digest)", "1 feed, 1 PROPFIND (no 401)", result, met)]
}

fn https() -> Vec<Row> {
    let (work, aim) = ("the same over HTTPS", "<= 1.5 x curl");
    let folder = tempfile::tempdir().expect("a folder");
    let Some(certificate) = Certificate::make(folder.path()) else {
        return vec![Row::without(work, aim, "openssl made no certificate")];
    };
    let bundle = certificate.bundle.display().to_string();
    let mut setting = Setting::new(&feed::feed(1000), "");
    setting.origin = Origin::encrypted(&feed::feed(1000), &certificate);
    setting.env = setting.env.var("SSL_CERT_FILE", bundle.clone());
    let password = setting.env.file("password", PASSWORD);
    let source = setting.origin.url("feed.ics");
    let target = setting.dav.calendar_url("work");
    setting.env.set_config(&(server(&setting.dav.url(), USER, &password) + &subscription(&source, &target, "")));
    setting.env.run(&["run"]).exits(0);
    let bare = || {
        let mut curl = curl(&setting.origin);
        curl.args(["--cacert", &bundle]);
        time(curl)
    };
    let (ours, theirs) = in_turns(RUNS, || setting.time_idle(), bare);
    let (ratio, text) = beside(&ours, &theirs, "curl");
    vec![Row::new(work, aim, text, ratio <= 1.5)]
}

fn stamps_10k() -> Vec<Row> {
    let setting = Setting::settled(&feed::feed(10_000), "");
    vec![stamps("200, other DTSTAMPs, 10k events", "0 writes, <= 60 ms", &setting, 20, 0.060)]
}

fn stamps_100k() -> Vec<Row> {
    let feed = feed::feed(100_000);
    let setting = Setting::settled(&feed, "");
    let row = stamps("200, other DTSTAMPs, 100k events", "0 writes, <= 600 ms", &setting, 5, 0.600);
    setting.origin.set(&feed::at_another_moment(&feed, 99), 99);
    let peak = peak_memory(setting.run());
    let ratio = peak as f64 / feed.len() as f64;
    let text = format!("{ratio:.2} x feed: {} to {}", megabytes(peak), megabytes(feed.len() as u64));
    vec![row, Row::new("  its peak memory", "<= 1.75 x the feed", text, ratio <= 1.75)]
}

/// Runs on a feed in which nothing changed but every DTSTAMP.
fn stamps(work: &'static str, aim: &'static str, setting: &Setting, runs: usize, limit: f64) -> Row {
    let feed = feed::feed(if runs == 5 { 100_000 } else { 10_000 });
    let mut moment = 0;
    let fresh = |moment: &mut usize| {
        *moment += 1;
        setting.origin.set(&feed::at_another_moment(&feed, *moment), *moment);
    };
    fresh(&mut moment);
    let (_, methods) = setting.requests();
    let mut spent = 0.0;
    let ours = || {
        fresh(&mut moment);
        let before = processor_time();
        let taken = setting.time();
        spent += processor_time() - before;
        taken
    };
    let theirs = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--output", "/dev/null", &setting.origin.url("feed.ics")]);
        time(curl)
    };
    let (ours, theirs) = in_turns(runs, ours, theirs);
    let (_, text) = beside(&ours, &theirs, "curl");
    let spent = milliseconds(spent / runs as f64);
    let met = methods.is_empty() && ours.best() <= limit;
    Row::new(work, aim, format!("{}; {spent} of processor; {text}", listed(&methods)), met)
}

fn changes() -> Vec<Row> {
    let feed = feed::simple(1000);
    let setting = Setting::settled(feed.as_bytes(), "");
    setting.origin.set(feed::with_changes(&feed, 20).as_bytes(), 1);
    let (_, methods) = setting.requests();
    let writes = methods.get("PUT").copied().unwrap_or(0);
    let others = methods.values().sum::<usize>() - writes;
    let met = writes == 20 && others <= 4;
    vec![Row::new("20 changes in 1k events", "20 PUT and <= 4 others", listed(&methods), met)]
}

fn drift() -> Vec<Row> {
    let feed = feed::simple(10_000);
    let setting = Setting::settled(feed.as_bytes(), "verify = \"always\"");
    setting.dav.work(|work| {
        let name = work.objects.keys().nth(5000).expect("an object").clone();
        let edited = work.text(&name).replace("SUMMARY:", "SUMMARY:Edited ");
        work.put(&name, edited);
    });
    let (_, methods) = setting.requests();
    let count = |method: &str| methods.get(method).copied().unwrap_or(0);
    // One REPORT asks what changed, one reads that and an object that should not have changed, one settles the write.
    let met = count("PROPFIND") == 1 && count("REPORT") == 3 && count("GET") == 0 && count("PUT") == 1;
    vec![Row::new(
        "drift look at 10k objects, one edited",
        "1 PROPFIND, 1 REPORT, 1 read, 1 PUT, 1 to settle",
        listed(&methods),
        met,
    )]
}

fn first() -> Vec<Row> {
    let aim = ">= 95 % of bare PUTs";
    let feed = feed::simple(1000);
    let dav = Dav::start();
    let address = dav.url().trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
    let writer = Writer { address, user: USER.to_owned(), password: PASSWORD.to_owned() };
    let origin = Origin::start(feed.as_bytes());
    let target = dav.calendar_url("work");
    let mut bodies = Vec::new();
    let ours = || {
        dav.work(|work| *work = Calendar::default());
        let env = Env::new();
        let password = env.file("password", PASSWORD);
        env.set_config(&(server(&dav.url(), USER, &password) + &subscription(&origin.url("f.ics"), &target, "")));
        let taken = time(env.command(&["run"]));
        bodies = dav.work(|work| work.objects.values().map(|object| object.text.clone()).collect());
        taken
    };
    let path = format!("{HOME}work/");
    let theirs = || {
        dav.work(|work| *work = Calendar::default());
        writer.put_all(&path, &texts(&feed))
    };
    let (ours, theirs) = in_turns(7, ours, theirs);
    // A server that answers in microseconds shows what a PUT costs us, not what it costs a user.
    let each = (ours.best() - theirs.best()) * 1e3;
    let text = format!("{each:.0} µs: {} to {}", milliseconds(ours.best()), milliseconds(theirs.best()));
    let fake = Row::new("  what we add to each PUT (fake Baïkal)", "<= 200 µs", text, each <= 200.0);
    vec![first_on_sabre(aim, &feed, &bodies), fake]
}

/// The events of a simple feed as the resources that are put.
fn texts(feed: &str) -> Vec<Vec<u8>> {
    let (head, events) = feed.split_once("BEGIN:VEVENT").expect("an event");
    let events = events.split("BEGIN:VEVENT").map(|event| event.trim_end_matches("END:VCALENDAR\r\n"));
    events.map(|event| format!("{head}BEGIN:VEVENT{event}END:VCALENDAR\r\n").into_bytes()).collect()
}

fn first_on_sabre(aim: &'static str, feed: &str, bodies: &[Vec<u8>]) -> Row {
    let work = "first pass of 1k events, sabre/dav";
    let Some(sabre) = crate::server::announced("SABRE") else {
        return Row::without(work, aim, "tests/live/servers/start has not started it");
    };
    let password = std::fs::read_to_string(&sabre.password_file).expect("the password");
    let user = sabre.user.clone().unwrap_or_default();
    let address = sabre.origin.trim_start_matches("http://").to_owned();
    let writer = Writer { address, user: user.clone(), password: password.trim_end().to_owned() };
    let origin = Origin::start(feed.as_bytes());
    let ours = || {
        let env = Env::new();
        let target = format!("{}{}", sabre.origin, sabre.fresh_calendar().path);
        let config = server(&sabre.origin, &user, &sabre.password_file);
        env.set_config(&(config + &subscription(&origin.url("f.ics"), &target, "")));
        time(env.command(&["run"]))
    };
    let theirs = || writer.put_all(&sabre.fresh_calendar().path, bodies);
    compared(work, aim, 2, ours, theirs)
}

fn compared(
    work: &'static str,
    aim: &'static str,
    runs: usize,
    ours: impl FnMut() -> Duration,
    theirs: impl FnMut() -> Duration,
) -> Row {
    let (ours, theirs) = in_turns(runs, ours, theirs);
    let (ratio, text) = beside(&theirs, &ours, "the bare rate; bare, ours");
    Row::new(work, aim, text, ratio >= 0.95)
}

fn thousand() -> Vec<Row> {
    let (origin, dav) = (Origin::start(&feed::feed(1)), Dav::start());
    let of = |count: usize| {
        let env = Env::new();
        let password = env.file("password", PASSWORD);
        let mut config = server(&dav.url(), USER, &password);
        for number in 0..count {
            let name = format!("c{number}");
            dav.world().calendars.insert(name.clone(), Calendar::default());
            let one = subscription(&origin.url(&format!("{number}.ics")), &dav.calendar_url(&name), "");
            config += &one.replace("\"work\"", &format!("\"{name}\""));
        }
        env.set_config(&config);
        env.run(&["run"]).exits(0);
        env.run(&["run"]).exits(0);
        env
    };
    let (one, many) = (of(1), of(1000));
    dav.switch(|switches| switches.login = Login::Digest);
    let (ours, single) = in_turns(10, || time(many.command(&["run"])), || time(one.command(&["run"])));
    let memory = |env: &Env| (0..5).map(|_| peak_memory(env.command(&["run"]))).max().unwrap_or(0);
    let (small, large) = (memory(&one), memory(&many));
    let text = format!(
        "{} (median {}); one takes {}",
        milliseconds(ours.best()),
        milliseconds(ours.median()),
        milliseconds(single.best())
    );
    vec![
        Row::new("1000 subscriptions, all 304", "<= 1500 ms", text, ours.best() <= 1.5),
        Row::new(
            "  their peak memory",
            "flat: < 20 kB for each",
            format!("{}; one takes {}", megabytes(large), megabytes(small)),
            large.saturating_sub(small) < 20_000_000,
        ),
    ]
}
