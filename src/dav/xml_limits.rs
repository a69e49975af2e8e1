//! Rejects XML documents that no CalDAV server would write. The XML library needs many times the memory of small
//! elements, and time quadratic in the attributes of an element and cubic in nested namespace declarations: 100 kB
//! can keep it busy forever.

use memchr::{memchr, memchr3, memmem};

/// Elements, attributes, comments and so on: a listing of about 600 000 objects.
const MOST_NODES: usize = 4_000_000;
/// Name comparisons, about a second.
const MOST_WORK: usize = 200_000_000;

/// Looks at the tags only; invalid XML is left for the library to reject.
pub(super) fn is_modest(document: &[u8]) -> bool {
    let (mut nodes, mut work) = (0_usize, 0_usize);
    // The number of namespaces in scope within each open element.
    let mut scopes: Vec<usize> = vec![0];
    let mut rest = document;
    while let Some(tag) = next_tag(&mut rest) {
        let scope = scopes.last().copied().unwrap_or_default();
        match tag {
            Tag::Close => _ = scopes.pop(),
            Tag::Other => nodes += 1,
            Tag::Open { attributes, declarations, is_empty } => {
                nodes += 1 + attributes;
                let inside = scope + declarations;
                let copied = if declarations > 0 { inside.saturating_mul(inside) } else { inside };
                work = work.saturating_add(attributes.saturating_mul(attributes + inside)).saturating_add(copied);
                if !is_empty {
                    scopes.push(inside);
                }
            }
        }
        if nodes > MOST_NODES || work > MOST_WORK {
            return false;
        }
    }
    true
}

enum Tag {
    Open {
        attributes: usize,
        declarations: usize,
        is_empty: bool,
    },
    Close,
    /// A comment, CDATA, a processing instruction.
    Other,
}

/// Consumes the next tag; `None` if there is none that ends.
fn next_tag(rest: &mut &[u8]) -> Option<Tag> {
    let tag = rest.get(memchr(b'<', rest)?..)?;
    let ends_with = |end: &[u8]| Some(memmem::find(tag, end)? + end.len());
    let (kind, length) = match tag {
        [b'<', b'!', b'-', b'-', ..] => (Tag::Other, ends_with(b"-->")?),
        [b'<', b'!', b'[', ..] => (Tag::Other, ends_with(b"]]>")?),
        [b'<', b'?', ..] => (Tag::Other, ends_with(b"?>")?),
        [b'<', b'/', ..] => (Tag::Close, ends_with(b">")?),
        _ => open_tag(tag)?,
    };
    *rest = tag.get(length..)?;
    Some(kind)
}

/// An opening tag and its length. A `>` within quotes does not end it.
fn open_tag(text: &[u8]) -> Option<(Tag, usize)> {
    let (mut at, mut attributes) = (0, 0);
    loop {
        at += memchr3(b'>', b'"', b'\'', text.get(at..)?)?;
        match text.get(at)? {
            b'>' => break,
            quote => {
                attributes += 1;
                at += 2 + memchr(*quote, text.get(at + 1..)?)?;
            }
        }
    }
    let tag = text.get(..at)?;
    let declarations = memmem::find_iter(tag, b"xmlns").count();
    Some((Tag::Open { attributes, declarations, is_empty: tag.ends_with(b"/") }, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, modest: bool) {
        assert_eq!(is_modest(document.as_bytes()), modest, "{}", document.get(..80).unwrap_or(document));
    }

    #[test]
    fn what_servers_write_is_modest() {
        let member =
            "<d:response><!-- <x --><d:href a='>'>/a</d:href><lp1:x xmlns:lp1=\"DAV:\"/><![CDATA[<]]></d:response>";
        let root = "<d:multistatus xmlns:d=\"DAV:\" xmlns:s=\"s\" xmlns:c=\"c\" xmlns:cs=\"cs\">";
        check(&format!("<?xml version=\"1.0\"?>{root}{}</d:multistatus>", member.repeat(100_000)), true);
        check(&"<a>".repeat(50_000), true);
        for broken in ["", "no XML", "<", "<a b=\"", "<!--", "</a></a>", "<a b='>"] {
            check(broken, true);
        }
    }

    #[test]
    fn what_would_exhaust_the_library_is_not() {
        check(&(0..3_000).map(|number| format!("<a xmlns:n{number}='u'>")).collect::<Vec<_>>().concat(), false);
        check(
            &format!("<a{}/>", (0..20_000).map(|number| format!(" b{number}=''")).collect::<Vec<_>>().concat()),
            false,
        );
        check(&"<a/>".repeat(MOST_NODES + 1), false);
    }
}
