//! An upcycled folder, written.

use std::path::Path;

use super::plan::Upcycled;
use crate::error::Error;
use crate::expand::{Progress, Writing, Written};

/// An upcycled folder that is to be written.
pub struct UpcyclingJob<'a> {
    /// The planned upcycling.
    pub upcycled: &'a Upcycled<'a>,
    /// The folder, which must not exist.
    pub out: &'a Path,
    /// The largest file of weights, in bytes.
    pub shard_bytes: u64,
    /// Goes on with what an interrupted upcycling has left.
    pub resume: bool,
}

impl UpcyclingJob<'_> {
    /// Writes the folder, as [`Job::write`](crate::expand::Job::write) does an expanded one.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn write(&self, progress: &mut impl Progress) -> Result<Written, Error> {
        let writing = Writing {
            made: &self.upcycled.folder,
            out: self.out,
            shard_bytes: self.shard_bytes,
            resume: self.resume,
        };
        writing.write(progress)
    }
}
