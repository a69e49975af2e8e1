//! A progress bar on a terminal when a pass takes longer than a second. The only file that names `indicatif`.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shorter passes show nothing.
const QUICK: Duration = Duration::from_secs(1);

/// The bars of a run.
pub(super) struct Progress {
    bars: Option<MultiProgress>,
}

/// The bar of one pass.
pub(super) struct Bar<'a> {
    name: &'a str,
    began: Instant,
    bars: Option<&'a MultiProgress>,
    drawn: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// `shown`: whether anybody would see it.
    pub(super) fn new(shown: bool) -> Progress {
        Progress { bars: shown.then(MultiProgress::new) }
    }

    /// The bar for a pass over this subscription.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> Bar<'a> {
        Bar { name, began: Instant::now(), bars: self.bars.as_ref(), drawn: Mutex::new(None) }
    }
}

impl Bar<'_> {
    /// Shows that `done` of `total` writes are done.
    pub(super) fn show(&self, done: usize, total: usize) {
        let Some(bars) = self.bars.filter(|_| self.began.elapsed() > QUICK) else { return };
        let mut bar = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}");
            let bar = bars.add(ProgressBar::new(total as u64)).with_prefix(self.name.to_owned());
            style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
        });
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.drawn.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
