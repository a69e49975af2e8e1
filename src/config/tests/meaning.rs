//! Every key has an effect, and every default is what the documentation says.

use super::*;
use crate::words::secret::Secret;

fn server(lines: &str) -> Arc<Server> {
    Arc::clone(Case::file(&format!("{SERVER}{lines}")).settled().server(None).unwrap())
}

fn web(lines: &str) -> (Option<String>, u64, Timeouts, Option<SourceCredentials>) {
    let text = format!(
        "{SERVER}[[subscription]]\nname = \"w\"\nsource = \"https://feeds.example.org/a?token=t\"\ntarget = \"w\"\n{lines}"
    );
    match Case::file(&text).only().source {
        SourceAddress::Web { user_agent, max_size, timeouts, credentials, .. } => {
            (user_agent, max_size, timeouts, credentials)
        }
        other => panic!("{other}"),
    }
}

fn ends(source: &str, target: &str) -> (String, String) {
    let text = format!("{SERVER}[[subscription]]\nname = \"w\"\nsource = '{source}'\ntarget = '{target}'\n");
    let case = Case::file(&text);
    let subscription = case.only();
    let folder = case.folder.path().display().to_string();
    let tidy = |text: String| text.replace(&folder, "/etc");
    (tidy(subscription.source.reveal()), tidy(subscription.target.canonical()))
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let case = with_lines("");
    let config = case.settled();
    assert_eq!((config.jobs, config.state.to_str()), (4, Some("/home/alice/.local/state/baikal-sync/state.db")));
    let subscription = case.only();
    assert_eq!((subscription.every, subscription.alert_after, subscription.create), (0, 10_800, false));
    assert_eq!((subscription.verify, subscription.rules.max_delete), (Verify::Every(3600), MaxDelete::Percent(50)));
    assert_eq!((subscription.rules.on_conflict, subscription.rules.on_drift), (OnConflict::Ask, OnDrift::Restore));
    assert_eq!((subscription.rules.on_empty, subscription.rules.deletes), (OnEmpty::Hold, Deletes::All));
    assert_eq!(web(""), (None, 134_217_728, Timeouts { connect: 10, idle: 30, total: 300 }, None));
}

#[test]
fn every_rule_of_a_subscription_is_read() {
    let case = with_lines(
        "every = \"15m\"\ncreate = true\nverify = \"never\"\non_conflict = \"adopt\"\non_drift = \"keep\"\n\
         on_empty = \"accept\"\nmax_delete = 20\ndeletes = \"none\"\nattendees = \"strip\"\nalert_after = \"1d\"",
    );
    let subscription = case.only();
    assert_eq!((subscription.every, subscription.create, subscription.verify), (900, true, Verify::Never));
    assert_eq!((subscription.rules.on_conflict, subscription.rules.on_drift), (OnConflict::Adopt, OnDrift::Keep));
    assert_eq!((subscription.rules.on_empty, subscription.rules.max_delete), (OnEmpty::Accept, MaxDelete::Count(20)));
    assert_eq!((subscription.rules.deletes, subscription.alert_after), (Deletes::None, 86_400));
    assert_eq!(subscription.attendees, Attendees::Strip);
}

#[test]
fn the_words_with_several_forms_are_read_in_each() {
    let verify = |text: &str| with_lines(&format!("verify = \"{text}\"")).only().verify;
    assert_eq!(["always", "never", "30m"].map(verify), [Verify::Always, Verify::Never, Verify::Every(1800)]);
    let share = |text: &str| with_lines(&format!("max_delete = {text}")).only().rules.max_delete;
    let expected = [MaxDelete::Percent(25), MaxDelete::Count(7), MaxDelete::Count(0), MaxDelete::Count(8)];
    assert_eq!(["\"25%\"", "7", "0", "\"8\""].map(share), expected);
    assert_eq!(with_lines("on_conflict = \"skip\"").only().rules.on_conflict, OnConflict::Skip);
}

