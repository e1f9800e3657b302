mod canonical;
mod error;
mod marks;
mod pages;
mod record;

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use burn_core::store::ModuleRecord;
use burn_grow_core::{Growable, Plan};
use burn_optim::lr_scheduler::LrSchedulerRecord;
use burn_pack::Reader;

pub use self::error::{CheckpointError, Difference, ParamFault};
pub(crate) use self::marks::Marks;
pub(crate) use self::pages::{Pages, Recorded, is_page};
pub(crate) use self::record::{decode, encode};
use crate::saved::{self, Layout, Saved, check_values};
use crate::{Growing, Position, TrainError, WidthExpansionCallback};

/// What burn-train saves at the end of an epoch, by the names of the files.
const KINDS: [&str; 3] = ["model", "optim", "scheduler"];

/// The files of an epoch.
pub(crate) struct Files {
    pub(crate) model: PathBuf,
    pub(crate) optim: PathBuf,
    pub(crate) scheduler: PathBuf,
}

impl Files {
    /// Those of `epoch` under the directory of a training.
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

    /// Tells if there is all that a training loop without a scheduler saves.
    pub(crate) fn hold_a_loop(&self) -> bool {
        self.model.exists() && self.optim.exists()
    }

    pub(crate) fn are_there(&self) -> bool {
        [&self.model, &self.optim, &self.scheduler]
            .iter()
            .all(|path| path.exists())
    }
}

/// Where a training keeps its checkpoints.
pub(crate) fn checkpoints(directory: &Path) -> PathBuf {
    directory.join("checkpoint")
}

impl WidthExpansionCallback {
    /// Checks that the checkpoint of `epoch` under `directory` can be resumed from, and says how far
    /// that run was.
    ///
    /// `directory` is the one given to [`SupervisedTraining::new`](burn_train::SupervisedTraining::new),
    /// whose own loading panics on a damaged file. `model` is the narrow model a new run begins with.
    /// Nothing is changed. The files have no checksum: of damaged values only NaN is found.
    ///
    /// # Errors
    ///
    /// When a file is missing, torn or from another model, a value is NaN or of another type than in
    /// `model`, or the run took other expansions.
    pub fn check_checkpoint<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: &M,
    ) -> Result<Position, TrainError> {
        let files = Files::of(directory.as_ref(), epoch);
        let (clock, model) = self
            .check_model(&files.model, model)
            .map_err(at(&files.model))?;
        let optim = model
            .open_optimizer(&files.optim)
            .map_err(at(&files.optim))?;
        check_values(optim.tensors()).map_err(at(&files.optim))?;
        check_scheduler(&files.scheduler).map_err(at(&files.scheduler))?;
        Ok(clock)
    }

    /// The model that the checkpoint of `epoch` under `directory` holds, as wide as it was, without its optimizer: to
    /// be looked at.
    ///
    /// `directory` and `model` are those of [`check_checkpoint`](Self::check_checkpoint).
    ///
    /// # Errors
    ///
    /// What `check_checkpoint` finds wrong with the file of the model.
    pub fn load_model<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: M,
    ) -> Result<Growing<M>, TrainError> {
        let path = Files::of(directory.as_ref(), epoch).model;
        let load = || -> Result<_, CheckpointError> {
            self.check_model(&path, &model)?;
            let record = ModuleRecord::load(&path)?;
            self.wrap(model.clone()).load(record)
        };
        load().map_err(at(&path))
    }

    /// The newest checkpoint under `directory` that [`check_checkpoint`](Self::check_checkpoint) finds no
    /// fault with: the epoch to resume from after a crash, and how far the run was.
    ///
    /// burn-train saves the three files of an epoch one beside the other, each of them whole or not at all.
    /// A process that is killed meanwhile leaves an epoch that lacks some, which is passed over. Files that are already
    /// there would hide that, and later epochs of a run that was given up would be the newest: after going back to an
    /// epoch, call [`discard_after`].
    ///
    /// # Errors
    ///
    /// When there are checkpoints with all of their files but none to resume from: the fault of the
    /// newest, since a run that began anew would overwrite them.
    pub fn last_good_epoch<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        model: &M,
    ) -> Result<Option<(usize, Position)>, TrainError> {
        let directory = directory.as_ref();
        let mut fault = None;
        for epoch in saved_epochs(directory)? {
            if !Files::of(directory, epoch).are_there() {
                log::warn!("the checkpoint of epoch {epoch} lacks a file");
                continue;
            }
            match self.check_checkpoint(directory, epoch, model) {
                Ok(clock) => return Ok(Some((epoch, clock))),
                Err(error) => {
                    log::warn!("the checkpoint of epoch {epoch} cannot be resumed from: {error}");
                    fault.get_or_insert(error);
                }
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// The last expansion before `clock`.
    pub(crate) fn last_plan(&self, clock: Position) -> Option<&Plan> {
        self.run.plans.get(clock.stage.checked_sub(1)?)
    }

    /// The file of a model, and how far its run was.
    pub(crate) fn check_model<M: Growable>(
        &self,
        path: &Path,
        model: &M,
    ) -> Result<(Position, Saved), CheckpointError> {
        let clock = self.check_state(path, model)?;
        let layout = Layout::of(model, self.last_plan(clock));
        let saved = Saved::open(path, &layout)?;
        layout.check_types(&saved.tensors)?;
        check_values(&saved.tensors)?;
        Ok((clock, saved))
    }

    /// Whether what the file remembers is of a run under this callback.
    fn check_state<M: Growable>(
        &self,
        path: &Path,
        model: &M,
    ) -> Result<Position, CheckpointError> {
        let state = saved::state(path, &self.run.marks)?;
        let clock = state.clock;
        self.wrap(model.clone()).replay(state)?;
        Ok(clock)
    }
}

/// Whether the file is that of a learning-rate scheduler: scalars, and nothing else.
pub(crate) fn check_scheduler(path: &Path) -> Result<(), CheckpointError> {
    LrSchedulerRecord::load(path)?;
    match Reader::from_file_exact(path)?.tensor_names().first() {
        Some(name) => Err(CheckpointError::Scheduler {
            tensor: (*name).to_owned(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn at<E: Into<CheckpointError>>(path: &Path) -> impl FnOnce(E) -> TrainError {
    let path: PathBuf = path.to_owned();
    |source| TrainError::Checkpoint {
        path,
        source: source.into(),
    }
}

/// Removes the checkpoints under the `directory` of a training that are later than `epoch`, before it is resumed from
/// there: what it saves from then on is not to be taken for what an earlier run saved.
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

/// The epochs of which there is a model under the `directory` of a training, newest first.
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
