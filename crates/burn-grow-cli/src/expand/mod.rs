//! An expanded folder, written one tensor at a time.
//!
//! Everything is written into a folder beside the new one, which is renamed in the end: an
//! expansion that fails or is interrupted leaves no folder that looks whole.

mod copied;
mod journal;
mod record;
mod shards;
mod stretch;
mod write;

pub use record::Record;
pub use write::{Job, Progress, Written};

pub(crate) use record::text as record_text;
pub(crate) use stretch::{STRETCH, Stretches};
