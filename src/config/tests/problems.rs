//! The exact messages for mistakes in a configuration.

use super::*;

/// Expects one mistake in a file.
#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(Case::file(text).problems(), [format!("config.toml:{expected}")], "{text}");
}

/// Expects one mistake in an otherwise valid server with these lines, which start at line 3.
#[track_caller]
fn check_server(lines: &str, expected: &str) {
    check(&format!("{SERVER}{lines}\n"), expected);
}

/// Expects one mistake in an otherwise valid subscription with these lines, which start at line 7.
#[track_caller]
fn check_subscription(lines: &str, expected: &str) {
    assert_eq!(with_lines(lines).problems(), [format!("config.toml:{expected}")], "{lines}");
}

/// Expects one mistake in source or target.
#[track_caller]
fn check_ends(source: &str, target: &str, expected: &str) {
    let text = format!("{SERVER}[[subscription]]\nname = \"w\"\nsource = {source}\ntarget = {target}\n");
    check(&text, expected);
}

/// Expects one mistake in a configuration without a file.
#[track_caller]
fn check_variables(case: &Case, expected: &str) {
    assert_eq!(case.problems(), [expected]);
}

const DURATIONS: &str = "a number and a unit in quotes, such as \"90s\", \"15m\", \"3h\", \"2d\" or \"1w\"";

#[test]
fn a_file_that_is_not_toml() {
    check("jobs = 1\n[server\n", "2: not TOML: unclosed table, expected `]`");
    check("jobs = 1\njobs = 2\n", "2: not TOML: duplicate key");
}

#[test]
fn a_file_that_is_not_there() {
    let mut case = Case::new();
    case.arguments.config = Some("/nowhere/config.toml".into());
    let expected = "/nowhere/config.toml: cannot be read: No such file or directory (os error 2)";
    check_variables(&case, expected);
}

#[test]
fn no_configuration_at_all() {
    let expected = "configuration: there is none; write xdg/baikal-sync/config.toml or /etc/baikal-sync/config.toml, \
                    name a file with --config, or set ICS_URL and BAIKAL_URL";
    check_variables(&Case::new(), expected);
}

#[test]
fn top_level_keys() {
    check("job = 2", "1: job: unknown key; did you mean jobs?");
    check("verbose = true", "1: verbose: unknown key; allowed: state, jobs, server, defaults, subscription");
    for jobs in ["0", "65", "-1", "1.5"] {
        let expected = format!("1: jobs: {jobs} is not a number of jobs; allowed: a number from 1 to 64");
        check(&format!("jobs = {jobs}"), &expected);
    }
    check("state = 1", "1: state: 1 is not a path; allowed: a path in quotes");
    check("server = \"x\"", "1: server: is not a table; write [server] on a line of its own and its keys below");
    check("defaults = 1", "1: defaults: is not a table; write [defaults] on a line of its own and its keys below");
    let brackets = "subscription: is not a list of tables; write [[subscription]], with two brackets";
    check("[subscription]\nname = \"a\"", &format!("1: {brackets}"));
    check("subscription = [1]", &format!("1: {brackets}"));
}

#[test]
fn the_address_of_a_server() {
    check(
        "[server]\nuser = \"u\"\npassword_file = \"/p\"",
        "1: server.url: is missing; allowed: the http or https address of the server",
    );
    let allowed = "allowed: such as \"https://dav.example.org/dav.php/\"";
    check("[server]\nurl = 5", &format!("2: server.url: 5 is not an address; {allowed}"));
    check("[server]\nurl = \"ftp://h/\"", &format!("2: server.url: not an http or https address; {allowed}"));
    check("[server]\nurl = \"h\"", &format!("2: server.url: not an address: relative URL without a base; {allowed}"));
    let holds =
        "2: server.url: holds a user name; take it out and add user and password_file, password_command or credential";
    check("[server]\nurl = \"https://u:p@h/\"", holds);
}

