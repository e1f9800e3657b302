use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use burn_core::module::{ModuleVisitor, Param};
use burn_core::tensor::{self, TensorData};
use burn_grow_core::{Growable, Plan};
use burn_pack::{AtomicFile, Error, Tensor, Writer};

use crate::checkpoint::{Files, Pages, at, check_scheduler, checkpoints, encode};
use crate::saved::{self, Layout, Saved};
use crate::saved_order::saved_shape;
use crate::state::State;
use crate::{Position, TrainError, WidthExpansionCallback};

impl WidthExpansionCallback {
    /// Expands the checkpoint of `epoch` under `from` into one under `to`, as if the run had expanded
    /// there: resumed from it under this callback, it goes on as one whose callback expanded after the
    /// last step of that epoch.
    ///
    /// The callback is the one to resume with; its next expansion comes at the step that the checkpoint
    /// was saved after. `model` is the narrow model that the run began with, which gives the structure;
    /// its values are not looked at, so it may be lazy. Returns where the run then is.
    ///
    /// One tensor at a time is read, expanded and written. Each file appears whole or not at all, the
    /// model last: a directory without it holds no checkpoint. `from` is never written to, and a model
    /// that is already under `to` is not replaced. Hooks are not called, and `growth.jsonl` gets no line.
    ///
    /// # Errors
    ///
    /// When no expansion is due at that step, the run took its earlier ones at other steps than this callback plans, a file is missing, torn or from another model, the
    /// optimizer state cannot follow, or the model is already there.
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
        let marks = &self.run.marks;
        let state = saved::state(&source.model, marks).map_err(at(&source.model))?;
        let clock = state.clock;
        let (plans, expanded) = self.due_plans(state);
        if plans.is_empty() {
            return Err(TrainError::NotDue {
                path: source.model,
                step: clock.step,
                stage: clock.stage,
            });
        }
        let resumable = self
            .run
            .schedule
            .check_taken(expanded.clock, &expanded.taken);
        resumable.map_err(at(&source.model))?;
        let layout = Layout::of(model, self.last_plan(clock));
        let saved = Saved::open(&source.model, &layout).map_err(at(&source.model))?;
        let mut optim = saved
            .open_optimizer(&source.optim)
            .map_err(at(&source.optim))?;
        check_scheduler(&source.scheduler).map_err(at(&source.scheduler))?;

        let ids = saved.ids();
        for (plan, stage) in plans.iter().zip(clock.stage..) {
            if plan.is_identity() {
                continue;
            }
            let rewarmup = self.run.ramp(Position { stage, ..clock });
            optim.expand(&ids, plan, &self.run.growths[stage].state, rewarmup)?;
        }
        let mut expand = Expand {
            plans: plans.into(),
            path: Vec::new(),
            tensors: saved.tensors,
        };
        model.visit(&mut expand);
        let mut tensors = expand.tensors;
        Pages::of(&encode(&expanded, marks)).replace_in_file(&mut tensors);

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
        Ok(expanded.clock)
    }

    /// The plans due at `state`, and the state after them.
    fn due_plans(&self, mut state: State) -> (Vec<Plan>, State) {
        let mut plans = Vec::new();
        while let Some(plan) = self.run.due(&state) {
            plans.push(plan.clone());
            state.expanded(!plan.is_identity());
        }
        (plans, state)
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::IoError(error.to_string());
    let (scratch, mut file) = AtomicFile::create(to)?;
    std::io::copy(&mut File::open(from).map_err(io)?, &mut file).map_err(io)?;
    drop(file);
    scratch.commit()
}

/// Replaces every saved parameter that grows by a description of the grown one.
struct Expand {
    plans: Arc<[Plan]>,
    path: Vec<String>,
    tensors: Vec<Tensor>,
}

impl ModuleVisitor for Expand {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<tensor::Tensor<D>>) {
        let path = self.path.join(".");
        let planned = |plan: &Plan| {
            let mut params = plan.params().iter();
            params.find(|param| param.path == path).cloned()
        };
        let (Some(first), Some(last)) = (
            self.plans.first().and_then(planned),
            self.plans.last().and_then(planned),
        ) else {
            return;
        };
        if first.old_shape == last.new_shape {
            return;
        }
        let Some(index) = self.tensors.iter().position(|tensor| tensor.name == path) else {
            return;
        };
        let saved = self.tensors[index].clone();
        let length = last.new_shape.iter().product::<usize>() * saved.dtype.size();
        let (name, dtype, id) = (saved.name.clone(), saved.dtype, saved.param_id);
        let shape = saved_shape(param, &last.new_shape);
        let (param, plans) = (param.clone(), self.plans.clone());
        let expanded = move || expand(&path, &param, &saved, &plans);
        self.tensors[index] = Tensor::deferred(name, dtype, shape, id, length, expanded);
    }
}

/// Loads one parameter, expands it and saves it, as Burn and the plans do to all of them.
fn expand<const D: usize>(
    path: &str,
    param: &Param<tensor::Tensor<D>>,
    saved: &Tensor,
    plans: &[Plan],
) -> Result<burn_core::tensor::Bytes, Error> {
    let invalid = |error: &dyn core::fmt::Display| Error::ValidationError(error.to_string());
    saved::check_values(core::slice::from_ref(saved)).map_err(|error| invalid(&error))?;
    let data = TensorData::try_from_bytes(saved.to_bytes()?, saved.shape.clone(), saved.dtype)
        .map_err(|error| invalid(&error))?;
    let (device, dtype, id) = (param.lazy_device(), saved.dtype, param.id);
    let value = tensor::Tensor::from_data(data, (&device, dtype));
    let mut param = param.clone().transform_for_load(value, id);
    for plan in plans {
        param = plan
            .apply_to_param(path, param)
            .map_err(|error| invalid(&error))?;
    }
    Ok(param.transform_for_save().val().into_data().into_parts().0)
}
