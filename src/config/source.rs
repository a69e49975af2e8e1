//! Reads the source of a feed: the key `source` and those that belong to it.

use crate::config::reader::{Expected, Reader};
use crate::config::secret::{SOURCE_PASSWORD, SOURCE_TOKEN};
use crate::config::server::{timeouts, tls};
use crate::config::tree::{Node, Table};
use crate::config::{Environment, SecretSource, SourceAddress, SourceCredentials};
use crate::words::error::sentence;
use crate::words::secret::Secret;
use crate::words::url::{PrivateUrl, Url};

/// The keys that hold the credentials of a feed.
pub(super) const CREDENTIAL_KEYS: &[&str] = &[
    "source_user",
    "source_password_file",
    "source_password_command",
    "source_credential",
    "source_token_file",
    "source_token_command",
    "source_token_credential",
    "source_header",
];

/// Keys that users may try for a literal secret.
pub(super) const SECRETS: &[&str] = &["source_password", "source_token"];

const MAX_SIZE: u64 = 128 << 20;
const ALLOWED: &str = "an http, https, webcal or file address, a path, or \"-\" for standard input";
const HEADER: Expected = Expected {
    is_not: "is not the name of a header",
    allowed: "a name such as \"X-Api-Key\", without value and colon",
};

/// The kind of a source, judged by its spelling.
enum Written {
    Web(String),
    Path(String),
    StandardInput,
    /// An address with an unsupported scheme.
    Foreign,
}

/// Reads the source of a subscription.
pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Option<SourceAddress> {
    let (timeouts, tls) = (timeouts(reader), tls(reader));
    let max_size = reader.size("max_size").unwrap_or(MAX_SIZE);
    let user_agent = reader.text("user_agent").map(str::to_owned);
    let credentials = credentials(reader, environment);
    let node = reader.required("source", ALLOWED)?;
    let text = node.value.as_text().map(str::trim).filter(|text| !text.is_empty());
    // The value may be a secret, so no message repeats it.
    let problem = match text.map(classify) {
        Some(Written::StandardInput) => return local(reader, SourceAddress::StandardInput { max_size }),
        Some(Written::Path(path)) => {
            return local(reader, SourceAddress::File { path: node.place.origin.path(&path), max_size });
        }
        Some(Written::Web(address)) => match Url::parse_with_credentials(&address) {
            Ok((url, own)) => {
                let credentials = join(node, own, credentials, reader);
                let url = PrivateUrl(url);
                return Some(SourceAddress::Web { url, user_agent, max_size, timeouts, tls, credentials });
            }
            Err(error) => format!("{}; allowed: {ALLOWED}", sentence(&error)),
        },
        Some(Written::Foreign) => format!("is an address that cannot be fetched; allowed: {ALLOWED}"),
        None => format!("is not a source; allowed: {ALLOWED}"),
    };
    reader.problems.push(node.problem(problem));
    None
}

fn classify(text: &str) -> Written {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        _ if text == "-" => Written::StandardInput,
        "http" | "https" => Written::Web(text.to_owned()),
        "webcal" | "webcals" => Written::Web(format!("https:{rest}")),
        "file" => path_of_address(rest).map_or(Written::Foreign, Written::Path),
        _ if rest.starts_with("//") => Written::Foreign,
        _ => Written::Path(text.to_owned()),
    }
}

/// The path of a `file:` address (RFC 8089), which must be on this host.
fn path_of_address(rest: &str) -> Option<String> {
    let path = match rest.strip_prefix("//") {
        Some(with_host) => with_host.strip_prefix("localhost").unwrap_or(with_host),
        None => rest,
    };
    let is_here = path.starts_with('/') || !rest.starts_with("//");
    (is_here && !path.is_empty()).then(|| percent_decoded(path)).flatten()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part.get(2..)?.bytes());
    }
    String::from_utf8(bytes).ok()
}

/// A local source, which takes no credentials.
fn local(reader: &mut Reader<'_>, source: SourceAddress) -> Option<SourceAddress> {
    let needless = first_credential(reader.table);
    reader
        .problems
        .extend(needless.map(|node| node.problem("only a source that is an http or https address takes it")));
    needless.is_none().then_some(source)
}

fn first_credential(table: &Table) -> Option<&Node> {
    CREDENTIAL_KEYS.iter().find_map(|key| table.get(key))
}

/// The credentials in the address, or those in the keys; having both is a problem.
fn join(
    source: &Node,
    own: Option<(String, String)>,
    keyed: Option<SourceCredentials>,
    reader: &mut Reader<'_>,
) -> Option<SourceCredentials> {
    match (own, first_credential(reader.table)) {
        (None, _) => keyed,
        (Some(_), Some(other)) => {
            reader.problems.push(
                source.problem(format!("holds a user name, and {} is given too; remove one of them", other.place.key)),
            );
            None
        }
        (Some((user, password)), None) => {
            let password = SecretSource::Value(Secret::new(password));
            Some(SourceCredentials::Password { user, password })
        }
    }
}

fn credentials(reader: &mut Reader<'_>, environment: &Environment) -> Option<SourceCredentials> {
    refuse_written_secrets(reader);
    let user = reader.text("source_user").map(str::to_owned);
    let header = reader.value("source_header", HEADER, |value| value.as_text().filter(|name| is_token(name)));
    let password = SOURCE_PASSWORD.read(reader, environment);
    let token = SOURCE_TOKEN.read(reader, environment);

    let table = reader.table;
    let given = |key: &str| table.get(key);
    let (passwords, tokens) = (SOURCE_PASSWORD.first_in(table), SOURCE_TOKEN.first_in(table));
    let problem = match (given("source_user"), passwords, given("source_header"), tokens) {
        (Some(user), _, _, Some(_)) => Some(user.problem("a token needs no user; remove one of them")),
        (_, Some(password), _, Some(_)) => Some(password.problem("there is a token too; remove one of them")),
        (Some(user), None, _, None) => Some(
            user.problem("has no password; add source_password_file, source_password_command or source_credential"),
        ),
        (None, Some(password), _, None) => Some(password.problem("has no user; add source_user")),
        (_, _, Some(header), None) => {
            Some(header.problem("has no token; add source_token_file, source_token_command or source_token_credential"))
        }
        _ => None,
    };
    reader.problems.extend(problem);

    match (user, password, header, token) {
        (Some(user), Some(password), ..) => Some(SourceCredentials::Password { user, password }),
        (_, _, Some(name), Some(value)) => Some(SourceCredentials::Header { name: name.to_owned(), value }),
        (_, _, None, Some(token)) => Some(SourceCredentials::Bearer(token)),
        _ => None,
    }
}

fn refuse_written_secrets(reader: &mut Reader<'_>) {
    for (key, keys) in SECRETS.iter().zip([&SOURCE_PASSWORD, &SOURCE_TOKEN]) {
        reader.problems.extend(reader.table.get(key).map(|node| node.problem(keys.instead())));
    }
}

/// Whether a text is a valid header name (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
