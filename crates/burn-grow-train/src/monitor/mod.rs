//! What is watched and reported during a training.

mod copies;
mod epoch_end;
mod growth_log;
mod nan;
mod report;

pub(crate) use self::copies::Copies;
pub(crate) use self::epoch_end::{EpochEnd, read_epoch};
pub(crate) use self::growth_log::GrowthLog;
pub(crate) use self::nan::check_nan;
pub use self::report::{AxisReport, ExpansionReport};
