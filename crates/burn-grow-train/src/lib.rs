//! Width expansion inside a stock burn-train [`Learner`](burn_train::Learner).
//!
//! [`WidthExpansionCallback`] decides when and how a model widens. It wraps the model in
//! [`Growing`], whose optimizer step expands the model and its optimizer state at the boundary,
//! and attaches itself to a [`SupervisedTraining`](burn_train::SupervisedTraining) to see what goes
//! on there. The loop stays Burn's own:
//!
//! ```text
//! attach ----------------------------------> progress logger, metrics, end-of-epoch hook
//! launch
//!   for each epoch
//!     for each batch
//!       Growing::step                    forward and backward of the model inside
//!       (gradients accumulate)
//!       scheduler step
//!       Growing::optimize
//!         the model's own optimize
//!         step count + 1
//!         while a stage is due: expand       plan -> model, optimizer record, growth.jsonl, on_expand
//!     stop if the model is NaN               before a checkpoint of it replaces a good one
//!     look at the copies                     if there is a metric for them
//!     validation
//!     checkpointing strategy                 reads the metrics that triggers watch
//!     checkpoint                             model, clock and history, optimizer and regions, scheduler
//!     end-of-epoch hook                      Event::Epoch, the same metrics, the user's early stopping
//! ```
//!
//! A checkpoint can be widened on disk
//! ([`expand_checkpoint`](WidthExpansionCallback::expand_checkpoint)), and after a crash
//! [`last_good_epoch`](WidthExpansionCallback::last_good_epoch) says where to resume.
//!
//! [`Trial`] is the other way to train: a few steps of several expansions from one checkpoint, ranked
//! by their loss.
//!
//! Steps are counted where the optimizer steps, so gradient accumulation and several devices count
//! as the optimizer does, and a resumed run expands at the same step.
//!
//! [`At`] says when: at a step, a fraction of the run, a number of tokens or epochs, or by what a metric
//! did until the end of an epoch ([`Plateau`], [`Slope`], [`When`]). The latter expand after the first
//! optimizer step of the next epoch, and need [`WidthExpansionCallback::checkpointing`].

mod at;
mod builder;
mod callback;
mod checkpoint;
mod clock;
mod copies;
mod epoch_end;
mod error;
mod event;
mod finite;
mod growth;
mod growth_log;
mod growth_loop;
mod history;
mod metric;
mod offline;
mod options;
mod plateau;
mod progressive;
mod refractory;
mod report;
mod resume;
mod run;
mod saved;
mod saved_order;
mod schedule;
mod series;
mod slope;
mod stage;
mod state;
mod trained;
mod trial;
mod when;

pub use at::At;
pub use builder::WidthExpansionBuilder;
pub use callback::WidthExpansionCallback;
pub use checkpoint::{CheckpointError, Difference, ParamFault, discard_after, saved_epochs};
pub use clock::Position;
pub use error::TrainError;
pub use event::{Event, MetricCheckpointing};
pub use growth::Growth;
pub use growth_loop::GrowthLoop;
pub use history::History;
pub use options::TrainOptions;
pub use plateau::Plateau;
pub use progressive::Growing;
pub use refractory::Refractory;
pub use report::{AxisReport, ExpansionReport};
pub use resume::Resumed;
pub use series::{Better, MetricSplit, WatchedMetric};
pub use slope::Slope;
pub use stage::Stage;
pub use trained::Trained;
pub use trial::{CandidateReport, Trial, TrialReport};
pub use when::When;
