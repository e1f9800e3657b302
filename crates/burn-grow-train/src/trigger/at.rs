//! Triggers, by the point of the run or the metric that they wait for.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::custom::CustomTrigger;
use super::fault::TriggerFault;
use super::history::History;
use super::lengths::Lengths;
use super::plateau::Plateau;
use super::slope::Slope;
use super::watched::WatchedMetric;
use crate::TrainError;

/// Trigger of an expansion: a point of the run, or the course of a metric.
///
/// Points are counted in optimizer steps, so they mean the same under gradient accumulation and on
/// several devices. A metric is looked at when an epoch ends. The expansion then follows the first
/// optimizer step of the next epoch, whose gradients still have the narrow shapes.
///
/// ```
/// use burn_grow_core::{Expansion, Growable};
/// use burn_grow_train::{At, TrainError, WidthExpansionCallback};
///
/// # fn build<M: Growable>(model: &M) -> Result<(), TrainError> {
/// let double = Expansion::by("inner", 2.0);
/// let callback = WidthExpansionCallback::builder(10_000)
///     .steps_per_epoch(500)
///     .expand(At::epoch(8), double.clone())
///     .expand(At::plateau("Loss", 2), double)
///     .build(model)?;
/// # Ok(())
/// # }
/// assert_eq!(At::fraction(0.5).to_string(), "fraction 0.5");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum At {
    /// After a number of optimizer steps.
    Step(usize),
    /// After a fraction of the run's optimizer steps, rounded to the nearest step.
    Fraction(f64),
    /// After a number of tokens, rounded up to a whole optimizer step.
    Tokens(usize),
    /// After a number of epochs.
    Epoch(usize),
    /// When a metric stops improving.
    Plateau(Plateau),
    /// When a metric improves too slowly.
    Slope(Slope),
    /// When a closure returns true.
    #[serde(skip)]
    Custom(CustomTrigger),
}

/// One of the two kinds that every trigger comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// After a number of optimizer steps, or as soon as the expansions before it are taken.
    Step(usize),
    /// Decided at the end of an epoch.
    EpochEnd,
}

/// Units that the optimizer steps of a run are counted in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    pub(crate) total_steps: usize,
    pub(crate) tokens_per_step: Option<usize>,
    pub(crate) steps_per_epoch: Option<usize>,
    /// The lengths that the run was planned with before, shortest first.
    pub(crate) before: Vec<usize>,
}

impl Units {
    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            before: self.before.clone(),
            total: self.total_steps,
        }
    }
}

impl At {
    /// After `step` optimizer steps: the step with index `step` is the first of the wider model.
    pub fn step(step: usize) -> Self {
        Self::Step(step)
    }

    /// After `fraction` of the run.
    pub fn fraction(fraction: f64) -> Self {
        Self::Fraction(fraction)
    }

    /// After at least `tokens` tokens. The builder has to know the
    /// [`tokens_per_step`](crate::WidthExpansionBuilder::tokens_per_step).
    pub fn tokens(tokens: usize) -> Self {
        Self::Tokens(tokens)
    }

    /// After the last optimizer step of epoch `epoch`, numbered from 1: its validation sees the
    /// wide model. The builder has to know the
    /// [`steps_per_epoch`](crate::WidthExpansionBuilder::steps_per_epoch).
    pub fn epoch(epoch: usize) -> Self {
        Self::Epoch(epoch)
    }

    /// When a validation metric whose lower values are better has not improved for `patience`
    /// epochs. [`Plateau`] has more settings.
    pub fn plateau(metric: impl Into<String>, patience: usize) -> Self {
        Plateau::new(metric, patience).into()
    }

    /// When a validation metric whose lower values are better improves by less than `below` per
    /// epoch over `window` epochs. [`Slope`] has more settings.
    pub fn slope(metric: impl Into<String>, window: usize, below: f64) -> Self {
        Slope::new(metric, window, below).into()
    }

