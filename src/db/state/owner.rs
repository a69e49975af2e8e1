//! One thread owns the state. Passes on other threads send it work through a [`Handle`].

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::State;
use crate::words::error::{Kind, fault};

/// Writes become durable after this time at the latest …
const COMMIT_AFTER: Duration = Duration::from_millis(500);
/// … or after this many writes.
const COMMIT_EVERY: u32 = 100;

type Work = Box<dyn FnOnce(&State) + Send>;

enum Job {
    Read(Work),
    Write(Work),
    Commit(Work),
}

/// Sends work to the thread that owns the state.
#[derive(Clone)]
pub struct Handle(Sender<Job>);

/// Executes the work that the handles send.
pub struct Owner {
    state: State,
    jobs: Receiver<Job>,
}

impl Owner {
    /// The owner of a state, and the first handle to it.
    pub fn new(state: State) -> (Owner, Handle) {
        let (sender, jobs) = channel();
        (Owner { state, jobs }, Handle(sender))
    }

    /// Works until the last handle is dropped, and returns the state. Writes are committed in small batches: an idle
    /// invocation commits once, and the next look finds again what a `kill -9` loses.
    pub fn serve(self) -> anyhow::Result<State> {
        let mut writes = 0;
        let mut first_write = Instant::now();
        loop {
            let job = if writes == 0 {
                self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.jobs.recv_timeout(COMMIT_AFTER.saturating_sub(first_write.elapsed()))
            };
            match job {
                Ok(Job::Read(work)) => work(&self.state),
                Ok(Job::Commit(work)) => {
                    self.state.commit()?;
                    writes = 0;
                    work(&self.state);
                }
                Ok(Job::Write(work)) => {
                    if writes == 0 {
                        first_write = Instant::now();
                        self.state.begin()?;
                    }
                    work(&self.state);
                    writes += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if writes >= COMMIT_EVERY || (writes > 0 && first_write.elapsed() >= COMMIT_AFTER) {
                self.state.commit()?;
                writes = 0;
            }
        }
        self.state.commit()?;
        Ok(self.state)
    }
}

impl Handle {
    /// Reads something.
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.hand_over(Job::Read, work)
    }

    /// Writes something; it becomes durable soon, not at once.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.hand_over(Job::Write, work)
    }

    /// Makes everything durable that was written so far.
    pub fn commit(&self) -> anyhow::Result<()> {
        self.hand_over(Job::Commit, |_| Ok(()))
    }

    fn hand_over<T: Send + 'static>(
        &self,
        job: fn(Work) -> Job,
        work: impl FnOnce(&State) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let gone = || fault(Kind::State, "the state file cannot be used any more");
        let (sender, answer) = channel();
        let work: Work = Box::new(move |state| {
            // Nobody waits for the answer if the pass panicked.
            let _ = sender.send(work(state));
        });
        self.0.send(job(work)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}
