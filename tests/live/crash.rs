//! Killed at any moment, and servers that go away in the middle: what is left is made up for by the next run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use crate::env::{Env, subscription};
use crate::fake::feed::Feed;
use crate::mirror::{Mirror, hold};
use crate::scenarios::FOREIGN;
use crate::server::Server;
use crate::story::{Dice, Events, calendar, change, number};

/// How often each target sees a run killed.
fn kills() -> u64 {
    number("BAIKAL_TEST_KILLS", 12)
}

fn start(env: &Env) -> Child {
    let mut command = env.command(&["run", "--force", "--allow-deletes", "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn kill(process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status().expect("kill");
}

/// A calendar with an object of somebody else in it, which is to stay as it stands there.
fn shared(server: &Server) -> (Mirror, String) {
    let mirror = Mirror::new(server);
    mirror.calendar.put("foreign-1.ics", FOREIGN);
    let theirs = mirror.calendar.get("foreign-1.ics");
    (mirror, theirs)
}

/// Asserts that one quiet run makes up for everything, and that the next one writes nothing.
#[track_caller]
fn converges(mirror: &Mirror, theirs: &str) {
    mirror.proxy.unhook();
    mirror.run(&["--force", "--allow-deletes"]).exits(0);
    mirror.run(&[]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    mirror.run(&["--full"]).exits(0);
    assert_eq!(mirror.writes(), [""; 0]);
    assert_eq!(mirror.calendar.get("foreign-1.ics"), theirs);
    mirror.calendar.delete("foreign-1.ics");
    mirror.holds_the_feed();
}

/// Has the process killed at its n-th request to the server, which still reaches the server or does not.
fn kill_at(mirror: &Mirror, request: u64, arrives: bool, process: &Arc<OnceLock<u32>>) {
    let (process, mut requests) = (Arc::clone(process), 0);
    mirror.proxy.hook(move |_| {
        requests += 1;
        if requests == request {
            kill(*process.wait());
        }
        arrives || requests < request
    });
}

pub(crate) fn runs_that_are_killed_at_any_moment_are_made_up_for(server: &Server) {
    let (mirror, theirs) = shared(server);
    let (mut dice, mut events, mut killed) = (Dice(number("BAIKAL_TEST_SEED", 1)), Events::new(), 0);
    change(&mut events, &mut dice, 60, 40);
    for number in 0..kills() {
        let process = Arc::new(OnceLock::new());
        mirror.feed.set(calendar(&events));
        // The first kills hit the first pass, which has more to do than any other.
        kill_at(&mirror, 1 + dice.below(if number < 4 { 30 } else { 12 }), dice.one_in(2), &process);
        let run = start(&mirror.env);
        process.set(run.id()).unwrap();
        let ran = mirror.env.ended(&["run"], run);
        assert!(matches!(ran.code, 0 | 75 | 137), "{ran}");
        killed += u64::from(ran.code == 137);
        change(&mut events, &mut dice, 8, 40);
    }
    assert!(killed * 2 > kills(), "only {killed} runs were killed");
    mirror.feed.set(calendar(&events));
    converges(&mirror, &theirs);
}

pub(crate) fn a_server_that_goes_away_in_the_middle_and_comes_back_is_caught_up_with(server: &Server) {
    let (mirror, theirs) = shared(server);
    let (mut dice, mut events) = (Dice(number("BAIKAL_TEST_SEED", 2)), Events::new());
    change(&mut events, &mut dice, 40, 30);
    for _ in 0..4 {
        mirror.feed.set(calendar(&events));
        let (last, mut requests) = (1 + dice.below(12), 0);
        mirror.proxy.hook(move |_| {
            requests += 1;
            requests <= last
        });
        let ran = mirror.run(&["--force", "--allow-deletes"]);
        assert!(matches!(ran.code, 0 | 75), "{ran}");
        change(&mut events, &mut dice, 8, 30);
    }
    mirror.feed.set(calendar(&events));
    converges(&mirror, &theirs);
}

/// Name -> text and last change of every object of a folder.
fn objects(folder: &Path) -> BTreeMap<String, (String, SystemTime)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    // What a kill leaves half written is hidden.
    let objects = named.filter(|(name, _)| !name.starts_with('.'));
    let read = |path: &Path| (std::fs::read_to_string(path).unwrap(), path.metadata().unwrap().modified().unwrap());
    objects.map(|(name, path)| (name, read(&path))).collect()
}

/// A folder answers no requests that could be counted, so these runs are killed after a time that the dice tell.
pub(crate) fn runs_into_a_folder_that_are_killed_at_any_moment_are_made_up_for(_: &Server) {
    let feed = Feed::start("");
    let env = Env::new();
    let folder = env.path("events");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("foreign-1.ics"), FOREIGN).unwrap();
    env.set_config(&subscription(&feed.url(), &format!("dir:{}", folder.display()), "verify = \"always\""));
    let (mut dice, mut events, mut killed) = (Dice(number("BAIKAL_TEST_SEED", 3)), Events::new(), 0);
    change(&mut events, &mut dice, 300, 200);
    for _ in 0..3 * kills() {
        feed.set(calendar(&events));
        let run = start(&env);
        std::thread::sleep(Duration::from_micros(dice.below(120_000)));
        kill(run.id());
        let ran = env.ended(&["run"], run);
        assert!(matches!(ran.code, 0 | 75 | 137), "{ran}");
        killed += u64::from(ran.code == 137);
        change(&mut events, &mut dice, 40, 200);
    }
    assert!(killed > 0, "no run was killed");
    feed.set(calendar(&events));
    env.run(&["run", "--force", "--allow-deletes"]).exits(0);
    let mut after = objects(&folder);
    env.run(&["run", "--full"]).exits(0);
    assert!(objects(&folder) == after, "a further run wrote something");
    assert_eq!(after.remove("foreign-1.ics").map(|(text, _)| text).as_deref(), Some(FOREIGN));
    hold(calendar(&events).as_bytes(), &after.into_iter().map(|(name, (text, _))| (name, text)).collect());
}
