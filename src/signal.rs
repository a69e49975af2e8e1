//! Stop requests by signal. The only file that names the crate `signal-hook`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::words::error::{Kind, OrFault};

/// How long a sleeper may take to notice a signal.
const GLANCE: Duration = Duration::from_millis(50);

/// A flag shared by all parts of a run: once set, finish what is in progress and start nothing new.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// A flag set by the first SIGTERM or SIGINT; the second one ends the process at once with 128 + its number.
    pub fn on_signals() -> anyhow::Result<Stop> {
        let stop = Stop::default();
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            let number = usize::try_from(signal).unwrap_or_default();
            // The order matters: the first signal must find `seen` unset.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&seen))
                .and_then(|_| flag::register(signal, Arc::clone(&seen)))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&stop.0), number))
                .or_fault(Kind::Internal, || format!("cannot listen to signal {signal}"))?;
        }
        Ok(stop)
    }

    /// The number of the signal that asked to stop.
    pub fn requested(&self) -> Option<i32> {
        i32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|signal| *signal != 0)
    }

    /// Requests a stop, as this signal would.
    pub fn request(&self, signal: i32) {
        self.0.store(usize::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Sleeps, but no longer than until a stop is requested.
    pub fn sleep(&self, duration: Duration) {
        let start = Instant::now();
        while self.requested().is_none() {
            let left = duration.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_holder_of_the_flag_sees_the_request_and_nobody_sleeps_after_it() {
        let stop = Stop::default();
        let other = stop.clone();
        assert_eq!(other.requested(), None);
        stop.request(SIGTERM);
        other.sleep(Duration::from_secs(86_400));
        assert_eq!(other.requested(), Some(15));
    }
}