#[test]
fn the_keys_of_a_server() {
    check_server("pasword_file = \"x\"", "3: server.pasword_file: unknown key; did you mean password_file?");
    check_server("tls_key = \"k\"", "3: server.tls_key: belongs to a certificate; add tls_cert");
    let zero = format!("3: server.timeout: \"0\" is not a duration above zero; allowed: {DURATIONS}");
    check_server("timeout = \"0\"", &zero);
    check_server(
        "[server.x]\nurl = \"https://h/\"\nhost = 1",
        "5: server.x.host: unknown key; allowed: url, user, \
        password_file, password_command, credential, token_file, token_command, token_credential, tls_ca, tls_cert, \
        tls_key, connect_timeout, idle_timeout, timeout",
    );
    check_server(
        "[server.default]\nurl = \"https://h/\"",
        "3: server.default: the name default belongs to [server]; choose another one",
    );
}

#[test]
fn the_secret_of_a_server() {
    let instead = "a secret cannot stand here; write password_file, password_command or credential instead";
    let written = format!("4: server.password: {instead}");
    check_server("user = \"u\"\npassword = \"hunter2\"\npassword_file = \"/p\"", &written);
    let token =
        "3: server.token: a secret cannot stand here; write token_file, token_command or token_credential instead";
    check_server("token = \"hunter2\"", token);
    check_server("user = \"u\"", "3: server.user: has no password; add password_file, password_command or credential");
    check_server("credential = \"c\"", "3: server.credential: has no user; add user");
    check_server("user = \"u\"\ntoken_file = \"/t\"", "3: server.user: a token needs no user; remove one of them");
    check_server(
        "password_file = \"/p\"\ntoken_file = \"/t\"",
        "4: server.token_file: there is a password too; remove one of them",
    );
    let twice = "5: server.credential: password_file is given too; remove one of them";
    check_server("user = \"u\"\npassword_file = \"/p\"\ncredential = \"c\"", twice);
    let command = "4: server.password_command: \"pass\" is not a command; allowed: the command and its arguments as a list, \
                   such as [\"pass\", \"show\", \"dav\"]";
    check_server("user = \"u\"\npassword_command = \"pass\"", command);
    let name = "4: server.credential: \"../x\" is not the name of a credential; allowed: letters, digits and any of . _ - in quotes";
    check_server("user = \"u\"\ncredential = \"../x\"", name);
}

#[test]
fn the_name_of_a_subscription() {
    let allowed = "allowed: letters, digits and any of . _ - in quotes, with a letter or digit first";
    let missing = "[[subscription]]\nsource = \"-\"\ntarget = \"dir:x\"";
    check(missing, &format!("1: subscription.name: is missing; {allowed}"));
    let bad = "[[subscription]]\nname = \"a b\"\nsource = \"-\"\ntarget = \"dir:x\"";
    check(bad, &format!("2: subscription.name: \"a b\" is not a name; {allowed}"));
}

#[test]
fn subscriptions_that_get_in_each_others_way() {
    let two = |first: [&str; 3], second: [&str; 3]| {
        let table = |[name, source, target]: [&str; 3]| {
            format!("[[subscription]]\nname = \"{name}\"\nsource = \"{source}\"\ntarget = \"dir:{target}\"\n")
        };
        table(first) + &table(second)
    };
    let name = "6: subscription.name: \"a\" is the name of the subscription in line 2 already";
    check(&two(["a", "x.ics", "1"], ["a", "x.ics", "2"]), name);
    let same = "7: subscription.source: \"a\" mirrors the same source into the same target already";
    check(&two(["a", "x.ics", "1"], ["b", "./x.ics", "1/"]), same);
    check(&two(["a", "-", "1"], ["b", "-", "2"]), "7: subscription.source: \"a\" reads standard input already");
}