#[test]
fn every_key_of_a_web_source_is_read() {
    let lines = "user_agent = \"Mozilla/5.0\"\nmax_size = \"1MiB\"\nconnect_timeout = \"1s\"\nidle_timeout = \"2s\"\n\
                 timeout = \"3s\"\n";
    let timeouts = Timeouts { connect: 1, idle: 2, total: 3 };
    assert_eq!(web(lines), (Some("Mozilla/5.0".to_owned()), 1 << 20, timeouts, None));
}

fn tls_of_feed(text: &str) -> Tls {
    let case = Case::file(&format!("{SERVER}{text}"));
    let SourceAddress::Web { tls, .. } = case.only().source else { panic!("no address") };
    tls
}

#[test]
fn a_feed_has_certificates_of_its_own_and_takes_a_pair_from_one_place() {
    let feed = "[[subscription]]\nname = \"w\"\nsource = \"https://h/\"\ntarget = \"w\"\n";
    let own = tls_of_feed(&format!("{feed}tls_ca = \"/ca\"\ntls_cert = \"/c\"\ntls_key = \"/k\"\n"));
    assert_eq!(own, Tls { ca: Some("/ca".into()), cert: Some("/c".into()), key: Some("/k".into()) });
    let defaults = "[defaults]\ntls_ca = \"/ca\"\ntls_cert = \"/c\"\ntls_key = \"/k\"\n";
    assert_eq!(tls_of_feed(&format!("{defaults}{feed}")), own);
    let halved = tls_of_feed(&format!("{defaults}{feed}tls_cert = \"/both\"\n"));
    assert_eq!(halved, Tls { ca: Some("/ca".into()), cert: Some("/both".into()), key: None });
}

#[test]
fn a_feed_has_a_password_a_token_or_a_header() {
    let file = |path: &str| SecretSource::File { path: path.into(), credentials: None };
    let password = "source_user = \"u\"\nsource_password_file = \"/p\"";
    let expected = SourceCredentials::Password { user: "u".to_owned(), password: file("/p") };
    assert_eq!(web(password).3, Some(expected));
    let token = "source_token_command = [\"pass\", \"feed\"]";
    let expected = SecretSource::Command(vec!["pass".to_owned(), "feed".to_owned()]);
    assert_eq!(web(token).3, Some(SourceCredentials::Bearer(expected)));
    let header = "source_header = \"X-Api-Key\"\nsource_token_credential = \"key\"";
    let value = SecretSource::Credential { name: "key".to_owned(), directory: None };
    assert_eq!(web(header).3, Some(SourceCredentials::Header { name: "X-Api-Key".to_owned(), value }));
}

#[test]
fn credentials_in_a_source_address_are_taken_off_it() {
    let case = Case::new().ad_hoc("https://bob:pa%2Fss@feeds.example.org/b.ics", "dir:x");
    let source = case.only().source;
    assert_eq!(source.reveal(), "https://feeds.example.org/b.ics");
    let SourceAddress::Web { credentials: Some(SourceCredentials::Password { user, password }), .. } = source else {
        panic!("no credentials")
    };
    assert_eq!((user.as_str(), password), ("bob", SecretSource::Value(Secret::new("pa/ss"))));
}

#[test]
fn a_source_is_an_address_a_path_or_standard_input() {
    for (written, meant) in [
        ("webcal://Feeds.example.org/a.ics", "https://feeds.example.org/a.ics"),
        ("WEBCALS://feeds.example.org/a.ics", "https://feeds.example.org/a.ics"),
        ("http://feeds.example.org", "http://feeds.example.org/"),
        ("file:///srv/my%20feed.ics", "file:/srv/my feed.ics"),
        ("file://localhost/srv/a.ics", "file:/srv/a.ics"),
        ("file:a.ics", "file:/etc/a.ics"),
        ("/srv/./a.ics", "file:/srv/a.ics"),
        ("feeds/a.ics", "file:/etc/feeds/a.ics"),
        ("~/a.ics", "file:/home/alice/a.ics"),
        ("a:b.ics", "file:/etc/a:b.ics"),
        ("-", "-"),
    ] {
        assert_eq!(ends(written, "w").0, meant, "{written}");
    }
}

