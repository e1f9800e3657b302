//! Width expansion inside a stock burn-train [`Learner`](burn_train::Learner).
//!
//! [`WidthExpansionCallback`] decides when and how a model widens. It wraps the model in
//! [`Progressive`], whose optimizer step expands the model and its optimizer state at the boundary,
//! and attaches itself to a [`SupervisedTraining`](burn_train::SupervisedTraining) to see what goes
//! on there. The loop stays Burn's own:
//!
//! ```text
//! attach ----------------------------------> progress logger, metrics, end-of-epoch hook
//! launch
//!   for each epoch
//!     for each batch
//!       Progressive::step                    forward and backward of the model inside
//!       (gradients accumulate)
//!       scheduler step
//!       Progressive::optimize
//!         the model's own optimize
//!         step count + 1
//!         while a stage is due: expand       plan -> model, plan -> optimizer record, on_expand
//!     stop if the model is NaN               before a checkpoint of it replaces a good one
//!     validation
//!     checkpoint                             model and clock, optimizer and regions, scheduler
//!     end-of-epoch hook                      Event::Epoch, the user's early stopping
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

mod at;
mod callback;
mod checkpoint;
mod clock;
mod error;
mod event;
mod finite;
mod metric;
mod offline;
mod progressive;
mod report;
mod run;
mod saved;
mod saved_order;
mod trial;

pub use at::At;
pub use callback::{WidthExpansionBuilder, WidthExpansionCallback};
pub use clock::Clock;
pub use error::TrainError;
pub use event::Event;
pub use metric::{ActiveParamsMetric, WidthMetric};
pub use progressive::Progressive;
pub use report::{AxisReport, ExpansionReport};
pub use trial::{Candidate, CandidateReport, Trial, TrialReport};