#[test]
fn the_rules_of_a_subscription() {
    let duration = |key: &str| format!("7: subscription.{key}: \"soon\" is not a duration; allowed: {DURATIONS}");
    check_subscription("every = \"soon\"", &duration("every"));
    check_subscription("alert_after = \"soon\"", &duration("alert_after"));
    check_subscription("every = 15", &format!("7: subscription.every: 15 is not a duration; allowed: {DURATIONS}"));
    let create = "7: subscription.create: \"yes\" is neither true nor false; allowed: true or false, without quotes";
    check_subscription("create = \"yes\"", create);
    let verify = "7: subscription.verify: \"often\" is neither a word nor a duration; allowed: \"always\", \"never\" or a \
                  duration such as \"1h\"";
    check_subscription("verify = \"often\"", verify);
    let conflict = "7: subscription.on_conflict: \"x\" is not known; allowed: \"equal\" or \"adopt\" or \"skip\"";
    check_subscription("on_conflict = \"x\"", conflict);
    check_subscription(
        "on_drift = \"merge\"",
        "7: subscription.on_drift: \"merge\" is not known; allowed: \"restore\" or \"keep\"",
    );
    check_subscription(
        "on_empty = true",
        "7: subscription.on_empty: true is not known; allowed: \"hold\" or \"accept\"",
    );
    check_subscription(
        "deletes = \"some\"",
        "7: subscription.deletes: \"some\" is not known; allowed: \"all\" or \"future\" or \"none\"",
    );
    for (written, shown) in [("\"abc\"", "\"abc\""), ("\"101%\"", "\"101%\""), ("-1", "-1"), ("0.5", "0.5")] {
        let expected = "is neither a number nor a percentage; allowed: \"50%\" or 20";
        check_subscription(
            &format!("max_delete = {written}"),
            &format!("7: subscription.max_delete: {shown} {expected}"),
        );
    }
    check_subscription("max_deletes = 1", "7: subscription.max_deletes: unknown key; did you mean max_delete?");
}

#[test]
fn the_rules_of_a_source() {
    for key in ["connect_timeout", "idle_timeout", "timeout"] {
        let expected = format!("7: subscription.{key}: \"0s\" is not a duration above zero; allowed: {DURATIONS}");
        check_subscription(&format!("{key} = \"0s\""), &expected);
    }
    let size = "is not a size; allowed: a number and a unit in quotes, such as \"500KiB\", \"128MiB\" or \"1GiB\", or a number \
                of octets";
    check_subscription("max_size = \"big\"", &format!("7: subscription.max_size: \"big\" {size}"));
    check_subscription("max_size = 0", &format!("7: subscription.max_size: 0 {size}"));
    check_subscription("user_agent = \"\"", "7: subscription.user_agent: \"\" is not text; allowed: text in quotes");
}

#[test]
fn the_address_of_a_source() {
    let allowed = "allowed: an http, https, webcal or file address, a path, or \"-\" for standard input";
    check_ends("5", "\"w\"", &format!("5: subscription.source: is not a source; {allowed}"));
    check_ends("\"\"", "\"w\"", &format!("5: subscription.source: is not a source; {allowed}"));
    for foreign in ["\"ftp://h/secret.ics\"", "\"file://host/secret.ics\""] {
        check_ends(
            foreign,
            "\"w\"",
            &format!("5: subscription.source: is an address that cannot be fetched; {allowed}"),
        );
    }
    check_ends("\"https://\"", "\"w\"", &format!("5: subscription.source: not an address: empty host; {allowed}"));
    let missing = format!("{SERVER}[[subscription]]\nname = \"w\"\ntarget = \"w\"\n");
    check(&missing, &format!("3: subscription.source: is missing; {allowed}"));
}

