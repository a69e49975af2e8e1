//! The names of our objects in a collection: fixed, safe on every server, and marked as ours.

use crate::model::{Href, Key};
use crate::words::digest::sha256;

/// What the hrefs of one subscription begin with: 8 hex digits and a dash.
pub fn href_prefix(name: &str, source: &str) -> String {
    let hash = sha256(&[name.as_bytes(), b"\0", source.as_bytes()]).to_string();
    format!("{}-", hash.get(..8).unwrap_or_default())
}

/// The href of an object under a prefix: `<8 hex>-<32 hex>.ics`.
pub fn href(prefix: &str, key: &Key) -> Href {
    let hash = sha256(&[key.component.as_str().as_bytes(), b"\0", key.uid.as_bytes()]).to_string();
    Href::new(format!("{prefix}{}.ics", hash.get(..32).unwrap_or_default()))
}

/// Whether an href has the shape of ours, whichever subscription it belongs to.
pub fn is_made_by_us(href: &Href) -> bool {
    let parts = href.as_str().strip_suffix(".ics").and_then(|name| name.split_once('-'));
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    parts.is_some_and(|(subscription, object)| is_hex(subscription, 8) && is_hex(object, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentType;

    fn of(name: &str, source: &str, component: ComponentType, uid: &str) -> String {
        href(&href_prefix(name, source), &Key { component, uid: uid.to_owned() }).as_str().to_owned()
    }

    #[test]
    fn an_href_is_the_same_in_every_version_of_the_program() {
        // printf 'work\0https://h/f.ics' | sha256sum; printf 'VEVENT\0a@b' | sha256sum
        let expected = "f850dde1-21742df9fd77b8904b910251b0aa7cb1.ics";
        assert_eq!(of("work", "https://h/f.ics", ComponentType::Event, "a@b"), expected);
    }

    #[test]
    fn our_shape_is_told_from_other_names() {
        let made_by_us = |name: &str| is_made_by_us(&Href::new(name));
        assert!(made_by_us("f850dde1-21742df9fd77b8904b910251b0aa7cb1.ics"));
        for name in ["f850dde1-21742df9.ics", "F850DDE1-21742df9fd77b8904b910251b0aa7cb1.ics", "meeting.ics"] {
            assert!(!made_by_us(name), "{name}");
        }
    }

    #[test]
    fn subscription_type_and_uid_each_make_another_href() {
        let one = of("a", "s", ComponentType::Event, "u");
        for other in [
            of("b", "s", ComponentType::Event, "u"),
            of("a", "s", ComponentType::Todo, "u"),
            of("a", "s", ComponentType::Event, "v"),
        ] {
            assert_ne!(one, other);
        }
    }
}
