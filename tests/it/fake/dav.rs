//! A CalDAV server in memory that behaves like Baïkal with sabre/dav 4.7, and misbehaves on
//! command as the switches say. Home: `/dav.php/calendars/alice/`; a calendar `work` is there from the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::ServerConfig;

use super::dav_answer;
use super::dav_store::{Calendar, md5};
use super::http::{Answer, Asked, Server};

/// The user of the fake.
pub(crate) const USER: &str = "alice";
/// Her password: two characters that a careless encoding would spoil.
pub(crate) const PASSWORD: &str = "pass:wörd";
/// Where her calendars stand.
pub(crate) const HOME: &str = "/dav.php/calendars/alice/";

/// How the server asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Digest,
    Basic,
    Nobody,
}

/// An object that the server refuses, if it holds the text.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub text: &'static str,
    pub answer: Answer,
}

/// What the server does otherwise than it should. Everything can be changed between two requests.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub(crate) struct Switches {
    pub login: Login,
    /// REPORT sync-collection is not supported, and there is no sync-token, as on sabre/dav 1.8.
    pub no_sync_collection: bool,
    /// `W/"…"` wherever an ETag is written, as nginx with gzip does.
    pub weak_etags: bool,
    /// PUT answers without ETag though nothing was rewritten.
    pub no_etag_on_put: bool,
    /// The server stores its own form of an object, as Radicale does; its ETag is that of the stored form.
    pub rewrites: Option<fn(&str) -> String>,
    /// It is no sabre: it announces scheduling and knows no Schedule-Reply.
    pub is_other_scheduler: bool,
    /// Rights to read only: writes are answered by 403 with need-privileges.
    pub read_only: bool,
    /// Every answer is 200 with a page for people: Baïkal with a broken database.
    pub broken_database: bool,
    /// If-Match and If-None-Match are read and forgotten, as SOGo does with some of them.
    pub ignores_preconditions: bool,
    /// The rights do not hold that to delete.
    pub no_unbind: bool,
    /// Writes are answered by 507.
    pub full: bool,
    /// Names of objects whose text spoils the XML of a multiget.
    pub poisoned: Vec<&'static str>,
    /// Objects that the server refuses.
    pub refusals: Vec<Refusal>,
    /// It stores what it refuses.
    pub stores_refused: bool,
    /// What it refuses to change or to delete has another version afterwards.
    pub restless: bool,
    /// Objects that the server does not delete.
    pub undeletable: Vec<Refusal>,
    /// Each UID is taken once, as Radicale does.
    pub one_uid: bool,
    /// The connection breaks at this write (the first is 1), before it is done.
    pub drop_before_write: Option<usize>,
    /// The connection breaks at this write, after it is done.
    pub drop_after_write: Option<usize>,
    /// From this write on, all are answered 500 without a reason.
    pub fail_from_write: Option<usize>,
    /// After so many requests (with those that got 401) every connection breaks.
    pub silent_after: Option<usize>,
    /// The same answer to everything.
    pub answer: Option<Answer>,
}

/// What happens on the server before it answers: the number of the request (the first is 1) and the calendar `work`.
pub(crate) type Meddler = Box<dyn FnMut(usize, &mut Calendar) + Send>;

/// Makes another answer of the one that the server would give.
pub(crate) type Distorter = Box<dyn FnMut(&Asked, Answer) -> Answer + Send>;

/// All that the server holds.
pub(crate) struct World {
    pub calendars: BTreeMap<String, Calendar>,
    pub switches: Switches,
    /// Each write that was let through to the calendar: `PUT name 201`, `DELETE name 412`.
    pub writes: Vec<String>,
    /// The challenges so far: the nonce is the number of the last one.
    pub challenges: usize,
    requests: usize,
    attempted_writes: usize,
    meddler: Option<Meddler>,
    distorter: Option<Distorter>,
}

/// A running server.
pub(crate) struct Dav {
    server: Server,
    world: Arc<Mutex<World>>,
}

impl Dav {
    /// A healthy server with an empty calendar `work`, which asks for Digest.
    pub(crate) fn start() -> Dav {
        let world = Arc::new(Mutex::new(World {
            calendars: BTreeMap::from([("work".to_owned(), Calendar::default())]),
            switches: Switches {
                login: Login::Digest,
                no_sync_collection: false,
                weak_etags: false,
                no_etag_on_put: false,
                rewrites: None,
                is_other_scheduler: false,
                read_only: false,
                ignores_preconditions: false,
                no_unbind: false,
                broken_database: false,
                full: false,
                poisoned: Vec::new(),
                refusals: Vec::new(),
                restless: false,
                stores_refused: false,
                undeletable: Vec::new(),
                one_uid: false,
                drop_before_write: None,
                drop_after_write: None,
                fail_from_write: None,
                silent_after: None,
                answer: None,
            },
            writes: Vec::new(),
            challenges: 0,
            requests: 0,
            attempted_writes: 0,
            meddler: None,
            distorter: None,
        }));
        let shared = Arc::clone(&world);
        Dav { server: Server::start(move |asked| shared.lock().unwrap().serve(asked)), world }
    }

    /// The address of the server as a person would give it.
    pub(crate) fn url(&self) -> String {
        self.server.url("/dav.php/")
    }

    /// The address of a calendar.
    pub(crate) fn calendar_url(&self, name: &str) -> String {
        self.server.url(&format!("{HOME}{name}/"))
    }