#[test]
fn the_credentials_of_a_source() {
    let check_web = |lines: &str, expected: &str| {
        check_ends("\"https://f/a.ics\"", &format!("\"w\"\n{lines}"), &format!("7: subscription.{expected}"));
    };
    let no_password = "has no password; add source_password_file, source_password_command or source_credential";
    check_web("source_user = \"u\"", &format!("source_user: {no_password}"));
    check_web("source_credential = \"c\"", "source_credential: has no user; add source_user");
    let no_token = "has no token; add source_token_file, source_token_command or source_token_credential";
    check_web("source_header = \"X-Key\"", &format!("source_header: {no_token}"));
    let header = "source_header: \"X-Key: 1\" is not the name of a header; allowed: a name such as \"X-Api-Key\", without \
                  value and colon";
    check_web("source_header = \"X-Key: 1\"\nsource_token_file = \"/t\"", header);
    check_web(
        "source_user = \"u\"\nsource_token_file = \"/t\"",
        "source_user: a token needs no user; remove one of them",
    );
    let both = "source_password_file: there is a token too; remove one of them";
    check_web("source_password_file = \"/p\"\nsource_token_file = \"/t\"", both);
    let instead =
        "a secret cannot stand here; write source_token_file, source_token_command or source_token_credential instead";
    check_web("source_token = \"hunter2\"", &format!("source_token: {instead}"));
    let needless = "7: subscription.source_token_file: only a source that is an http or https address takes it";
    check_subscription("source_token_file = \"/t\"", needless);
    let twice = "5: subscription.source: holds a user name, and subscription.source_token_file is given too; remove one of them";
    check_ends("\"https://u:p@f/a.ics\"", "\"w\"\nsource_token_file = \"/t\"", twice);
}

#[test]
fn the_address_of_a_target() {
    let allowed = "allowed: an address, a path below the server's address, the name of a calendar, or dir:PATH";
    check_ends("\"-\"", "\" \"", &format!("6: subscription.target: is not a target; {allowed}"));
    check_ends("\"-\"", "\"dir:\"", "6: subscription.target: names no folder; allowed: dir:PATH");
    check_ends(
        "\"-\"",
        "\"file:///srv/x\"",
        &format!("6: subscription.target: not an http or https address; {allowed}"),
    );
    let away =
        format!("6: subscription.target: leads away from the server https://dav.example.org/dav.php/; {allowed}");
    check_ends("\"-\"", "\"//evil.example.org/x/\"", &away);
    let holds = format!("6: subscription.target: https://dav.example.org/x/ holds a user name or password; {allowed}");
    check_ends("\"-\"", "\"https://u:p@dav.example.org/x/\"", &holds);
}

#[test]
fn the_server_of_a_target() {
    let elsewhere =
        "6: subscription.target: no server is configured at https://other.example.org; add one with this url";
    check_ends("\"-\"", "\"https://other.example.org/x/\"", elsewhere);
    let chosen =
        "[server.office]\nurl = \"https://office.example.org/\"\n[[subscription]]\nname = \"w\"\nsource = \"-\"\n";
    let other = "6: subscription.target: https://dav.example.org is not on the server https://office.example.org/";
    check(&format!("{chosen}target = \"https://dav.example.org/x/\"\nserver = \"office\""), other);
    let no_default =
        "6: subscription.target: needs a server and there is no [server]; add the key server, allowed: office";
    check(&format!("{chosen}target = \"x\""), no_default);
    check(
        &format!("{chosen}target = \"x\"\nserver = \"ofice\""),
        "7: subscription.server: there is no server \"ofice\"; did you mean \"office\"?",
    );
    check(
        &format!("{chosen}target = \"x\"\nserver = \"z\""),
        "7: subscription.server: there is no server \"z\"; allowed: office",
    );
    let none = "[[subscription]]\nname = \"w\"\nsource = \"-\"\ntarget = \"x\"\n";
    check(none, "4: subscription.target: needs a server; add [server] with its url, or write dir:PATH for a folder");
    check(&format!("{none}server = \"y\""), "5: subscription.server: there is no server \"y\"; add [server.y]");
}

#[test]
fn a_server_with_problems_makes_none_for_its_subscriptions() {
    let text = "[server]\nurl = \"h\"\n[[subscription]]\nname = \"w\"\nsource = \"-\"\ntarget = \"x\"\n\
                [[subscription]]\nname = \"v\"\nsource = \"a.ics\"\ntarget = \"https://h/x/\"\n";
    assert_eq!(Case::file(text).problems().len(), 1);
}

