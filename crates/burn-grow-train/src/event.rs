use std::sync::Arc;

use burn_train::EarlyStoppingStrategy;
use burn_train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::store::EventStoreClient;

use crate::run::Run;

/// What the callback sees of a run, handed to the `on_event` observers.
///
/// Apart from [`Epoch`](Self::Epoch), events arrive on burn-train's processing thread, a little after
/// the fact: they inform and never decide a step.
#[non_exhaustive]
pub enum Event<'a> {
    /// Training starts.
    Start {
        /// The number of epochs.
        total_epochs: usize,
        /// The first epoch, above one when resuming.
        starting_epoch: usize,
    },
    /// A split of an epoch starts.
    SplitStart {
        /// `"train"` or `"valid"`.
        split: &'a str,
        /// The items to come.
        total_items: usize,
    },
    /// Items of the present split have been processed.
    Items {
        /// So many of them.
        processed: usize,
    },
    /// The present split ended.
    SplitEnd,
    /// An epoch ended with all of its events processed, on the training thread.
    Epoch {
        /// The epoch.
        epoch: usize,
        /// Its metrics.
        metrics: &'a EventStoreClient,
    },
    /// Training ended, completely or not.
    End,
}

/// Turns burn-train's progress log into events, then hands it on to the user's own logger.
pub(crate) struct Progress {
    pub(crate) run: Arc<Run>,
    pub(crate) next: Option<Box<dyn TrainingProgressLogger>>,
}

impl TrainingProgressLogger for Progress {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        total_items: Option<usize>,
        label: Option<&str>,
    ) {
        self.run.emit(&Event::Start {
            total_epochs,
            starting_epoch,
        });
        if let Some(next) = &mut self.next {
            next.start(total_epochs, starting_epoch, total_items, label);
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        if let Some(next) = &mut self.next {
            next.update_epoch(epoch);
        }
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        self.run.emit(&Event::SplitStart { split, total_items });
        if let Some(next) = &mut self.next {
            next.start_split(split, total_items);
        }
    }

    fn update_split(&mut self, items_processed: usize) {
        self.run.emit(&Event::Items {
            processed: items_processed,
        });
        if let Some(next) = &mut self.next {
            next.update_split(items_processed);
        }
    }

    fn end_split(&mut self) {
        self.run.emit(&Event::SplitEnd);
        if let Some(next) = &mut self.next {
            next.end_split();
        }
    }

    fn end(&mut self) {
        let clock = self.run.reached().clock;
        if let (None, Some(shortfall)) = (self.run.failure(), self.run.schedule.shortfall(clock)) {
            log::warn!("{shortfall}");
        }
        self.run.emit(&Event::End);
        if let Some(next) = &mut self.next {
            next.end();
        }
    }

    fn log_event_training(&mut self, event: String) {
        if let Some(next) = &mut self.next {
            next.log_event_training(event);
        }
    }
}

/// burn-train's end-of-epoch hook, composed with the user's own early stopping.
#[derive(Clone)]
pub(crate) struct EpochHook<S> {
    pub(crate) run: Arc<Run>,
    pub(crate) early_stopping: S,
}

impl<S: EarlyStoppingStrategy> EarlyStoppingStrategy for EpochHook<S> {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        self.run.emit(&Event::Epoch {
            epoch,
            metrics: store,
        });
        if let Err(error) = self.run.end_epoch(epoch, store) {
            self.run.fail(error);
            return true;
        }
        self.early_stopping.should_stop(epoch, store)
    }
}

/// A checkpointing strategy that lets the checkpoint hold the metrics of the epoch it ends, made by
/// [`WidthExpansionCallback::checkpointing`](crate::WidthExpansionCallback::checkpointing).
///
/// burn-train saves before it calls the end-of-epoch hook.
pub struct MetricCheckpointing<S> {
    pub(crate) run: Arc<Run>,
    pub(crate) strategy: S,
}

impl<S: CheckpointingStrategy> CheckpointingStrategy for MetricCheckpointing<S> {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        if let Err(error) = self.run.before_checkpoint(epoch, store) {
            self.run.fail(error);
            return Vec::new();
        }
        self.strategy.checkpointing(epoch, store)
    }
}

/// No early stopping.
#[derive(Clone)]
pub(crate) struct Never;

impl EarlyStoppingStrategy for Never {
    fn should_stop(&mut self, _epoch: usize, _store: &EventStoreClient) -> bool {
        false
    }
}
