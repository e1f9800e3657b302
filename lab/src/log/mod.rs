//! What a run writes down while it trains, and the directory it is kept in.

mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use store::Store;

/// What one run has written down so far. Losses are cross entropies in nats per byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Its epochs, at their ends.
    pub epochs: Vec<Epoch>,
    /// Training loss: the step, and the mean since the point before.
    pub train: Vec<(usize, f64)>,
    /// How far copies still are copies: the step, and the mean cosine.
    pub cosine: Vec<(usize, f64)>,
    /// Its expansions, in order.
    pub expansions: Vec<LoggedExpansion>,
    /// The end, once the run got there.
    pub end: Option<End>,
}

/// An epoch, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: usize,
    /// Optimizer steps taken.
    pub step: usize,
    /// Held-out loss.
    pub val_loss: f64,
    /// Seconds of training so far.
    pub wall_s: f64,
}

/// What an expansion did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedExpansion {
    /// Optimizer steps taken before.
    pub step: usize,
    /// Held-out loss of the narrow model.
    pub loss_before: f64,
    /// Held-out loss of the wide one.
    pub loss_after: f64,
    /// Largest change of a logit, relative to the largest logit.
    pub max_logit_diff: f64,
    /// Seconds that expanding model and optimizer took.
    pub seconds: f64,
    /// Mean cosine between old units and their copies, if there are copies.
    pub copy_cosine: Option<f64>,
    /// Activations before and after.
    pub rms: Vec<Rms>,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Loss on the larger set of held-out windows.
    pub val_loss: f64,
    /// Seconds of training, at its usual pace.
    pub wall_s: f64,
}

impl Log {
    /// Gives what was written down up to the end of `epoch`, from which a run goes on.
    pub fn up_to(&self, epoch: usize) -> Self {
        let epochs: Vec<_> = self
            .epochs
            .iter()
            .filter(|end| end.epoch <= epoch)
            .copied()
            .collect();
        let step = epochs.last().map_or(0, |end| end.step);
        let until = |points: &[(usize, f64)]| {
            let points = points.iter().filter(|point| point.0 <= step);
            points.copied().collect()
        };
        let expansions = self.expansions.iter().filter(|at| at.step <= step);
        Self {
            train: until(&self.train),
            cosine: until(&self.cosine),
            expansions: expansions.cloned().collect(),
            epochs,
            end: None,
        }
    }

    /// Estimates the seconds of training at its usual pace: each epoch counts as the median one of
    /// its width, so that a machine that stood still, or was busy, for a while does not count.
    /// Expansions take theirs on top.
    pub fn steady_seconds(&self) -> f64 {
        let mut paces: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut before = 0.0;
        for row in &self.epochs {
            let width = self
                .expansions
                .iter()
                .filter(|at| at.step < row.step)
                .count();
            paces.entry(width).or_default().push(row.wall_s - before);
            before = row.wall_s;
        }
        let phases = paces.into_values().map(|mut epochs| {
            epochs.sort_by(f64::total_cmp);
            epochs.len() as f64 * epochs[epochs.len() / 2]
        });
        let expanding = self.expansions.iter().map(|expansion| expansion.seconds);
        phases.chain(expanding).sum()
    }

    /// Gives the steps taken at the end of the last epoch.
    pub fn steps(&self) -> usize {
        self.epochs.last().map_or(0, |row| row.step)
    }
}

/// Root mean square of an activation before and after an expansion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rms {
    /// Where in the model.
    pub site: String,
    /// In the narrow model.
    pub before: f64,
    /// In the wide one.
    pub after: f64,
}

/// Rounds to six decimals: what a log holds survives being written and read.
pub fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_took_long_counts_as_the_median_one_of_its_width() {
        let epoch = |(index, wall_s): (usize, f64)| Epoch {
            epoch: index + 1,
            step: 10 * (index + 1),
            val_loss: 1.0,
            wall_s,
        };
        // Narrow: 2, 2, 300 and 2 seconds; wide: 5, 100 and 5; expanding: half a second.
        let walls = [2.0, 4.0, 304.0, 306.0, 311.0, 411.0, 416.0];
        let mut log = Log {
            epochs: walls.into_iter().enumerate().map(epoch).collect(),
            ..Log::default()
        };
        log.expansions.push(LoggedExpansion {
            step: 40,
            loss_before: 1.0,
            loss_after: 1.0,
            max_logit_diff: 0.0,
            seconds: 0.5,
            copy_cosine: None,
            rms: Vec::new(),
        });
        assert_eq!(log.steady_seconds(), 4.0 * 2.0 + 3.0 * 5.0 + 0.5);
        assert_eq!(Log::default().steady_seconds(), 0.0);
    }
}