#[test]
fn defaults_are_judged_once_and_have_no_name() {
    let subscriptions = "[[subscription]]\nname = \"a\"\nsource = \"a.ics\"\ntarget = \"dir:a\"\n\
                         [[subscription]]\nname = \"b\"\nsource = \"b.ics\"\ntarget = \"dir:b\"\n";
    check(
        &format!("[defaults]\nevery = 1\n{subscriptions}"),
        &format!("2: defaults.every: 1 is not a duration; allowed: {DURATIONS}"),
    );
    check(&format!("[defaults]\nevry = 1\n{subscriptions}"), "2: defaults.evry: unknown key; did you mean every?");
    check("[defaults]\ntarget = \"x\"", "2: defaults.target: cannot have a default; write it in each [[subscription]]");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = "jobs = 0\n[server]\nurl = \"h\"\npassword = \"x\"\ntimeout = 1\ntls_key = \"k\"\n[[subscription]]\nname = \"a\"\nsource = \"x:\"\ncreate = 1\n";
    let lines: Vec<String> = Case::file(text).problems().iter().map(|each| each.split(' ').take(2).collect()).collect();
    assert_eq!(
        lines,
        [
            "config.toml:1:jobs:",
            "config.toml:3:server.url:",
            "config.toml:4:server.password:",
            "config.toml:5:server.timeout:",
            "config.toml:6:server.tls_key:",
            "config.toml:7:subscription.target:",
            "config.toml:10:subscription.create:"
        ]
    );
}

#[test]
fn the_environment() {
    let feed = || Case::new().with("ICS_URL", "https://f/a.ics");
    let no_target = "the environment: BAIKAL_URL: is not set, so the feed of ICS_URL has no target; set it to the address of \
                     the calendar";
    check_variables(&feed(), no_target);
    let with_server = || feed().with("BAIKAL_URL", "https://d/x/");
    let both = "the environment: BAIKAL_PASS_FILE: BAIKAL_PASS is set too; unset one of them";
    let two = with_server().with("BAIKAL_USER", "u").with("BAIKAL_PASS", "p").with("BAIKAL_PASS_FILE", "/p");
    check_variables(&two, both);
    let no_user = "the environment: BAIKAL_PASS: has no user; add BAIKAL_USER";
    check_variables(&with_server().with("BAIKAL_PASS", "p"), no_user);
    let no_password = "the environment: BAIKAL_USER: has no password; add BAIKAL_PASS or BAIKAL_PASS_FILE";
    check_variables(&with_server().with("BAIKAL_USER", "u"), no_password);
    let holds = "the environment: BAIKAL_URL: holds a user name; take it out and add BAIKAL_USER and BAIKAL_PASS or \
                 BAIKAL_PASS_FILE";
    check_variables(&Case::new().with("BAIKAL_URL", "https://u:p@d/"), holds);
    for written in ["soon", "0"] {
        let minutes = format!(
            "the environment: SYNC_FREQUENCY: {written:?} is not a number of minutes; allowed: a number from 1"
        );
        check_variables(&with_server().with("SYNC_FREQUENCY", written), &minutes);
    }
}

#[test]
fn a_feed_of_the_environment_beside_subscriptions_of_a_file() {
    let problems = with_lines("").with("ICS_URL", "https://f/a.ics").problems();
    let expected =
        "the environment: ICS_URL: is set, but config.toml:3 holds subscriptions; unset it, or move it into the file";
    assert_eq!(problems, [expected]);
}

#[test]
fn the_command_line() {
    let folder = "the command line: --target: names no folder; allowed: dir:PATH";
    check_variables(&Case::new().ad_hoc("-", "dir:"), folder);
    let server =
        "the command line: --target: needs a server; add [server] with its url, or write dir:PATH for a folder";
    check_variables(&Case::new().ad_hoc("-", "work"), server);
}

#[test]
fn no_place_for_the_state() {
    let case = Case::new().with("HOME", "").ad_hoc("-", "dir:x");
    let expected =
        "the environment: HOME: is not set, so there is no place for the state file; name one with --state FILE";
    check_variables(&case, expected);
}
