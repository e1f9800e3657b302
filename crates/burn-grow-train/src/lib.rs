//! Width expansion inside a stock burn-train [`Learner`](burn_train::Learner).
//!
//! [`WidthExpansionCallback`] decides when and how a model widens. It wraps the model in
//! [`Growing`], whose optimizer step expands the model and its optimizer state at the boundary, and
//! attaches itself to a [`SupervisedTraining`](burn_train::SupervisedTraining) to follow it. The
//! loop stays Burn's own:
//!
//! ```text
//! attach ------------------------------> progress logger, metrics, end-of-epoch hook
//! launch
//!   for each epoch
//!     for each batch
//!       Growing::step                    forward and backward of the model inside;
//!                                        the first one rehearses the expansions
//!       (gradients accumulate)
//!       scheduler step
//!       Growing::optimize
//!         the model's own optimize
//!         step count + 1
//!         while a stage is due: expand   model, optimizer record, growth.jsonl, on_expand
//!     stop if the model is NaN           before a checkpoint of it replaces a good one
//!     measure the copies                 if there is a metric for them
//!     validation
//!     checkpointing strategy             reads the metrics that triggers watch
//!     checkpoint                         model, record of the run, optimizer, scheduler
//!     end-of-epoch hook                  Event::Epoch, the same metrics, your early stopping;
//!                                        the first one compares the run with its plan
//! ```
//!
//! [`At`] says when: at a step, a fraction of the run, a number of tokens or epochs, or by the
//! course of a metric up to the end of an epoch ([`Plateau`], [`Slope`], [`Pays`],
//! [`CustomTrigger`]). An expansion that a metric decides follows the first optimizer step of the next epoch, and needs
//! [`WidthExpansionCallback::checkpointing`].
//!
//! Steps are counted where the optimizer steps, so gradient accumulation and several devices count
//! as the optimizer does, and a resumed run expands at the same step.
//!
//! A checkpoint can be widened on disk
//! ([`expand_checkpoint`](WidthExpansionCallback::expand_checkpoint)), and after a crash
//! [`last_good_epoch`](WidthExpansionCallback::last_good_epoch) finds the epoch to resume from.
//!
//! [`Trial`] compares expansions: a few steps of each from one checkpoint, ranked by their loss.

mod atomic;
mod callback;
mod checkpoint;
mod deviation;
mod error;
mod growth;
mod monitor;
mod panic;
mod rehearsal;
mod stage;
mod sync;
mod trial;
mod trigger;

pub use callback::{
    Event, Growing, GrowthLoop, MetricCheckpointing, Rehearsed, Rehearses, Resumed, TrainOptions,
    Trained, Unrehearsed, WidthExpansionBuilder, WidthExpansionCallback,
};
pub use checkpoint::{CheckpointError, Difference, ParamFault, discard_after, saved_epochs};
pub use deviation::Deviation;
pub use error::TrainError;
pub use growth::Growth;
pub use monitor::{AxisReport, ExpansionReport};
pub use rehearsal::{Rehearsal, RehearsalFault, RehearsedStage};
pub use stage::Stage;
pub use trial::{CandidateReport, Trial, TrialReport};
pub use trigger::{
    At, CustomTrigger, Direction, History, MetricSplit, Pays, Plateau, Position, Refractory, Slope,
    TriggerFault, WatchedMetric,
};
