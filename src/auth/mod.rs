//! Authentication: answers a server's challenge, then authenticates later requests without being asked. The only file
//! that names the crates `http_auth` and `md5`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http_auth::{ChallengeParser, ChallengeRef};

use crate::words::error::{Kind, fault};
use crate::words::message::Response;
use crate::words::secret::{Credentials, Secret};
use crate::words::url::Url;

/// Longest challenge field that we echo, in octets: many servers refuse requests with more than 8 kB of headers.
const LONGEST_FIELD: usize = 2048;

/// Shortest secret that is redacted from server messages, in octets: redacting shorter ones would make them
/// unreadable.
const SHORTEST_HIDDEN: usize = 4;

/// The credentials for one origin and the scheme that its server wants. All connections share it because the nonce
/// count must never repeat (RFC 7616 §3.3).
#[derive(Debug)]
pub struct Authenticator {
    origin: String,
    credentials: Credentials,
    known: Mutex<Option<Challenge>>,
}

/// A challenge that we can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer,
    Digest(Digest),
}

/// A Digest challenge (RFC 7616 §3.3) and how often its nonce was used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// The challenge names no algorithm, which means MD5 (RFC 7616 §3.3; sabre/dav names none).
    Unnamed,
    Md5,
    Sha256,
}

impl Authenticator {
    /// `origin` is that of the server (`https://host:port`, as [`Url::origin`] writes it). `remembered` is the result
    /// of [`Authenticator::remember`] in an earlier run; invalid values are ignored.
    pub fn new(origin: String, credentials: Credentials, remembered: Option<&str>) -> Authenticator {
        let known = match credentials {
            Credentials::Bearer(_) => Some(Challenge::Bearer),
            Credentials::Password { .. } => remembered.and_then(Challenge::recall),
        };
        Authenticator { origin, credentials, known: Mutex::new(known) }
    }

    /// Whether the credentials belong to this address.
    pub fn belongs_to(&self, url: &Url) -> bool {
        url.origin() == self.origin
    }

    /// The Authorization value for a request; `None` if no challenge is known yet or the request goes to another
    /// origin. `cnonce` is a random value, used by Digest only. Fails if the secret cannot be fetched.
    pub fn header(&self, method: &str, url: &Url, cnonce: &str) -> anyhow::Result<Option<Secret>> {
        let mut known = self.known();
        let Some(known) = known.as_mut().filter(|_| self.belongs_to(url)) else {
            return Ok(None);
        };
        Ok(match (known, &self.credentials) {
            (Challenge::Basic, Credentials::Password { user, password }) => {
                Some(Secret::new(http_auth::basic::encode_credentials(user, password.get()?.reveal())))
            }
            (Challenge::Digest(digest), Credentials::Password { user, password }) => {
                Some(digest.answer(user, &password.get()?, method, &url.request_target(), cnonce))
            }
            (Challenge::Bearer, Credentials::Bearer(token)) => {
                Some(Secret::new(format!("Bearer {}", token.get()?.reveal())))
            }
            _ => None,
        })
    }

    /// Handles a 401. `sent` is the Authorization value of the request, if it had one. `Ok` means retry; the error
    /// explains why a retry cannot help and is always [`Kind::Refused`].
    pub fn challenged(&self, sent: Option<&Secret>, response: &Response, over_https: bool) -> anyhow::Result<()> {
        let offers = Offers::read(response);
        let stale = offers.stale;
        let mut known = self.known();
        let knew_digest = matches!(*known, Some(Challenge::Digest(_)));
        let chosen = self.choose(offers, over_https, knew_digest)?;
        if let (Some(sent), Some(known)) = (sent, known.as_ref())
            && known.was_answered_in_vain(sent, &chosen, stale)
        {
            return Err(self.refused(self.wrong_credentials()));
        }
        *known = Some(chosen);
        Ok(())
    }

