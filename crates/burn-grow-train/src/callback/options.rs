//! Strategies of the user's own, for the places that burn-train has once.

use std::sync::{Mutex, PoisonError};

use burn_train::checkpoint::{
    CheckpointingStrategy, ComposedCheckpointingStrategy, KeepLastNCheckpoints,
    MetricCheckpointingStrategy,
};
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::LossMetric;
use burn_train::metric::store::{Aggregate, Direction, EventStoreClient, Split};
use burn_train::{CloneEarlyStoppingStrategy, EarlyStoppingStrategy};

/// Early stopping, checkpointing strategy and progress logger for
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
/// ```
#[derive(Default)]
pub struct TrainOptions {
    pub(crate) early_stopping: EarlyStopping,
    pub(crate) checkpointing: Option<Box<dyn CheckpointingStrategy>>,
    pub(crate) progress: Option<Box<dyn TrainingProgressLogger>>,
}

impl TrainOptions {
    /// Creates options without any: no early stopping, burn-train's checkpointing strategy, no
    /// progress logger.
    pub fn new() -> Self {
        Self::default()
    }

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
