//! The progress bar.

use burn_grow_cli::expand::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Bytes that are done, and the time that is left; drawn if somebody looks.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Creates a bar, which stays hidden under `--json`.
    pub(super) fn new(hidden: bool) -> Self {
        Self(match hidden {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(0),
        })
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begin(&mut self, bytes: u64) {
        let template = "{bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_length(bytes);
    }

    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}
