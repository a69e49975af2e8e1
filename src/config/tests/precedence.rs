//! Flag over environment over file over default; configurations without a file; command-line subscriptions.

use super::*;
use crate::words::secret::Secret;

fn state(case: &Case) -> String {
    case.settled().state.display().to_string()
}

fn default_server(case: &Case) -> Server {
    case.settled().server(None).unwrap().as_ref().clone()
}

const DAEMON: [(&str, &str); 4] = [
    ("ICS_URL", "https://feeds.example.org/a.ics"),
    ("BAIKAL_URL", "https://dav.example.org/dav.php/calendars/alice/work/"),
    ("BAIKAL_USER", "alice"),
    ("BAIKAL_PASS", "hunter2"),
];

fn daemon() -> Case {
    DAEMON.into_iter().fold(Case::new(), |case, (name, value)| case.with(name, value))
}

#[test]
fn the_state_file_is_looked_for_in_six_places() {
    let mut case = Case::new().with("BAIKAL_URL", "https://d/");
    assert_eq!(state(&case), "/home/alice/.local/state/baikal-sync/state.db");
    case = case.with("XDG_STATE_HOME", "relative/is/ignored");
    assert_eq!(state(&case), "/home/alice/.local/state/baikal-sync/state.db");
    case = case.with("XDG_STATE_HOME", "/xdg");
    assert_eq!(state(&case), "/xdg/baikal-sync/state.db");
    case = case.with("STATE_DIRECTORY", "/var/lib/baikal-sync:/var/lib/other");
    assert_eq!(state(&case), "/var/lib/baikal-sync/state.db");
    let path = case.folder.path().join("config.toml");
    std::fs::write(&path, "state = \"own.db\"").unwrap();
    case.arguments.config = Some(path.clone());
    assert_eq!(state(&case), path.with_file_name("own.db").display().to_string());
    case = case.with("BAIKAL_SYNC_STATE", "variable.db");
    assert_eq!(state(&case), "/work/variable.db");
    case.arguments.state = Some("flag.db".into());
    assert_eq!(state(&case), "/work/flag.db");
}

#[test]
fn the_configuration_file_is_looked_for_in_three_places_and_not_merged() {
    let mut case = Case::new();
    let jobs = |case: &Case| case.settled().jobs;
    let write = |case: &Case, name: &str, jobs: usize| {
        let path = case.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("jobs = {jobs}\n")).unwrap();
        path
    };
    write(&case, "xdg/baikal-sync/config.toml", 1);
    assert_eq!(jobs(&case), 1);
    let variable = write(&case, "variable.toml", 2);
    case = case.with("BAIKAL_SYNC_CONFIG", variable.to_str().unwrap());
    assert_eq!(jobs(&case), 2);
    case.arguments.config = Some(write(&case, "flag.toml", 3));
    assert_eq!(jobs(&case), 3);
    assert_eq!(case.settled().origin, case.folder.path().join("flag.toml").display().to_string());
}

#[test]
fn the_environment_of_the_daemon_makes_one_subscription() {
    let case = daemon();
    let (config, subscription) = (case.settled(), case.only());
    assert_eq!((config.origin.as_str(), config.file), ("the environment", None));
    assert_eq!((subscription.name.as_str(), subscription.every), ("environment", 300));
    assert_eq!(subscription.source.reveal(), "https://feeds.example.org/a.ics");
    assert_eq!(subscription.target.canonical(), "https://dav.example.org/dav.php/calendars/alice/work/");
    let server = default_server(&case);
    assert_eq!(
        (server.user.as_deref(), server.secret),
        (Some("alice"), Some(SecretSource::Value(Secret::new("hunter2"))))
    );
}

#[test]
fn the_daemons_other_variables_are_read() {
    assert_eq!(daemon().with("SYNC_FREQUENCY", "30").only().every, 1800);
    let named = daemon().with("CALENDAR_ID", "Work").only();
    assert_eq!(named.target.canonical(), "https://dav.example.org/dav.php/calendars/alice/work/ Work");
    let file = daemon().with("BAIKAL_PASS", "").with("BAIKAL_PASS_FILE", "secret");
    let expected = SecretSource::File { path: "/work/secret".into(), credentials: None };
    assert_eq!(default_server(&file).secret, Some(expected));
}

#[test]
fn user_and_password_of_the_environment_win_over_those_of_the_file() {
    let text = format!("{SERVER}user = \"bob\"\npassword_file = \"/p\"\n");
    let server = default_server(&Case::file(&text).with("BAIKAL_USER", "alice").with("BAIKAL_PASS", "x"));
    assert_eq!((server.user.as_deref(), server.secret), (Some("alice"), Some(SecretSource::Value(Secret::new("x")))));
    let user_only = default_server(&Case::file(&text).with("BAIKAL_USER", "alice"));
    assert!(matches!(user_only.secret, Some(SecretSource::File { .. })));
    let elsewhere = default_server(&Case::file(&text).with("BAIKAL_URL", "https://other.example.org/"));
    assert_ne!(elsewhere.url.origin(), "https://other.example.org", "the password of the file is not for that server");
    let token = default_server(
        &Case::file(&format!("{SERVER}token_file = \"/t\"")).with("BAIKAL_USER", "a").with("BAIKAL_PASS", "x"),
    );
    assert!(!token.bearer && token.user.is_some());
}

