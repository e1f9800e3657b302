//! What a run remembers from step to step.

use crate::Position;
use crate::trigger::EpochRecord;

/// State of a run: what a checkpoint holds besides the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) position: Position,
    /// The number of optimizer steps before each expansion taken.
    pub(crate) taken: Vec<usize>,
    /// The base rate at the first step after the last expansion.
    pub(crate) base_rate: Option<f64>,
    /// The RMS of what the last expansion grew, before the first step after it, if a metric shows
    /// it.
    pub(crate) rms: Option<f64>,
    /// The watched metrics of every epoch since the last expansion.
    pub(crate) epochs: Vec<EpochRecord>,
}

impl State {
    /// Counts an expansion; one that added no coordinates leaves the last re-warmup going.
    pub(crate) fn expanded(&mut self, grown: bool) {
        if grown {
            self.base_rate = None;
            self.rms = None;
        }
        self.position.stage += 1;
        self.taken.push(self.position.step);
        // No later decision looks at what came before an expansion.
        self.epochs.clear();
    }

    /// Adds the metrics of an epoch if it ended just now, once.
    pub(crate) fn record(&mut self, record: &EpochRecord) {
        let last = self.epochs.last().map(|last| last.step);
        let expanded = self.taken.last() == Some(&record.step);
        if record.step == self.position.step && last != Some(record.step) && !expanded {
            self.epochs.push(record.clone());
        }
    }
}
