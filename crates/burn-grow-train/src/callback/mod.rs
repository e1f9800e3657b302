//! The callback: it plans, wraps the model, attaches to a training, and expands.

mod attach;
mod builder;
mod checkpoints;
mod decisions;
mod event;
mod expand_checkpoint;
mod growing;
mod hooks;
mod launch;
mod metrics;
mod run;

pub use self::attach::WidthExpansionCallback;
pub use self::builder::WidthExpansionBuilder;
pub use self::event::Event;
pub use self::growing::Growing;
pub use self::hooks::MetricCheckpointing;
pub use self::launch::try_launch;
