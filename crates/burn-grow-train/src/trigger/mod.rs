//! When a model expands: triggers, and the schedule that puts them in order.

mod at;
mod custom;
mod fault;
mod history;
mod lengths;
mod plateau;
mod schedule;
mod slope;
mod watched;

pub use self::at::At;
pub(crate) use self::at::{Due, Units};
pub use self::custom::CustomTrigger;
pub use self::fault::TriggerFault;
pub(crate) use self::history::EpochRecord;
pub use self::history::History;
pub(crate) use self::lengths::Lengths;
pub use self::plateau::Plateau;
pub(crate) use self::schedule::Schedule;
#[cfg(test)]
pub(crate) use self::schedule::tests;
pub use self::schedule::{Position, Refractory};
pub use self::slope::Slope;
pub use self::watched::{Direction, MetricSplit, WatchedMetric};
