//! Expansion of a checkpoint on disk.

use std::fs;
use std::path::Path;

use burn_grow_core::{Growable, Plan};
use burn_pack::{Error, Writer};

use super::attach::WidthExpansionCallback;
use crate::checkpoint::{
    Files, Layout, Pages, Saved, State, at, check_scheduler, check_steps, checkpoints, copy,
    encode, expand_tensors, read_state, restructured,
};
use crate::{Position, TrainError};

impl WidthExpansionCallback {
    /// Expands the checkpoint of `epoch` under `from` into one under `to`. A run that is resumed
    /// from it under this callback goes on as one that expanded after the last step of that epoch.
    ///
    /// This callback is the one to resume with, and its next expansion comes at the step that the
    /// checkpoint was saved after. `model` is the narrow model that the run began with. It gives
    /// the structure, and its values are not looked at, so it may be lazy. Returns the position
    /// after the expansion.
    ///
    /// One tensor at a time is read, expanded and written. Each file appears whole or not at all,
    /// the model last: a directory without it holds no checkpoint. `from` is never written to, and
    /// a model that is already under `to` is not replaced. Hooks are not called, and `growth.jsonl`
    /// gets no line.
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
    /// # let narrow = directory.join("narrow");
    /// # let wide = directory.join("wide");
    /// # let plain = WidthExpansionCallback::builder(16).build(&model)?;
    /// # let optim = AdamWConfig::new().init_asymmetric();
    /// # let learner = Learner::new(plain.wrap(model.clone()), optim, 1e-2);
    /// # plain.attach(training(&narrow).num_epochs(2)).launch(learner);
    /// // The run under `narrow` took 8 steps in its first epoch, and did not expand.
    /// let callback = WidthExpansionCallback::builder(16)
    ///     .expand(At::step(8), Expansion::by("inner", 2.0))
    ///     .build(&model)?;
    /// let position = callback.expand_checkpoint(&narrow, 1, &wide, &model)?;
    /// assert_eq!((position.step, position.stage), (8, 1));
    /// // A training in `wide` resumes from there.
    /// let found = callback.last_good_epoch(&wide, &model)?;
    /// assert_eq!(found.map(|found| (found.epoch, found.position)), Some((1, position)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When no expansion is due at that step, the run took its earlier ones at other steps than
    /// this callback plans, a file is missing, torn or from another model, the optimizer state
    /// cannot follow, or the model is already there.
    pub fn expand_checkpoint<M: Growable>(
        &self,
        from: impl AsRef<Path>,
        epoch: usize,
        to: impl AsRef<Path>,
        model: &M,
    ) -> Result<Position, TrainError> {
        let to = to.as_ref();
        let (source, target) = (Files::of(from.as_ref(), epoch), Files::of(to, epoch));
        if target.model.exists() {
            return Err(at(&target.model)(Error::AlreadyExists(
                target.model.display().to_string(),
            )));
        }
        let decisions = &self.run.decisions;
        let state = read_state(&source.model, &decisions.marks).map_err(at(&source.model))?;
        let position = state.position;
        let (plans, expanded) = self.due_plans(state);
        if plans.is_empty() {
            return Err(TrainError::NotDue {
                path: source.model,
                step: position.step,
                stage: position.stage,
            });
        }
        let resumable = check_steps(&decisions.schedule, expanded.position, &expanded.taken);
        resumable.map_err(at(&source.model))?;
        let model = restructured(model, &decisions.plans[..position.stage]);
        let layout = Layout::of(&model, decisions.last_plan(position.stage));
        let saved = Saved::open(&source.model, &layout).map_err(at(&source.model))?;
        let mut optim = saved
            .open_optimizer(&source.optim)
            .map_err(at(&source.optim))?;
        check_scheduler(&source.scheduler).map_err(at(&source.scheduler))?;

        let mut ids = saved.ids();
        for (plan, stage) in plans.iter().zip(position.stage..) {
            if plan.is_identity() {
                continue;
            }
            let rewarmup = decisions.ramp(Position { stage, ..position });
            optim.expand(&ids, plan, &decisions.growths[stage].state, rewarmup)?;
            ids = plan.ids_after(&ids);
        }
        let mut tensors = expand_tensors(&model, saved.tensors, plans);
        Pages::of(&encode(&expanded, &decisions.marks)).replace_in_file(&mut tensors);

        let directory = checkpoints(to);
        fs::create_dir_all(&directory).map_err(at(&directory))?;
        copy(&source.scheduler, &target.scheduler).map_err(at(&target.scheduler))?;
        let writer = optim.into_writer();
        writer
            .write_to_file(&target.optim)
            .map_err(at(&target.optim))?;
        let writer = Writer::new(tensors).overwrite(false);
        writer
            .write_to_file(&target.model)
            .map_err(at(&target.model))?;
        Ok(expanded.position)
    }

    /// Returns the plans due at `state`, and the state after them.
    fn due_plans(&self, mut state: State) -> (Vec<Plan>, State) {
        let mut plans = Vec::new();
        while let Some(plan) = self.run.decisions.due(&state) {
            plans.push(plan.clone());
            state.expanded(!plan.is_identity());
        }
        (plans, state)
    }
}