    /// Redacts our credentials from an error response, because its text is shown and stored. Proxies and test servers
    /// do echo them. `sent` is the Authorization value of the request.
    pub fn hide_in(&self, response: &mut Response, sent: &Secret) {
        if response.status < 400 {
            return;
        }
        let secret = match &self.credentials {
            Credentials::Password { password: secret, .. } | Credentials::Bearer(secret) => secret.get().ok(),
        };
        let (_, value) = sent.reveal().split_once(' ').unwrap_or_default();
        let proof = value.split("response=\"").nth(1).and_then(|rest| rest.split('"').next());
        let hidden = [Some(value), proof, secret.as_ref().map(Secret::reveal)];
        for hidden in hidden.into_iter().flatten().filter(|hidden| hidden.len() >= SHORTEST_HIDDEN) {
            let body = String::from_utf8_lossy(&response.body);
            if body.contains(hidden) {
                response.body = body.replace(hidden, "…").into_bytes();
            }
        }
    }

    /// What the state file stores: the challenge and the nonce count, nothing secret.
    pub fn remember(&self) -> Option<String> {
        match self.known().as_ref()? {
            Challenge::Bearer => None,
            Challenge::Basic => Some("0 Basic realm=\"\"".to_owned()),
            Challenge::Digest(digest) => Some(digest.remember()),
        }
    }

    fn choose(&self, offers: Offers, over_https: bool, knew_digest: bool) -> anyhow::Result<Challenge> {
        let Credentials::Password { user, .. } = &self.credentials else {
            return Ok(Challenge::Bearer);
        };
        let basic_is_safe = over_https || !(knew_digest || offers.any_digest);
        match offers {
            Offers { digest: Some(digest), .. } if user.is_ascii() => Ok(Challenge::Digest(digest)),
            Offers { basic: true, .. } if basic_is_safe => Ok(Challenge::Basic),
            // sabre expects other characters unencoded, which the HTTP library cannot send in this field.
            Offers { digest: Some(_), .. } => {
                Err(self.refused("wants Digest authentication, which works here for user names in ASCII only"))
            }
            Offers { basic: true, .. } => Err(self.refused(
                "offered Digest authentication before and now wants the password in clear; use https, or make sure that \
                 nobody stands between",
            )),
            Offers { schemes, .. } if schemes.is_empty() => {
                Err(self.refused("answers 401 without saying how to authenticate"))
            }
            Offers { schemes, .. } => Err(self.refused(&format!(
                "wants {} authentication, and only Basic and Digest (MD5 or SHA-256, qop=auth) are supported",
                schemes.join(" or ")
            ))),
        }
    }

    fn wrong_credentials(&self) -> &'static str {
        match self.credentials {
            Credentials::Password { .. } => "does not accept the user name or the password",
            Credentials::Bearer(_) => "does not accept the token",
        }
    }

    fn refused(&self, sentence: &str) -> anyhow::Error {
        fault(Kind::Refused, format!("{} {sentence}", self.origin))
    }

    fn known(&self) -> MutexGuard<'_, Option<Challenge>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Challenge {
    fn recall(remembered: &str) -> Option<Challenge> {
        let (count, challenge) = remembered.split_once(' ')?;
        let challenge = ChallengeParser::new(challenge).next()?.ok()?;
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        // A remembered nonce has been used, so its rejection does not yet mean a wrong password.
        let count = count.parse::<u32>().ok()?.max(1);
        Some(Challenge::Digest(Digest { count, ..Digest::read(&challenge)? }))
    }

    /// Whether `sent` was a first, correct answer to the known challenge, so that a retry is pointless. A request
    /// with an older nonce, with a nonce that worked before, or in another scheme deserves a retry.
    fn was_answered_in_vain(&self, sent: &Secret, chosen: &Challenge, stale: bool) -> bool {
        match (self, chosen) {
            (Challenge::Digest(digest), Challenge::Digest(_)) => {
                !stale && sent.reveal().contains(&digest.nonce_field()) && sent.reveal().contains("nc=00000001,")
            }
            (known, chosen) => known == chosen,
        }
    }
}

/// What the WWW-Authenticate fields of a response offer (RFC 9110 §11.6.1).
#[derive(Debug, Default)]
struct Offers {
    basic: bool,
    digest: Option<Digest>,
    any_digest: bool,
    stale: bool,
    schemes: Vec<String>,
}

