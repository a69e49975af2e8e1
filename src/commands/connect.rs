//! Connects the two ends of a subscription: sources and collections for resolved addresses, with shared connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::Authenticator;
use crate::collection::Collection;
use crate::collection::caldav::Caldav;
use crate::collection::home::Home;
use crate::collection::vdir::Vdir;
use crate::config::{
    SecretSource, Server, SourceAddress, SourceCredentials, Subscription, TargetAddress, Timeouts, Tls,
};
use crate::dav::discover::Remembered;
use crate::db::state::Handle;
use crate::feed::Source;
use crate::feed::file::File;
use crate::feed::web::{Settings, Web};
use crate::http::{Client, Options, Traffic};
use crate::signal::Stop;
use crate::words::secret::{Credentials, LateSecret};

/// Clients and challenges that several subscriptions share.
pub(super) struct Connections {
    stop: Stop,
    state: Handle,
    feeds: Mutex<HashMap<(Timeouts, Tls), Client>>,
    servers: Mutex<HashMap<String, Shared>>,
    logins: Mutex<HashMap<String, Login>>,
}

#[derive(Clone)]
struct Shared {
    client: Client,
    authenticator: Option<Arc<Authenticator>>,
}

/// Credentials, and the remembered challenge.
struct Login {
    authenticator: Arc<Authenticator>,
    remembered: Option<String>,
}

/// The ends of one subscription.
pub(super) struct Connected {
    pub(super) source: Box<dyn Source>,
    target: Target,
    clients: Vec<Client>,
}

/// The target of a subscription.
pub(super) enum Target {
    Folder(Vdir),
    Calendar { calendar: Box<Caldav>, canonical: String, remembered: Option<Remembered> },
}

impl Connections {
    pub(super) fn new(stop: Stop, state: Handle) -> Connections {
        Connections { stop, state, feeds: Mutex::default(), servers: Mutex::default(), logins: Mutex::default() }
    }

    /// The ends of a subscription. Sends nothing, and fetches no secret before a server asks for it.
    pub(super) fn connect(&self, subscription: &Subscription) -> anyhow::Result<Connected> {
        let mut clients = Vec::new();
        let source = self.source(&subscription.name, &subscription.source, &mut clients)?;
        let target = self.target(&subscription.target, &mut clients)?;
        Ok(Connected { source, target, clients })
    }

    /// The target alone.
    pub(super) fn target(&self, address: &TargetAddress, clients: &mut Vec<Client>) -> anyhow::Result<Target> {
        match address {
            TargetAddress::Folder(path) => Ok(Target::Folder(Vdir::new(path.clone()))),
            TargetAddress::Calendar { server, calendar } => {
                let canonical = address.canonical();
                let asked = canonical.clone();
                let remembered = self.state.read(move |state| state.remembered(&asked))?;
                let home = Arc::new(self.home(server, clients)?);
                let calendar = Box::new(Caldav::new(home, calendar.clone(), remembered.clone()));
                Ok(Target::Calendar { calendar, canonical, remembered })
            }
        }
    }

    /// The user's home on a server, with its own client that counts the traffic.
    pub(super) fn home(&self, server: &Arc<Server>, clients: &mut Vec<Client>) -> anyhow::Result<Home> {
        let Shared { client, authenticator } = self.shared(server)?;
        let client = client.counting_apart();
        clients.push(client.clone());
        Ok(Home::new(server.url.clone(), client, authenticator))
    }

    fn source(
        &self,
        name: &str,
        address: &SourceAddress,
        clients: &mut Vec<Client>,
    ) -> anyhow::Result<Box<dyn Source>> {
        let (url, user_agent, max_size, client, credentials) = match address {
            SourceAddress::File { path, max_size } => return Ok(Box::new(File::new(path.clone(), *max_size))),
            SourceAddress::StandardInput { max_size } => return Ok(Box::new(File::new("-".into(), *max_size))),
            SourceAddress::Web { url, user_agent, max_size, timeouts, tls, credentials } => {
                (url, user_agent, *max_size, self.feed_client(*timeouts, tls).counting_apart(), credentials)
            }
        };
        clients.push(client.clone());
        let mut settings = Settings { user_agent: user_agent.clone(), max_size, authenticator: None, header: None };
        let credentials = match credentials.clone() {
            None => None,
            Some(SourceCredentials::Header { name, value }) => {
                settings.header = Some((name, late(value)));
                None
            }
            Some(SourceCredentials::Bearer(token)) => Some(Credentials::Bearer(late(token))),
            Some(SourceCredentials::Password { user, password }) => {
                Some(Credentials::Password { user, password: late(password) })
            }
        };
        // Two feeds of one origin may have different passwords.
        let key = format!("feed of {name} {}", url.0.origin());
        settings.authenticator =
            credentials.map(|credentials| self.login(key, url.0.origin(), credentials)).transpose()?;
        Ok(Box::new(Web::new(url.clone(), settings, client)))
    }

