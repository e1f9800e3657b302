//! Strategies of the user's own, for the places that burn-train has once.

use std::sync::{Mutex, PoisonError};

use burn_grow_core::Growable;
use burn_train::checkpoint::{
    CheckpointingStrategy, ComposedCheckpointingStrategy, KeepLastNCheckpoints,
    MetricCheckpointingStrategy,
};
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::LossMetric;
use burn_train::metric::store::{Aggregate, Direction, EventStoreClient, Split};
use burn_train::{CloneEarlyStoppingStrategy, EarlyStoppingStrategy, TrainStep};

use super::growing::Growing;

/// Early stopping, checkpointing strategy, progress logger and rehearsal for
/// [`train_with`](crate::WidthExpansionCallback::train_with).
///
/// burn-train has one place for each and does not tell what is in it. The callback needs the early
/// stopping, the progress logger and, under a trigger that watches a metric, the checkpointing
/// strategy, and calls yours from there.
///
/// ```
/// use burn_grow_train::TrainOptions;
/// use burn_train::checkpoint::KeepLastNCheckpoints;
///
/// let options = TrainOptions::new().with_checkpointing(KeepLastNCheckpoints::new(5));
/// // The expansions are not tried on the first batch, which then need not be `Clone`.
/// let options = options.without_rehearsal();
/// # let _ = options;
/// ```
#[derive(Default)]
pub struct TrainOptions<R = Rehearsed> {
    pub(crate) early_stopping: EarlyStopping,
    pub(crate) checkpointing: Option<Box<dyn CheckpointingStrategy>>,
    pub(crate) progress: Option<Box<dyn TrainingProgressLogger>>,
    pub(crate) rehearsal: R,
}

impl TrainOptions {
    /// Creates options without any: no early stopping, burn-train's checkpointing strategy, no
    /// progress logger, a rehearsal without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most parameters that a copy of the [rehearsal](crate::Rehearsal) may have; an
    /// expansion that needs a larger one stops the run before its first step. The largest copy has
    /// every axis of one expansion doubled, and lies in memory beside the narrow model, with the
    /// gradients of both.
    pub fn with_rehearsal_limit(mut self, params: usize) -> Self {
        self.rehearsal.limit = Some(params);
        self
    }

    /// Trains without a [rehearsal](crate::Rehearsal).
    pub fn without_rehearsal(self) -> TrainOptions<Unrehearsed> {
        TrainOptions {
            early_stopping: self.early_stopping,
            checkpointing: self.checkpointing,
            progress: self.progress,
            rehearsal: Unrehearsed,
        }
    }
}

impl<R> TrainOptions<R> {
    /// Sets the early stopping.
    pub fn with_early_stopping<S>(mut self, strategy: S) -> Self
    where
        S: EarlyStoppingStrategy + Clone + Send + 'static,
    {
        self.early_stopping = EarlyStopping(Some(Mutex::new(Box::new(strategy))));
        self
    }

    /// Sets which checkpoints are saved and which are deleted.
    pub fn with_checkpointing(mut self, strategy: impl CheckpointingStrategy + 'static) -> Self {
        self.checkpointing = Some(Box::new(strategy));
        self
    }

    /// Sets the progress logger.
    pub fn with_progress_logger(mut self, logger: impl TrainingProgressLogger + 'static) -> Self {
        self.progress = Some(Box::new(logger));
        self
    }
}

/// The expansions are [rehearsed](crate::Rehearsal) on the first batch: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rehearsed {
    limit: Option<usize>,
}

/// The expansions are not rehearsed.
#[derive(Clone, Copy, Debug)]
pub struct Unrehearsed;

/// Says if a training rehearses its expansions: [`Rehearsed`] or [`Unrehearsed`].
#[diagnostic::on_unimplemented(
    message = "a training of `{M}` cannot be rehearsed: its batches are not `Clone`",
    label = "the first batch is used several times",
    note = "derive `Clone` for `<{M} as TrainStep>::Input`",
    note = "or call `train_with` and `TrainOptions::new().without_rehearsal()`"
)]
pub trait Rehearses<M>: sealed::Sealed {
    /// Makes the model rehearse on its first batch, or leaves it as it is.
    #[doc(hidden)]
    fn prepare(&self, model: Growing<M>) -> Growing<M>;
}

impl<M> Rehearses<M> for Rehearsed
where
    M: TrainStep + Growable,
    M::Input: Clone,
{
    fn prepare(&self, model: Growing<M>) -> Growing<M> {
        model.rehearsing_within(self.limit)
    }
}

impl<M> Rehearses<M> for Unrehearsed {
    fn prepare(&self, model: Growing<M>) -> Growing<M> {
        model
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Rehearsed {}
    impl Sealed for super::Unrehearsed {}
}

/// An early stopping of any type, or none.
#[derive(Default)]
pub(crate) struct EarlyStopping(Option<Mutex<Box<dyn CloneEarlyStoppingStrategy>>>);

impl Clone for EarlyStopping {
    fn clone(&self) -> Self {
        let strategy = self.0.as_ref();
        let strategy = strategy.map(|strategy| {
            let strategy = strategy.lock().unwrap_or_else(PoisonError::into_inner);
            Mutex::new(strategy.clone())
        });
        Self(strategy)
    }
}

impl EarlyStoppingStrategy for EarlyStopping {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        self.0.as_mut().is_some_and(|strategy| {
            let strategy = strategy.get_mut().unwrap_or_else(PoisonError::into_inner);
            strategy.should_stop(epoch, store)
        })
    }
}

/// The strategy of a [`SupervisedTraining`](burn_train::SupervisedTraining) that is given none: the
/// last two epochs, and the one with the lowest validation loss.
pub(crate) fn default_checkpointing() -> impl CheckpointingStrategy {
    let best = MetricCheckpointingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
    );
    ComposedCheckpointingStrategy::builder()
        .add(KeepLastNCheckpoints::new(2))
        .add(best)
        .build()
}
