//! Triggers, by the point of the run or the metric that they wait for.

use core::fmt;

use burn_grow_core::cost::LearningCurve;
use serde::{Deserialize, Serialize};

use super::custom::CustomTrigger;
use super::history::History;
use super::pays::Pays;
use super::plateau::Plateau;
use super::slope::Slope;
use super::watched::WatchedMetric;

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
    /// When the wide model would make more progress for a FLOP.
    Pays(Box<Pays>),
    /// When a closure returns true.
    #[serde(skip)]
    Custom(CustomTrigger),
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

    /// When the wide model, whose learning curve is given, would make more progress for a FLOP than
    /// a validation loss does at `flops_per_step`. [`Pays`] has more settings.
    pub fn pays(metric: impl Into<String>, wide: LearningCurve, flops_per_step: f64) -> Self {
        Pays::new(metric, wide, flops_per_step).into()
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
            Self::Pays(pays) => core::slice::from_ref(&pays.metric),
            Self::Custom(custom) => &custom.metrics,
            Self::Step(_) | Self::Fraction(_) | Self::Tokens(_) | Self::Epoch(_) => &[],
        }
    }

    /// Returns true if a trigger that watches metrics fires at the end of an epoch.
    pub(super) fn fires(&self, history: &History<'_>) -> bool {
        match self {
            Self::Plateau(plateau) => plateau.fires(history),
            Self::Slope(slope) => slope.fires(history),
            Self::Pays(pays) => pays.fires(history),
            Self::Custom(custom) => custom.fires(history),
            Self::Step(_) | Self::Fraction(_) | Self::Tokens(_) | Self::Epoch(_) => false,
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

impl From<Pays> for At {
    fn from(pays: Pays) -> Self {
        Self::Pays(Box::new(pays))
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
            Self::Pays(pays) => pays.fmt(f),
            Self::Custom(custom) => f.write_str(&custom.name),
        }
    }
}