#[test]
fn credentials_of_the_environment_need_a_server_to_belong_to() {
    let text = "[[subscription]]\nname = \"a\"\nsource = \"a.ics\"\ntarget = \"dir:a\"\n";
    assert_eq!(Case::file(text).with("BAIKAL_USER", "alice").settled().servers, []);
    let named = "[server.office]\nurl = \"https://office.example.org/\"\n";
    let config = Case::file(named).with("BAIKAL_USER", "alice").with("BAIKAL_PASS", "x").settled();
    assert_eq!(config.servers.iter().map(|server| server.user.clone()).collect::<Vec<_>>(), [None]);
}

#[test]
fn the_feed_of_the_environment_completes_a_file_without_subscriptions() {
    let case = Case::file(&format!("{SERVER}[defaults]\nevery = \"1h\"\n"));
    let subscription = case.with("ICS_URL", "https://f/a.ics").with("CALENDAR_ID", "work").only();
    assert_eq!((subscription.name.as_str(), subscription.every), ("environment", 3600));
    assert_eq!(subscription.target.canonical(), "https://dav.example.org/dav.php/ work");
}

#[test]
fn a_subscription_of_the_command_line_takes_the_place_of_all_others() {
    let case = with_lines("").with("ICS_URL", "https://f/a.ics").ad_hoc("-", "home");
    let subscription = case.only();
    assert_eq!(subscription.target.canonical(), "https://dav.example.org/dav.php/ home");
    assert_eq!(case.settled().file, case.arguments.config);
    let alone = Case::new().ad_hoc("feed.ics", "dir:out");
    assert_eq!(
        (alone.settled().origin.as_str(), alone.only().source.reveal().as_str()),
        ("the command line", "file:/work/feed.ics")
    );
    assert_eq!(alone.only().target.canonical(), "dir:/work/out");
}

#[test]
fn the_name_of_a_subscription_of_the_command_line_follows_from_its_ends() {
    let name = |source: &str, target: &str| Case::new().ad_hoc(source, target).only().name;
    assert_eq!(name("feed.ics", "dir:out"), name("./feed.ics", "dir:/work/out"));
    assert_ne!(name("feed.ics", "dir:out"), name("other.ics", "dir:out"));
    assert_ne!(name("feed.ics", "dir:out"), name("feed.ics", "dir:out2"));
    let plain = name("feed.ics", "dir:out");
    assert!(plain.len() == 14 && plain.starts_with("adhoc-"), "{plain}");
}

#[test]
fn a_target_address_of_the_command_line_gets_credentials_of_its_own_origin_only() {
    let target = "https://dav.example.org/dav.php/calendars/alice/home/";
    let server = |case: Case| match case.ad_hoc("-", target).only().target {
        TargetAddress::Calendar { server, .. } => (server.name.clone(), server.user.clone()),
        TargetAddress::Folder(_) => panic!("not a calendar"),
    };
    let user = |name: &str| Some(name.to_owned());
    let configured = Case::file(&format!("{SERVER}user = \"alice\"\npassword_file = \"/p\"\n"));
    assert_eq!(server(configured), ("default".to_owned(), user("alice")));
    let elsewhere =
        Case::file("[server]\nurl = \"https://other.example.org/\"\nuser = \"bob\"\npassword_file = \"/p\"\n");
    assert_eq!(server(elsewhere), ("adhoc".to_owned(), None));
    let variables = Case::new().with("BAIKAL_USER", "carol").with("BAIKAL_PASS", "x");
    assert_eq!(server(variables), ("default".to_owned(), user("carol")));
    assert_eq!(server(Case::new()), ("default".to_owned(), None));
}

#[test]
fn credentials_of_systemd_are_found_and_their_folder_is_trusted() {
    let text = format!("{SERVER}user = \"u\"\ncredential = \"dav\"\n");
    let case = Case::file(&text).with("CREDENTIALS_DIRECTORY", "/run/credentials/x");
    let expected = SecretSource::Credential { name: "dav".to_owned(), directory: Some("/run/credentials/x".into()) };
    assert_eq!(default_server(&case).secret, Some(expected));
    let file =
        Case::file(&format!("{SERVER}user = \"u\"\npassword_file = \"/p\"\n")).with("CREDENTIALS_DIRECTORY", "/c");
    let expected = SecretSource::File { path: "/p".into(), credentials: Some("/c".into()) };
    assert_eq!(default_server(&file).secret, Some(expected));
}
