//! When a model expands: triggers, and the schedule that puts them in order.

mod at;
mod custom;
mod due;
mod fault;
mod history;
mod lengths;
mod pays;
mod plateau;
mod position;
mod schedule;
mod slope;
mod watched;

pub use self::at::At;
pub use self::custom::CustomTrigger;
pub(crate) use self::due::{Due, Units};
pub use self::fault::TriggerFault;
pub(crate) use self::history::EpochRecord;
pub use self::history::History;
pub(crate) use self::lengths::Lengths;
pub use self::pays::Pays;
pub use self::plateau::Plateau;
pub use self::position::Position;
pub use self::schedule::Refractory;
pub(crate) use self::schedule::Schedule;
#[cfg(test)]
pub(crate) use self::schedule::tests;
pub use self::slope::Slope;
pub use self::watched::{Direction, MetricSplit, WatchedMetric};
