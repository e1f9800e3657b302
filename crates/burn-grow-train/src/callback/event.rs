//! What observers of a training are told.

use burn_train::metric::store::EventStoreClient;

/// Event of an attached training, handed to the
/// [`on_event`](crate::WidthExpansionBuilder::on_event) observers.
///
/// Apart from [`Epoch`](Self::Epoch), events arrive on burn-train's processing thread, a little
/// after the fact: they inform and never decide a step.
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
        /// The number of items processed so far.
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
    /// Training ended, at its last epoch or before.
    End,
}
