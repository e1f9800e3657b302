//! Checking and loading checkpoints of a run under a callback.

use std::path::Path;

use burn_core::store::ModuleRecord;
use burn_grow_core::Growable;

use super::attach::WidthExpansionCallback;
use super::growing::Growing;
use super::resume::{Resumed, newest_good};
use crate::checkpoint::{
    CheckpointError, Files, Layout, Saved, at, check_scheduler, check_values, read_state,
    restructured,
};
use crate::{Position, TrainError};

impl WidthExpansionCallback {
    /// Checks that the checkpoint of `epoch` under `directory` can be resumed from, and returns the
    /// position of its run.
    ///
    /// `directory` is the one given to
    /// [`SupervisedTraining::new`](burn_train::SupervisedTraining::new), whose own loading panics
    /// on a damaged file. `model` is the narrow model that a new run begins with. Nothing is
    /// changed. The files have no checksum: of damaged values only NaN is found.
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_optim::AsymmetricConfig;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # use burn_optim::AdamWConfig;
    /// # use burn_train::Learner;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path();
    /// # let model = Sine::new();
    /// # let callback = WidthExpansionCallback::builder(16)
    /// #     .expand(At::fraction(0.25), Expansion::by("inner", 2.0))
    /// #     .build(&model)?;
    /// # let optim = AdamWConfig::new().init_asymmetric();
    /// # let learner = Learner::new(callback.wrap(model.clone()), optim, 1e-2);
    /// # callback.attach(training(directory).num_epochs(2)).launch(learner);
    /// // After a run of 16 steps in 2 epochs that expanded after step 4:
    /// let position = callback.check_checkpoint(directory, 1, &model)?;
    /// assert_eq!((position.step, position.stage), (8, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a file is missing, torn or from another model, a value is NaN or of another type than
    /// in `model`, or the run took other expansions.
    pub fn check_checkpoint<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: &M,
    ) -> Result<Position, TrainError> {
        let files = Files::of(directory.as_ref(), epoch);
        let (position, model) = self
            .check_model(&files.model, model)
            .map_err(at(&files.model))?;
        let optim = model
            .open_optimizer(&files.optim)
            .map_err(at(&files.optim))?;
        check_values(optim.tensors()).map_err(at(&files.optim))?;
        check_scheduler(&files.scheduler).map_err(at(&files.scheduler))?;
        Ok(position)
    }

    /// Loads the model of the checkpoint of `epoch` under `directory`, as wide as it was, without
    /// its optimizer: to look at it, or to sample from it.
    ///
    /// `directory` and `model` are those of [`check_checkpoint`](Self::check_checkpoint).
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_optim::AsymmetricConfig;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # use burn_optim::AdamWConfig;
    /// # use burn_train::Learner;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path();
    /// # let model = Sine::new();
    /// # let callback = WidthExpansionCallback::builder(16)
    /// #     .expand(At::fraction(0.25), Expansion::by("inner", 2.0))
    /// #     .build(&model)?;
    /// # let optim = AdamWConfig::new().init_asymmetric();
    /// # let learner = Learner::new(callback.wrap(model.clone()), optim, 1e-2);
    /// # callback.attach(training(directory).num_epochs(2)).launch(learner);
    /// let first = callback.load_model(directory, 1, model)?;
    /// assert_eq!(first.inner().up.weight.dims(), [1, 32]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `check_checkpoint` that are about the file of the model.
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

    /// Finds the checkpoint under `directory` that [`resume`](Self::resume) would, and removes
    /// nothing.
    ///
    /// burn-train saves the three files of an epoch one beside the other, each of them whole or not
    /// at all. A process that is killed meanwhile leaves an epoch that lacks some, which is passed
    /// over. Files of an earlier attempt would hide that, and its later epochs would be the newest:
    /// after going back to an epoch, call [`discard_after`](crate::discard_after).
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_optim::AsymmetricConfig;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # use burn_optim::AdamWConfig;
    /// # use burn_train::Learner;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path();
    /// # let model = Sine::new();
    /// # let callback = WidthExpansionCallback::builder(16)
    /// #     .expand(At::fraction(0.25), Expansion::by("inner", 2.0))
    /// #     .build(&model)?;
    /// # let optim = AdamWConfig::new().init_asymmetric();
    /// # let learner = Learner::new(callback.wrap(model.clone()), optim, 1e-2);
    /// # callback.attach(training(directory).num_epochs(2)).launch(learner);
    /// let found = callback.last_good_epoch(directory, &model)?.expect("a checkpoint");
    /// assert_eq!((found.epoch, found.position.step), (2, 16));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the newest whole checkpoint is sound but of another run, or every one is damaged: a run
    /// that began anew would overwrite them.
    pub fn last_good_epoch<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        model: &M,
    ) -> Result<Option<Resumed>, TrainError> {
        let directory = directory.as_ref();
        newest_good(directory, Files::are_there, |epoch| {
            self.check_checkpoint(directory, epoch, model)
        })
    }

    /// Opens the file of a model, with the position of its run.
    pub(super) fn check_model<M: Growable>(
        &self,
        path: &Path,
        model: &M,
    ) -> Result<(Position, Saved), CheckpointError> {
        let position = self.check_state(path, model)?;
        let decisions = &self.run.decisions;
        let model = restructured(model, &decisions.plans[..position.stage]);
        let layout = Layout::of(&model, decisions.last_plan(position.stage));
        let saved = Saved::open(path, &layout)?;
        layout.check_types(&saved.tensors)?;
        check_values(&saved.tensors)?;
        Ok((position, saved))
    }

    /// Checks that a file was saved by a run under this callback.
    fn check_state<M: Growable>(
        &self,
        path: &Path,
        model: &M,
    ) -> Result<Position, CheckpointError> {
        let state = read_state(path, &self.run.decisions.marks)?;
        let position = state.position;
        self.wrap(model.clone()).replay(state)?;
        Ok(position)
    }
}
