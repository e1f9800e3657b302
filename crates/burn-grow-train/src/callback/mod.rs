//! The callback: it plans, wraps the model, attaches to a training, and expands.

mod attach;
mod builder;
mod checkpoints;
mod decisions;
mod event;
mod expand_checkpoint;
mod growing;
mod growth_loop;
mod hooks;
mod metrics;
mod options;
mod progress;
mod reads;
mod rehearse;
mod resume;
mod run;
mod threads;
mod trained;

pub use self::attach::WidthExpansionCallback;
pub use self::builder::WidthExpansionBuilder;
pub use self::event::Event;
pub use self::growing::Growing;
pub use self::growth_loop::GrowthLoop;
pub use self::hooks::MetricCheckpointing;
pub use self::options::{Rehearsed, Rehearses, TrainOptions, Unrehearsed};
pub use self::resume::Resumed;
pub use self::trained::Trained;
