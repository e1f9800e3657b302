//! The files of the checkpoints under the directory of a training.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::CheckpointError;
use crate::TrainError;

/// The names of the files that burn-train saves at the end of an epoch.
const KINDS: [&str; 3] = ["model", "optim", "scheduler"];

/// The files of an epoch.
pub(crate) struct Files {
    pub(crate) model: PathBuf,
    pub(crate) optim: PathBuf,
    pub(crate) scheduler: PathBuf,
}

impl Files {
    /// Returns the files of `epoch` under the directory of a training.
    pub(crate) fn of(directory: &Path, epoch: usize) -> Self {
        let directory = checkpoints(directory);
        let [model, optim, scheduler] =
            KINDS.map(|kind| directory.join(format!("{kind}-{epoch}.bpk")));
        Self {
            model,
            optim,
            scheduler,
        }
    }

    /// Returns true if there is what a training loop without a scheduler saves.
    pub(crate) fn hold_a_loop(&self) -> bool {
        self.model.exists() && self.optim.exists()
    }

    /// Returns true if all of them are there.
    pub(crate) fn are_there(&self) -> bool {
        [&self.model, &self.optim, &self.scheduler]
            .iter()
            .all(|path| path.exists())
    }
}

/// Returns the folder that a training keeps its checkpoints in.
pub(crate) fn checkpoints(directory: &Path) -> PathBuf {
    directory.join("checkpoint")
}

/// Names the file in an error about it.
pub(crate) fn at<E: Into<CheckpointError>>(path: &Path) -> impl FnOnce(E) -> TrainError {
    let path: PathBuf = path.to_owned();
    |source| TrainError::Checkpoint {
        path,
        source: source.into(),
    }
}

/// Removes the checkpoints under the `directory` of a training that are later than `epoch`.
///
/// Call it before a run goes back to an earlier epoch, as later checkpoints would be taken for what
/// the resumed run saved.
///
/// ```
/// use burn_grow_train::{TrainError, discard_after, saved_epochs};
///
/// # fn main() -> Result<(), TrainError> {
/// let directory = std::env::temp_dir().join("burn-grow-no-such-run");
/// // Nothing to remove is no error.
/// discard_after(&directory, 3)?;
/// assert!(saved_epochs(&directory)?.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the checkpoints cannot be listed, or a file cannot be removed.
pub fn discard_after(directory: impl AsRef<Path>, epoch: usize) -> Result<(), TrainError> {
    for (later, path) in saved_files(directory.as_ref())? {
        if later > epoch {
            fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Returns the epochs that have a model file under the `directory` of a training, newest first.
///
/// # Errors
///
/// When the checkpoints are there and cannot be listed.
pub fn saved_epochs(directory: impl AsRef<Path>) -> Result<Vec<usize>, TrainError> {
    let directory = directory.as_ref();
    let files = saved_files(directory)?.into_iter();
    let models = files.filter(|(epoch, path)| *path == Files::of(directory, *epoch).model);
    let mut epochs: Vec<usize> = models.map(|(epoch, _)| epoch).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(epochs)
}

/// Every file of a checkpoint under the `directory` of a training, with its epoch.
fn saved_files(directory: &Path) -> Result<Vec<(usize, PathBuf)>, TrainError> {
    let directory = checkpoints(directory);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&directory)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(&directory))?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let stem = name
            .strip_suffix(".bpk")
            .and_then(|stem| stem.split_once('-'));
        let epoch = stem.filter(|(kind, _)| KINDS.contains(kind));
        let epoch = epoch.and_then(|(_, epoch)| epoch.parse::<usize>().ok());
        files.extend(epoch.map(|epoch| (epoch, path)));
    }
    Ok(files)
}
