//! What a configuration means, how mistakes are reported, and which setting wins.

use tempfile::TempDir;

use super::*;

mod meaning;
mod precedence;
mod problems;

const HOME: &str = "/home/alice";

/// A folder with a configuration, and an environment that only has a home.
struct Case {
    folder: TempDir,
    variables: Vec<(String, String)>,
    arguments: Where,
    ad_hoc: Option<AdHoc>,
}

impl Case {
    fn new() -> Case {
        let folder = TempDir::new().unwrap();
        let nowhere = folder.path().join("xdg");
        let variables = [("HOME", HOME), ("XDG_CONFIG_HOME", nowhere.to_str().unwrap())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Case { folder, variables, arguments: Where::default(), ad_hoc: None }
    }

    fn file(text: &str) -> Case {
        let mut case = Case::new();
        let path = case.folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        case.arguments.config = Some(path);
        case
    }

    fn with(mut self, name: &str, value: &str) -> Case {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn ad_hoc(mut self, source: &str, target: &str) -> Case {
        self.ad_hoc = Some(AdHoc { source: source.to_owned(), target: target.to_owned() });
        self
    }

    fn load(&self) -> Result<Config, Vec<Problem>> {
        let environment = Environment::new(self.variables.clone(), "/work");
        load(&self.arguments, &environment, self.ad_hoc.as_ref())
    }

    fn settled(&self) -> Config {
        self.load().unwrap()
    }

    /// The only subscription.
    fn only(&self) -> Subscription {
        let mut subscriptions = self.settled().subscriptions;
        assert_eq!(subscriptions.len(), 1);
        subscriptions.remove(0)
    }

    /// The reported problems, without the path of the test's folder.
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let problems = self.load().expect_err("no problem");
        problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

const SERVER: &str = "[server]\nurl = \"https://dav.example.org/dav.php/\"\n";

/// A configuration with a server and a subscription with these additional lines.
fn with_lines(lines: &str) -> Case {
    Case::file(&format!("{SERVER}[[subscription]]\nname = \"work\"\nsource = \"a.ics\"\ntarget = \"work\"\n{lines}\n"))
}
