//! What of an unfinished folder is whole: one line for each tensor whose bytes have reached the
//! disk.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::folder::Folder;
use crate::state::State;

/// The name of the journal in an unfinished folder.
pub(super) const FILE: &str = "burn-grow.journal";

/// What an unfinished folder is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Heading {
    /// What the folder says about how it is made.
    pub(super) record: String,
    /// The files that it reads.
    pub(super) sources: Vec<Source>,
    /// The state of an optimizer that it reads, if it does.
    #[serde(default)]
    pub(super) state: Option<Source>,
    /// The largest file that it writes, in bytes.
    pub(super) shard_bytes: u64,
}

/// A file that is read: its name, its length, and when it changed last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source(String, u64, u64);

impl Source {
    fn of(path: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let name = path.file_name().unwrap_or_default();
        Ok(Self(
            name.to_string_lossy().into_owned(),
            metadata.len(),
            modified.map_or(0, |since| since.as_secs()),
        ))
    }
}

impl Heading {
    pub(super) fn new(
        folder: &Folder,
        state: Option<&State>,
        record: String,
        shard_bytes: u64,
    ) -> Result<Self, Error> {
        let sources = folder.files.iter().map(|path| Source::of(path));
        Ok(Self {
            record,
            sources: sources.collect::<Result<_, Error>>()?,
            state: state.map(|state| Source::of(state.path())).transpose()?,
            shard_bytes,
        })
    }

    /// What differs from another one.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.record != other.record {
            return Some("the expansion");
        }
        if self.sources != other.sources {
            return Some("the folder that is expanded");
        }
        if self.state != other.state {
            return Some("the state of the optimizer");
        }
        (self.shard_bytes != other.shard_bytes).then_some("the size of a shard")
    }
}

/// The journal of an unfinished folder.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The tensors whose bytes are whole.
    pub(super) whole: BTreeSet<String>,
}

impl Journal {
    /// Begins the journal of a new folder.
    pub(super) fn begin(folder: &Path, heading: &Heading) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = serde_json::to_string(heading).map_err(Error::json(&path))?;
        let mut file = File::create(&path).map_err(Error::io(&path))?;
        writeln!(file, "{text}").map_err(Error::io(&path))?;
        let whole = BTreeSet::new();
        Ok(Self { path, file, whole })
    }

    /// Goes on with the journal of an unfinished folder, which has to be of the same expansion.
    pub(super) fn resume(folder: &Path, heading: &Heading) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        if !text.contains('\n') {
            // Interrupted in the heading, before anything else was written.
            return Self::begin(folder, heading);
        }
        let mut lines = text.split_inclusive('\n');
        let found: Heading =
            serde_json::from_str(lines.next().unwrap_or_default()).map_err(Error::json(&path))?;
        if let Some(what) = found.difference(heading) {
            let path = folder.to_owned();
            return Err(Error::OtherExpansion { path, what });
        }
        // The last line may have been cut off.
        let lines = lines.filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok());
        let whole: BTreeSet<String> = lines.collect();
        let mut file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        if !text.ends_with('\n') {
            writeln!(file).map_err(Error::io(&path))?;
        }
        Ok(Self { path, file, whole })
    }

    /// Notes that these tensors are whole. A note that is lost costs their time, no more.
    pub(super) fn add(&mut self, names: &[String]) -> Result<(), Error> {
        let mut text = String::new();
        for name in names {
            text += &serde_json::to_string(name).map_err(Error::json(&self.path))?;
            text.push('\n');
        }
        let written = self.file.write_all(text.as_bytes());
        written.map_err(Error::io(&self.path))
    }
}