    /// The world, to look at and to change. The server waits as long as this is held.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Changes the switches.
    pub(crate) fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.world().switches);
    }

    /// Looks at the calendar `work`, or changes it behind the program's back.
    pub(crate) fn work<T>(&self, look: impl FnOnce(&mut Calendar) -> T) -> T {
        look(self.world().calendars.get_mut("work").expect("the calendar work"))
    }

    /// Lets someone else work on the server during a pass; requests are counted anew.
    pub(crate) fn meddle(&self, meddler: impl FnMut(usize, &mut Calendar) + Send + 'static) {
        let mut world = self.world();
        world.requests = 0;
        world.meddler = Some(Box::new(meddler));
    }

    /// Lets something make other answers of the answers to those who have said who they are.
    pub(crate) fn distort(&self, distorter: impl FnMut(&Asked, Answer) -> Answer + Send + 'static) {
        self.world().distorter = Some(Box::new(distorter));
    }

    /// The writes since the last call.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.world().writes)
    }

    /// The requests since the last call; the switches that count requests and writes begin at 1 again.
    pub(crate) fn take(&self) -> Vec<Asked> {
        let mut world = self.world();
        (world.requests, world.attempted_writes) = (0, 0);
        self.server.take()
    }

    /// Speaks https from now on, in this way.
    pub(crate) fn encrypt(&self, encryption: Arc<ServerConfig>) {
        self.server.encrypt(Some(encryption));
    }

    /// Refuses connections from now on.
    pub(crate) fn stop(&self) {
        self.server.stop();
    }
}

impl World {
    fn serve(&mut self, asked: &Asked) -> Answer {
        self.requests += 1;
        if let (Some(meddler), Some(work)) = (&mut self.meddler, self.calendars.get_mut("work")) {
            meddler(self.requests, work);
        }
        if self.switches.silent_after.is_some_and(|limit| self.requests > limit) {
            return Answer::silence();
        }
        if let Some(answer) = &self.switches.answer {
            return answer.clone();
        }
        if self.switches.broken_database {
            return Answer::new(200)
                .body("text/html; charset=UTF-8", "<h3>DB file is not writable. Please give write permissions.</h3>");
        }
        if asked.target == "/.well-known/caldav" {
            // Baïkal builds the address from the Host field.
            let host = asked.header("host").unwrap_or_default();
            return Answer::new(302).header("Location", format!("http://{host}/dav.php"));
        }
        if let Some(challenge) = self.challenge(asked) {
            return challenge;
        }
        let is_write = matches!(asked.method.as_str(), "PUT" | "DELETE");
        let answer = if is_write { self.count_write(asked) } else { dav_answer::answer(self, asked) };
        let hidden = self.switches.is_other_scheduler;
        let answer = if hidden { answer } else { answer.header("X-Sabre-Version", "4.7.0") };
        match &mut self.distorter {
            Some(distorter) => distorter(asked, answer),
            None => answer,
        }
    }

    fn count_write(&mut self, asked: &Asked) -> Answer {
        self.attempted_writes += 1;
        let number = Some(self.attempted_writes);
        if number == self.switches.drop_before_write {
            return Answer::silence();
        }
        let fails = number >= self.switches.fail_from_write && self.switches.fail_from_write.is_some();
        let answer = if fails { Answer::new(500) } else { dav_answer::answer(self, asked) };
        let name = asked.target.rsplit('/').next().unwrap_or_default();
        self.writes.push(format!("{} {name} {}", asked.method, answer.status));
        if number == self.switches.drop_after_write { Answer::silence() } else { answer }
    }

    /// The 401 for a request that does not prove who asks.
    fn challenge(&mut self, asked: &Asked) -> Option<Answer> {
        let given = asked.header("authorization").unwrap_or_default();
        let (known, challenge) = match self.switches.login {
            Login::Nobody => return None,
            Login::Basic => {
                (given == super::feed::basic(USER, PASSWORD), "Basic realm=\"sabre/dav\", charset=\"UTF-8\"".to_owned())
            }
            Login::Digest => {
                let nonce = self.challenges + 1;
                (
                    proves_digest(asked, given),
                    format!(
                        "Digest realm=\"BaikalDAV\",qop=\"auth\",nonce=\"{nonce}\",opaque=\"df58bdff8cf60599c939187d0b5c54de\""
                    ),
                )
            }
        };
        if known {
            return None;
        }
        self.challenges += 1;
        let told = dav_answer::error("DAV\\Exception\\NotAuthenticated", "Username or password was incorrect", "");
        Some(Answer { status: 401, ..told }.header("WWW-Authenticate", challenge))
    }
}

/// RFC 7616 §3.4.1 with MD5 and qop=auth. Like sabre it does not check the nonce; unlike sabre it checks the target.
fn proves_digest(asked: &Asked, given: &str) -> bool {
    let Some(fields) = given.strip_prefix("Digest ") else { return false };
    let field = |name: &str| {
        let fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        fields.filter(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"')).next().unwrap_or_default()
    };
    let who = md5(format!("{USER}:BaikalDAV:{PASSWORD}").as_bytes());
    let what = md5(format!("{}:{}", asked.method, asked.target).as_bytes());
    let (nonce, count, cnonce) = (field("nonce"), field("nc"), field("cnonce"));
    field("uri") == asked.target
        && field("qop") == "auth"
        && !nonce.is_empty()
        && field("response") == md5(format!("{who}:{nonce}:{count}:{cnonce}:auth:{what}").as_bytes())
}