    /// When `decide` returns true at the end of an epoch; see [`CustomTrigger`].
    pub fn custom(
        name: impl Into<String>,
        metrics: impl IntoIterator<Item = WatchedMetric>,
        decide: impl Fn(&History<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        CustomTrigger::new(name, metrics, decide).into()
    }

    /// The metrics it watches.
    pub(super) fn metrics(&self) -> &[WatchedMetric] {
        match self {
            Self::Plateau(plateau) => core::slice::from_ref(&plateau.metric),
            Self::Slope(slope) => core::slice::from_ref(&slope.metric),
            Self::Custom(custom) => &custom.metrics,
            Self::Step(_) | Self::Fraction(_) | Self::Tokens(_) | Self::Epoch(_) => &[],
        }
    }

    /// Returns true if a trigger that watches metrics fires at the end of an epoch.
    pub(super) fn fires(&self, history: &History<'_>) -> bool {
        match self {
            Self::Plateau(plateau) => plateau.fires(history),
            Self::Slope(slope) => slope.fires(history),
            Self::Custom(custom) => custom.fires(history),
            Self::Step(_) | Self::Fraction(_) | Self::Tokens(_) | Self::Epoch(_) => false,
        }
    }

    /// Resolves the trigger in the first of the lengths of the run that it lies within.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve) in the whole run.
    pub(super) fn resolve_first(&self, units: &Units) -> Result<Due, TrainError> {
        let lengths = units.before.iter().map(|before| Units {
            total_steps: *before,
            ..units.clone()
        });
        let before = lengths.filter_map(|units| self.resolve(&units).ok()).next();
        before.map_or_else(|| self.resolve(units), Ok)
    }

    /// Resolves the trigger to a step of a run, or to the ends of its epochs.
    ///
    /// # Errors
    ///
    /// When the point is not within the run: the first step has to see the narrow model, the last
    /// one the wide one. When it cannot be counted, or a metric trigger can never fire.
    pub(super) fn resolve(&self, units: &Units) -> Result<Due, TrainError> {
        let missing = |setting| TrainError::Unit {
            at: self.clone(),
            setting,
        };
        let valid = |checked: Result<(), TriggerFault>| match checked {
            Ok(()) => Ok(Due::EpochEnd),
            Err(fault) => Err(TrainError::Metric {
                at: self.clone(),
                fault,
            }),
        };
        let step = match self {
            Self::Step(step) => *step as f64,
            Self::Fraction(fraction) => (units.total_steps as f64 * fraction).round(),
            Self::Tokens(tokens) => {
                let per_step = units.tokens_per_step.filter(|tokens| *tokens > 0);
                let per_step = per_step.ok_or_else(|| missing("tokens_per_step"))?;
                tokens.div_ceil(per_step) as f64
            }
            Self::Epoch(epoch) => {
                let per_epoch = units.steps_per_epoch.filter(|steps| *steps > 0);
                let per_epoch = per_epoch.ok_or_else(|| missing("steps_per_epoch"))?;
                *epoch as f64 * per_epoch as f64
            }
            Self::Plateau(plateau) => return valid(plateau.check()),
            Self::Slope(slope) => return valid(slope.check()),
            Self::Custom(_) => return Ok(Due::EpochEnd),
        };
        if step >= 1.0 && step < units.total_steps as f64 {
            Ok(Due::Step(step as usize))
        } else {
            Err(TrainError::Trigger {
                at: self.clone(),
                total_steps: units.total_steps,
            })
        }
    }
}

impl From<Plateau> for At {
    fn from(plateau: Plateau) -> Self {
        Self::Plateau(plateau)
    }
}

impl From<Slope> for At {
    fn from(slope: Slope) -> Self {
        Self::Slope(slope)
    }
}

impl From<CustomTrigger> for At {
    fn from(custom: CustomTrigger) -> Self {
        Self::Custom(custom)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "step {step}"),
            Self::Fraction(fraction) => write!(f, "fraction {fraction}"),
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
            Self::Epoch(epoch) => write!(f, "epoch {epoch}"),
            Self::Plateau(plateau) => plateau.fmt(f),
            Self::Slope(slope) => slope.fmt(f),
            Self::Custom(custom) => f.write_str(&custom.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_resolve_to_steps_within_the_run() {
        let units = Units {
            total_steps: 100,
            tokens_per_step: Some(64),
            steps_per_epoch: Some(10),
            ..Units::default()
        };
        let table = [
            (At::step(1), Some(1)),
            (At::step(99), Some(99)),
            (At::step(0), None),
            (At::step(100), None),
            (At::fraction(0.5), Some(50)),
            (At::fraction(0.004), None),
            (At::fraction(1.0), None),
            (At::fraction(f64::NAN), None),
            (At::fraction(-0.5), None),
            (At::tokens(640), Some(10)),
            (At::tokens(641), Some(11)),
            (At::tokens(0), None),
            (At::tokens(6_400), None),
            (At::tokens(usize::MAX), None),
            (At::epoch(3), Some(30)),
            (At::epoch(0), None),
            (At::epoch(10), None),
        ];
        for (at, step) in table {
            let expected = step.map(Due::Step);
            assert_eq!(at.resolve(&units).ok(), expected, "{at:?}");
        }
    }

    #[test]
    fn a_trigger_that_cannot_be_counted_or_never_fires_is_rejected() {
        let units = Units {
            total_steps: 100,
            ..Units::default()
        };
        let table = [
            (At::tokens(640), "tokens_per_step"),
            (At::epoch(3), "steps_per_epoch"),
            (At::plateau("Loss", 0), "patience"),
            (
                Plateau::new("Loss", 1).with_min_change(-1.0).into(),
                "minimum change",
            ),
            (At::slope("Loss", 1, 0.1), "window"),
            (At::slope("Loss", 3, f64::NAN), "threshold"),
        ];
        for (at, message) in table {
            let error = at.resolve(&units).map_err(|error| error.to_string());
            assert!(error.is_err_and(|error| error.contains(message)), "{at:?}");
        }
        assert_eq!(
            At::plateau("Loss", 1).resolve(&units).ok(),
            Some(Due::EpochEnd)
        );
    }
}