    fn feed_client(&self, timeouts: Timeouts, tls: &Tls) -> Client {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Client::new(&options(timeouts, tls), self.stop.clone());
        feeds.entry((timeouts, tls.clone())).or_insert_with(make).clone()
    }

    fn shared(&self, server: &Arc<Server>) -> anyhow::Result<Shared> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = challenge_key(server);
        if let Some(shared) = servers.get(&key) {
            return Ok(shared.clone());
        }
        let client = Client::new(&options(server.timeouts, &server.tls), self.stop.clone());
        let login = |credentials| self.login(key.clone(), server.url.origin(), credentials);
        let authenticator = credentials_of(server).map(login).transpose()?;
        let shared = Shared { client, authenticator };
        servers.insert(key, shared.clone());
        Ok(shared)
    }

    /// Answers the challenges of an origin, starting with the one that the state has under this key.
    fn login(&self, key: String, origin: String, credentials: Credentials) -> anyhow::Result<Arc<Authenticator>> {
        let asked = key.clone();
        let remembered = self.state.read(move |state| state.challenge(&asked))?;
        let authenticator = Arc::new(Authenticator::new(origin, credentials, remembered.as_deref()));
        let login = Login { authenticator: Arc::clone(&authenticator), remembered };
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).insert(key, login);
        Ok(authenticator)
    }

    /// Stores changed challenges for the next run.
    pub(super) fn remember(&self) -> anyhow::Result<()> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, login) in logins.iter() {
            let challenge = login.authenticator.remember().filter(|text| Some(text) != login.remembered.as_ref());
            if let Some(text) = challenge {
                let key = key.clone();
                self.state.write(move |state| state.set_challenge(&key, &text))?;
            }
        }
        Ok(())
    }
}

/// The connection options for a server or a feed.
pub(super) fn options(timeouts: Timeouts, tls: &Tls) -> Options {
    Options {
        connect_timeout: timeouts.connect,
        idle_timeout: timeouts.idle,
        timeout: timeouts.total,
        tls_ca: tls.ca.clone(),
        tls_cert: tls.cert.clone(),
        tls_key: tls.key.clone(),
        ..Options::default()
    }
}

/// Identifies a configured server and its user, to whom credentials, timeouts and certificates belong.
fn challenge_key(server: &Server) -> String {
    format!("{} {} {}", server.name, server.url.origin(), server.user.as_deref().unwrap_or_default())
}

fn credentials_of(server: &Server) -> Option<Credentials> {
    let secret = late(server.secret.clone()?);
    Some(match &server.user {
        Some(user) if !server.bearer => Credentials::Password { user: user.clone(), password: secret },
        _ => Credentials::Bearer(secret),
    })
}

fn late(secret: SecretSource) -> LateSecret {
    LateSecret::new(move || secret.fetch())
}

impl Target {
    pub(super) fn collection(&self) -> &dyn Collection {
        match self {
            Target::Folder(folder) => folder,
            Target::Calendar { calendar, .. } => calendar.as_ref(),
        }
    }
}

impl Connected {
    pub(super) fn collection(&self) -> &dyn Collection {
        self.target.collection()
    }

    /// What was sent and received for this subscription.
    pub(super) fn traffic(&self) -> Traffic {
        self.clients.iter().map(Client::traffic).fold(Traffic::default(), |sum, one| Traffic {
            requests: sum.requests + one.requests,
            bytes_sent: sum.bytes_sent + one.bytes_sent,
            bytes_received: sum.bytes_received + one.bytes_received,
        })
    }

    /// Stores what discovery found, if it changed.
    pub(super) fn remember(&self, state: &Handle) -> anyhow::Result<()> {
        let Target::Calendar { calendar, canonical, remembered } = &self.target else {
            return Ok(());
        };
        let now = calendar.remember();
        if now == *remembered {
            return Ok(());
        }
        let canonical = canonical.clone();
        state.write(move |state| state.set_remembered(&canonical, now.as_ref()))
    }
}