#[test]
fn a_target_is_a_folder_an_address_a_path_or_a_name() {
    for (written, meant) in [
        ("dir:work", "dir:/etc/work"),
        ("dir:~/work", "dir:/home/alice/work"),
        (
            "https://dav.example.org/dav.php/calendars/alice/work",
            "https://dav.example.org/dav.php/calendars/alice/work/",
        ),
        ("calendars/alice/work", "https://dav.example.org/dav.php/calendars/alice/work/"),
        ("/cal.php/calendars/alice/work/", "https://dav.example.org/cal.php/calendars/alice/work/"),
        ("work", "https://dav.example.org/dav.php/ work"),
        ("Dienst: früh", "https://dav.example.org/dav.php/ Dienst: früh"),
    ] {
        assert_eq!(ends("-", written).1, meant, "{written}");
    }
}

#[test]
fn every_key_of_a_server_is_read() {
    let server = server(
        "user = \"alice\"\npassword_command = [\"pass\", \"show\", \"dav\"]\ntls_ca = \"ca.pem\"\n\
         tls_cert = \"/c.pem\"\ntls_key = \"~/k.pem\"\nconnect_timeout = \"1s\"\nidle_timeout = \"2s\"\ntimeout = \"3s\"\n",
    );
    assert_eq!((server.name.as_str(), server.url.reveal()), ("default", "https://dav.example.org/dav.php/"));
    assert_eq!((server.user.as_deref(), server.bearer), (Some("alice"), false));
    let command = ["pass", "show", "dav"].map(str::to_owned).to_vec();
    assert_eq!(server.secret, Some(SecretSource::Command(command)));
    assert!(server.tls.ca.as_ref().is_some_and(|path| path.is_absolute() && path.ends_with("ca.pem")));
    assert_eq!(server.tls.cert.as_deref(), Some("/c.pem".as_ref()));
    assert_eq!(server.tls.key.as_deref(), Some("/home/alice/k.pem".as_ref()));
    assert_eq!(server.timeouts, Timeouts { connect: 1, idle: 2, total: 3 });
}

#[test]
fn a_server_has_a_token_instead_of_a_user() {
    let file = SecretSource::File { path: "/t".into(), credentials: None };
    let with_token = server("token_file = \"/t\"");
    assert_eq!((with_token.secret.as_ref(), with_token.bearer), (Some(&file), true));
    let command = SecretSource::Command(vec!["t".to_owned()]);
    assert_eq!(server("token_command = [\"t\"]").secret, Some(command));
    let credential = |name: &str| Some(SecretSource::Credential { name: name.to_owned(), directory: None });
    assert_eq!(server("token_credential = \"t\"").secret, credential("t"));
    assert_eq!(server("user = \"u\"\ncredential = \"p.w\"").secret, credential("p.w"));
}

#[test]
fn a_subscription_chooses_its_server_by_name_or_by_origin() {
    let text = format!(
        "{SERVER}[server.office]\nurl = \"https://office.example.org/\"\n\
         [[subscription]]\nname = \"a\"\nsource = \"a.ics\"\ntarget = \"x\"\n\
         [[subscription]]\nname = \"b\"\nsource = \"a.ics\"\ntarget = \"x\"\nserver = \"office\"\n\
         [[subscription]]\nname = \"c\"\nsource = \"a.ics\"\ntarget = \"https://office.example.org/c/\"\n"
    );
    let config = Case::file(&text).settled();
    let servers = config.subscriptions.iter().map(|subscription| match &subscription.target {
        TargetAddress::Calendar { server, .. } => server.name.clone(),
        TargetAddress::Folder(_) => String::new(),
    });
    assert_eq!(servers.collect::<Vec<_>>(), ["default", "office", "office"]);
    assert_eq!(config.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["default", "office"]);
    assert!(config.server(Some("nowhere")).is_none());
}

