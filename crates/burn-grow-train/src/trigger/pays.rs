use core::fmt;

use burn_grow_core::cost::LearningCurve;
use serde::{Deserialize, Serialize};

use super::fault::TriggerFault;
use super::history::History;
use super::slope::slope;
use super::watched::{Direction, MetricSplit, WatchedMetric};

/// Fires when the wide model would make more progress for a FLOP than the narrow one does.
///
/// The progress of the narrow model is the least-squares slope of its loss over the last `window`
/// epochs. That of the wide one is read off its learning curve, at the loss that the narrow model
/// has come to. Where they are equal the head start of a grown run is largest; where an expansion keeps
/// a part of it, the best point comes earlier ([`Payoff`](burn_grow_core::cost::Payoff)). Both losses
/// have to be taken at comparable learning rates: best under a rate that stays at its peak.
///
/// ```
/// use burn_grow_core::cost::{LearningCurve, training_flops};
/// use burn_grow_train::{At, Pays};
///
/// # fn main() -> Result<(), burn_grow_core::cost::CurveError> {
/// // Losses of a wide run, each after so many FLOPs.
/// let wide = LearningCurve::new((1..=20).map(|n| {
///     let flops = 1e12 * f64::from(n);
///     (flops, 1.0 + 2e3 * flops.powf(-0.3))
/// }))?;
/// // 30,000 active parameters, 8,192 tokens a step.
/// let at: At = Pays::new("Loss", wide, training_flops(30_000.0, 8_192.0)).into();
/// assert_eq!(at.to_string(), "the wide model learns faster than valid Loss over 3 epochs");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pays {
    /// The watched loss.
    pub metric: WatchedMetric,
    /// The number of epochs that its slope is taken over.
    pub window: usize,
    /// The learning curve of the wide model from scratch.
    pub wide: LearningCurve,
    /// The FLOPs of one optimizer step of the narrow model.
    pub flops_per_step: f64,
    /// The part of the narrow model's progress that the expansion keeps.
    #[serde(default = "all")]
    pub kept: f64,
}

fn all() -> f64 {
    1.0
}

impl Pays {
    /// Creates a trigger on a validation loss, over a window of three epochs.
    pub fn new(metric: impl Into<String>, wide: LearningCurve, flops_per_step: f64) -> Self {
        Self {
            metric: WatchedMetric::valid(metric),
            window: 3,
            wide,
            flops_per_step,
            kept: all(),
        }
    }

    /// Sets the part of the narrow model's progress that the expansion keeps, 1 by default.
    pub fn with_kept(mut self, kept: f64) -> Self {
        self.kept = kept;
        self
    }

    /// Watches the training split.
    pub fn on_train(mut self) -> Self {
        self.metric.split = MetricSplit::Train;
        self
    }

    /// Sets the number of epochs that the slope is taken over.
    pub fn with_window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    pub(crate) fn check(&self) -> Result<(), TriggerFault> {
        if self.window < 2 {
            return Err(TriggerFault::Window);
        }
        let positive = |number: f64| number.is_finite() && number > 0.0;
        if !positive(self.flops_per_step) {
            return Err(TriggerFault::Flops);
        }
        if !positive(self.kept) {
            return Err(TriggerFault::Kept);
        }
        Ok(())
    }

    pub(crate) fn fires(&self, history: &History<'_>) -> bool {
        let values = history.values(&self.metric);
        let steps = history.steps();
        let Some(start) = values.len().checked_sub(self.window) else {
            return false;
        };
        let values = &values[start..];
        // Epochs are equally long.
        let steps = (steps[steps.len() - 1] - steps[start]) as f64 / (self.window - 1) as f64;
        let gain = Direction::Lowest.gain(slope(values), 0.0);
        let narrow = gain / (steps * self.flops_per_step);
        let loss = values.iter().sum::<f64>() / values.len() as f64;
        // Where the wide model never comes to that loss, nothing is to be had from it.
        let wide = self.wide.flops(loss).map(|flops| self.wide.progress(flops));
        wide.is_some_and(|wide| self.kept * narrow < wide)
    }
}

impl fmt::Display for Pays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, window) = (&self.metric, self.window);
        write!(
            f,
            "the wide model learns faster than {metric} over {window} epochs"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::history;
    use super::*;

    /// The wide model comes to `1 + 8 / n` after `n` FLOPs, and gains `8 / n^2` with the next.
    fn pays(flops_per_step: f64) -> Pays {
        let points = (1..=100).map(|n| (f64::from(n), 1.0 + 8.0 / f64::from(n)));
        let wide = LearningCurve::new(points).expect("a curve");
        Pays::new("Loss", wide, flops_per_step)
    }

    #[test]
    fn what_an_expansion_loses_makes_it_fire_earlier() {
        let values: &[f64] = &[2.2, 2.0, 1.8];
        for (kept, fires) in [(1.0, false), (0.63, false), (0.62, true)] {
            let pays = pays(0.1).with_kept(kept);
            history(&[(&pays.metric, values)], None, |history| {
                assert_eq!(pays.fires(history), fires, "{kept}");
            });
        }
    }

    #[test]
    fn it_fires_when_the_wide_model_gains_more_for_a_flop() {
        // At a loss of 2, after 8 FLOPs, the wide model gains an eighth. An epoch has 10 steps.
        let nan = f64::NAN;
        let table: [(f64, &[f64], bool); 8] = [
            (0.1, &[2.1, 2.0], false),
            (0.1, &[2.2, 2.0, 1.8], false),
            (0.1, &[2.13, 2.0, 1.87], false),
            (0.1, &[2.12, 2.0, 1.88], true),
            (0.1, &[9.0, 2.12, 2.0, 1.88], true),
            // The same gain for half the price.
            (0.05, &[2.12, 2.0, 1.88], false),
            // The wide model never comes there.
            (0.1, &[0.9, 0.9, 0.9], false),
            (0.1, &[2.0, nan, 2.0], false),
        ];
        for (flops, values, fires) in table {
            let pays = pays(flops);
            history(&[(&pays.metric, values)], None, |history| {
                assert_eq!(pays.fires(history), fires, "{flops} {values:?}");
            });
        }
    }
}
