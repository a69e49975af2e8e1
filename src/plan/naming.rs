//! The names of our objects in a collection: safe on every server, marked as ours, and revealing nothing of the feed.

use crate::model::{Href, Key};
use crate::words::digest::sha256;

/// How the hrefs of a subscription begin: eight hex digits and a dash. `chance` is four random octets: a prefix
/// computed from the address of a feed would confirm that address to whoever guesses it.
pub fn prefix(chance: [u8; 4]) -> String {
    format!("{:08x}-", u32::from_be_bytes(chance))
}

/// The href of an object under a prefix: `<8 hex>-<32 hex>.ics`.
pub fn href(prefix: &str, key: &Key) -> Href {
    let hash = sha256(&[key.component.as_str().as_bytes(), b"\0", key.uid.as_bytes()]).to_string();
    Href::new(format!("{prefix}{}.ics", hash.get(..32).unwrap_or_default()))
}

/// The prefix of an href that has the shape of ours, of any subscription.
pub fn prefix_of(href: &Href) -> Option<&str> {
    let (prefix, object) = href.as_str().strip_suffix(".ics")?.split_at_checked(9)?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let has_shape = is_hex(prefix.strip_suffix('-')?) && object.len() == 32 && is_hex(object);
    has_shape.then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentType;

    fn of(prefix: &str, component: ComponentType, uid: &str) -> String {
        href(prefix, &Key { component, uid: uid.to_owned() }).as_str().to_owned()
    }

    #[test]
    fn an_href_is_the_same_in_every_version_of_the_program() {
        // printf 'VEVENT\0a@b' | sha256sum
        let expected = "f850dde1-21742df9fd77b8904b910251b0aa7cb1.ics";
        assert_eq!(of(&prefix([0xf8, 0x50, 0xdd, 0xe1]), ComponentType::Event, "a@b"), expected);
    }

    #[test]
    fn our_shape_is_told_from_other_names() {
        let prefix = |name: &str| prefix_of(&Href::new(name)).map(str::to_owned);
        assert_eq!(prefix("f850dde1-21742df9fd77b8904b910251b0aa7cb1.ics").as_deref(), Some("f850dde1-"));
        for name in ["f850dde1-21742df9.ics", "F850DDE1-21742df9fd77b8904b910251b0aa7cb1.ics", "meeting.ics"] {
            assert_eq!(prefix(name), None, "{name}");
        }
    }

    #[test]
    fn prefix_type_and_uid_each_make_another_href() {
        let one = of("00000001-", ComponentType::Event, "u");
        for other in [
            of("00000002-", ComponentType::Event, "u"),
            of("00000001-", ComponentType::Todo, "u"),
            of("00000001-", ComponentType::Event, "v"),
        ] {
            assert_ne!(one, other);
        }
    }
}