#[test]
fn defaults_hold_for_every_subscription_that_says_nothing_else() {
    let text = format!(
        "{SERVER}[server.office]\nurl = \"https://office.example.org/\"\n[defaults]\nevery = \"15m\"\nserver = \"office\"\n\
         source_user = \"u\"\nsource_password_file = \"/p\"\n\
         [[subscription]]\nname = \"a\"\nsource = \"https://f/a\"\ntarget = \"x\"\n\
         [[subscription]]\nname = \"b\"\nsource = \"https://f/b\"\ntarget = \"x\"\nevery = \"1h\"\nsource_token_file = \"/t\"\n"
    );
    let config = Case::file(&text).settled();
    assert_eq!(config.subscriptions.iter().map(|each| each.every).collect::<Vec<_>>(), [900, 3600]);
    assert_eq!(config.subscriptions[0].target.canonical(), "https://office.example.org/ x");
    let credentials = config.subscriptions.iter().map(|each| match &each.source {
        SourceAddress::Web { credentials, .. } => credentials.clone(),
        _ => None,
    });
    let kinds = credentials.map(|each| matches!(each, Some(SourceCredentials::Bearer(_)))).collect::<Vec<_>>();
    assert_eq!(kinds, [false, true]);
}

#[test]
fn nothing_secret_is_printed() {
    let mut case = Case::new().ad_hoc("https://bob:hunter2@feeds.example.org/private-123/b.ics?token=t", "dir:x");
    case = case.with("BAIKAL_URL", "https://d/").with("BAIKAL_USER", "u").with("BAIKAL_PASS", "hunter2");
    let config = case.settled();
    let printed = format!("{config:?} {}", config.subscriptions[0].source);
    assert!(printed.ends_with(" https://feeds.example.org/…"), "{printed}");
    for secret in ["hunter2", "private-123", "token=t"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn a_configuration_without_subscriptions_is_enough_to_ask_a_server() {
    let config = Case::file(SERVER).settled();
    let problem = config.without_subscriptions().unwrap().to_string();
    assert!(problem.ends_with("config.toml: subscription: is missing, so there is nothing to mirror"), "{problem}");
    assert_eq!(with_lines("").settled().without_subscriptions(), None);
}

#[test]
fn the_example_of_the_manual_is_in_order_and_the_manual_names_every_key() {
    let manual = include_str!("../../../man/baikal-sync.toml.5");
    let (_, example) = manual.split_once(".Bd -literal -offset indent\n").unwrap();
    let (example, _) = example.split_once(".Ed\n").unwrap();
    let config = Case::file(example).settled();
    assert_eq!((config.servers.len(), config.subscriptions.len()), (2, 4));
    let described = |key: &&str| {
        [format!(".It Ic {key} No "), format!(".Ss [{key}]"), format!(".Ss [[{key}]]")]
            .iter()
            .any(|item| manual.contains(item))
    };
    let missing: Vec<&str> = keys().into_iter().filter(|key| !described(key)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let items = manual.lines().filter_map(|line| line.strip_prefix(".It Ic ")?.split(' ').next());
    let unknown: Vec<&str> = items.filter(|key| !keys().contains(key)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn subscriptions_are_chosen_by_name_in_the_order_of_the_file() {
    let text = "[[subscription]]\nname = \"a\"\nsource = \"a.ics\"\ntarget = \"dir:a\"\n\
                [[subscription]]\nname = \"work\"\nsource = \"b.ics\"\ntarget = \"dir:b\"\n";
    let config = Case::file(text).settled();
    let choose = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let chosen = config.choose(&names).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|each| each.name.as_str()).collect::<Vec<_>>())
    };
    assert_eq!((choose(&[]), choose(&["work", "a", "a"])), (Ok(vec!["a", "work"]), Ok(vec!["a", "work"])));
    let meant: Result<Vec<&str>, _> = Err("there is no subscription \"wrok\"; did you mean \"work\"?".to_owned());
    assert_eq!(choose(&["a", "wrok"]), meant);
    let none: Result<Vec<&str>, _> = Err("there is no subscription \"something\"; there are: a, work".to_owned());
    assert_eq!(choose(&["something"]), none);
}
