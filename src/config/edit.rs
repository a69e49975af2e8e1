//! Edits a configuration file without touching what it does not mean. The only file that names the crate `toml_edit`.

use toml_edit::{DocumentMut, Item};

/// The text of a configuration file without the subscription of this name, its comments and all else as they were. `None`
/// when the text has no such subscription, or writes it in a way that cannot be taken out.
pub fn without_subscription(text: &str, name: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let tables = document.get_mut("subscription").and_then(Item::as_array_of_tables_mut)?;
    let place = tables.iter().position(|table| table.get("name").and_then(Item::as_str) == Some(name))?;
    tables.remove(place);
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# mine\n[server]\nurl = \"https://h/\"  # there\n\n[[subscription]]\nname = \"a\"\nsource = \"x\"\n\n\
        # the other\n[[subscription]]\nname = \"b\"\nsource = \"y\"\n";

    #[test]
    fn only_the_table_of_that_name_goes() {
        let expected = TEXT.replace("[[subscription]]\nname = \"a\"\nsource = \"x\"\n\n", "");
        assert_eq!(without_subscription(TEXT, "a").as_deref(), Some(expected.as_str()));
        let expected = TEXT.split("\n# the other").next().unwrap();
        assert_eq!(without_subscription(TEXT, "b").as_deref(), Some(expected));
    }

    #[test]
    fn what_is_not_there_is_not_taken_out() {
        assert_eq!(without_subscription(TEXT, "c"), None);
        assert_eq!(without_subscription("no toml = = ", "a"), None);
    }
}