impl Offers {
    fn read(response: &Response) -> Offers {
        let mut offers = Offers::default();
        for line in response.headers.all("www-authenticate") {
            ChallengeParser::new(&line).filter_map(Result::ok).for_each(|challenge| offers.add(&challenge));
        }
        offers
    }

    fn add(&mut self, challenge: &ChallengeRef<'_>) {
        self.schemes.push(challenge.scheme.to_owned());
        self.basic |= challenge.scheme.eq_ignore_ascii_case("basic");
        if challenge.scheme.eq_ignore_ascii_case("digest") {
            self.any_digest = true;
            self.stale |= parameter(challenge, "stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
            let best = self.digest.take().into_iter().chain(Digest::read(challenge));
            self.digest = best.max_by_key(|digest| digest.algorithm == Algorithm::Sha256);
        }
    }
}

impl Digest {
    /// `None` if the challenge requires something we do not support.
    fn read(challenge: &ChallengeRef<'_>) -> Option<Digest> {
        if !challenge.scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let qop = parameter(challenge, "qop")?;
        if !qop.split(',').any(|option| option.trim().eq_ignore_ascii_case("auth")) {
            return None;
        }
        let algorithm = match parameter(challenge, "algorithm").map(|name| name.to_ascii_uppercase()).as_deref() {
            None => Algorithm::Unnamed,
            Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let [realm, nonce, opaque] = ["realm", "nonce", "opaque"].map(|name| parameter(challenge, name));
        if [&realm, &nonce, &opaque].into_iter().flatten().any(|text| text.len() > LONGEST_FIELD) {
            return None;
        }
        Some(Digest { realm: realm?, nonce: nonce?, opaque, algorithm, count: 0 })
    }

    /// RFC 7616 §3.4.1 with qop=auth. The user name is sent as it is: sabre does not support `username*`.
    fn answer(&mut self, user: &str, password: &Secret, method: &str, uri: &str, cnonce: &str) -> Secret {
        self.count = self.count.saturating_add(1);
        let hash = |text: &str| self.algorithm.hash(text);
        let secret = hash(&format!("{user}:{}:{}", self.realm, password.reveal()));
        let request = hash(&format!("{method}:{uri}"));
        let count = format!("{:08x}", self.count);
        let response = hash(&format!("{secret}:{}:{count}:{cnonce}:auth:{request}", self.nonce));
        Secret::new(format!(
            "Digest username={}, realm={}, {}, uri={}, qop=auth, nc={count}, cnonce={}, response=\"{response}\"{}",
            quoted(user),
            quoted(&self.realm),
            self.nonce_field(),
            quoted(uri),
            quoted(cnonce),
            self.echoes()
        ))
    }

    /// The trailing fields that echo the challenge, each with its comma.
    fn echoes(&self) -> String {
        let opaque = self.opaque.as_ref().map(|opaque| format!(", opaque={}", quoted(opaque))).unwrap_or_default();
        let algorithm = self.algorithm.name().map(|name| format!(", algorithm={name}")).unwrap_or_default();
        opaque + &algorithm
    }

    fn nonce_field(&self) -> String {
        format!("nonce={}", quoted(&self.nonce))
    }

    fn remember(&self) -> String {
        let realm = quoted(&self.realm);
        format!("{} Digest realm={realm}, {}, qop=\"auth\"{}", self.count, self.nonce_field(), self.echoes())
    }
}

impl Algorithm {
    fn name(self) -> Option<&'static str> {
        match self {
            Algorithm::Unnamed => None,
            Algorithm::Md5 => Some("MD5"),
            Algorithm::Sha256 => Some("SHA-256"),
        }
    }

    fn hash(self, text: &str) -> String {
        use md5::Digest as _;
        match self {
            Algorithm::Unnamed | Algorithm::Md5 => hex(&md5::Md5::digest(text)),
            Algorithm::Sha256 => crate::words::digest::sha256(&[text.as_bytes()]).to_string(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    challenge.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_unescaped())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
