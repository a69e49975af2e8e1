//! Whole runs of processes: how long they take and how much memory they hold at most.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The times of several runs of one thing, sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn best(&self) -> f64 {
        self.0[0].as_secs_f64()
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2].as_secs_f64()
    }
}

/// One run, from fork to exit.
pub(crate) fn time(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the program starts");
    let taken = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    taken
}

/// Processor time of all processes that were waited for so far, in seconds: `cutime` and `cstime` of proc(5), in ticks of
/// 10 ms. A busy machine makes runs longer, but hardly costs them more of it.
pub(crate) fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Times of two things that take turns, so that both meet the same disturbances.
pub(crate) fn in_turns(
    runs: usize,
    mut one: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> (Times, Times) {
    let (mut ones, mut others): (Vec<_>, Vec<_>) = (0..runs).map(|_| (one(), other())).unzip();
    ones.sort();
    others.sort();
    (Times(ones), Times(others))
}

/// Waits for the next second. The state keeps moments in seconds, and `SQLite` writes nothing where nothing differs: two
/// passes in one second would commit but once.
pub(crate) fn wait_for_the_next_second() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    thread::sleep(Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into())));
}

/// The most memory that a run holds, in octets: `VmHWM` as the kernel counts it, read again and again until the process
/// ends. A peak in the last moment may be missed by a run of a few milliseconds.
pub(crate) fn peak_memory(mut command: Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program starts");
    let (status, over) = (format!("/proc/{}/status", child.id()), AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !over.load(Ordering::Relaxed) {
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
                peak = peak.max(kilobytes.unwrap_or(0) * 1024);
                thread::sleep(Duration::from_micros(200));
            }
            peak
        });
        assert!(child.wait().expect("the program ends").success(), "{command:?}");
        over.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher")
    })
}
