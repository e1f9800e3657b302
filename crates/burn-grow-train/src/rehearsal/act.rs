//! The rehearsal itself.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use burn_core::module::{Flag, ModuleMapper, Param};
use burn_core::tensor::Tensor;
use burn_grow_core::describe::Axis;
use burn_grow_core::verify::{
    Doubling, ParamTensors, Pullback, check_description, gradient_change, pullback,
};
use burn_grow_core::{Blueprint, Growable, Plan};
use burn_optim::GradientsParams;

use super::{Rehearsal, RehearsalFault, RehearsedStage};
use crate::panic::message;
use crate::{Stage, TrainError};

/// The difference of a gradient that rounding may make, in single precision.
const TOLERANCE: f64 = 1e-2;

/// The difference that it may make in a coarser type, in rounding units.
const UNITS: f64 = 32.0;

/// Tries `stages` one after the other on copies of `model`, which stands before the first of them.
/// `step` gives the gradients of a model on one batch, always the same.
///
/// # Errors
///
/// [`TrainError::Rehearsal`] names the expansion that does not pass.
pub(crate) fn rehearse<'a, M: Growable>(
    stages: impl Iterator<Item = Stage<'a>>,
    model: &M,
    limit: Option<usize>,
    step: impl Fn(&M) -> GradientsParams,
) -> Result<Rehearsal, TrainError> {
    let mut stages = stages.filter(|stage| !stage.plan.is_identity()).peekable();
    if stages.peek().is_none() {
        return Ok(Rehearsal::default());
    }
    let begun = Instant::now();
    let act = Act {
        limit,
        step: |model: &M| Gradients(step(model)),
    };
    let mut narrow = Scene::new(model.clone().map(&mut Quiet), &act);
    let again = (act.step)(&narrow.model);
    let changed = gradient_change(&narrow.model, &narrow.gradients, &again)?;
    let mut found = Rehearsal {
        compared: changed.worst() <= tolerance(&changed),
        step: begun.elapsed() / 2,
        ..Rehearsal::default()
    };
    drop(again);
    for stage in stages {
        let rehearsed = act.stage(&stage, narrow, found.compared);
        let (row, wide) = rehearsed.map_err(|fault| TrainError::Rehearsal {
            stage: stage.index,
            at: stage.at.clone(),
            fault: Box::new(fault),
        })?;
        found.stages.push(row);
        narrow = wide;
    }
    found.elapsed = begun.elapsed();
    Ok(found)
}

/// A model and its gradients on the batch.
struct Scene<M> {
    model: M,
    gradients: Gradients,
}

impl<M: Growable> Scene<M> {
    fn new<S: Fn(&M) -> Gradients>(model: M, act: &Act<S>) -> Self {
        let gradients = (act.step)(&model);
        Self { model, gradients }
    }
}

struct Act<S> {
    /// The most parameters that a copy may have.
    limit: Option<usize>,
    step: S,
}

impl<S> Act<S> {
    /// Rehearses one expansion, and returns the model after it.
    fn stage<M: Growable>(
        &self,
        stage: &Stage<'_>,
        narrow: Scene<M>,
        compared: bool,
    ) -> Result<(RehearsedStage, Scene<M>), RehearsalFault>
    where
        S: Fn(&M) -> Gradients,
    {
        let blueprint = Blueprint::of(&narrow.model)?;
        let doubling = Doubling::of(&blueprint, stage.plan);
        let mut row = RehearsedStage {
            stage: stage.index,
            doubled: doubling.axes.clone(),
            left_out: doubling.left_out.clone(),
            difference: None,
            changed: Vec::new(),
        };
        // An expansion that is the doubling itself is carried out once.
        let mut wide = None;
        if compared && let Some(plan) = doubling.plan(&blueprint)? {
            let (found, doubled) = self.compare(&blueprint, &plan, &narrow)?;
            self.judge(&found, &doubling, &blueprint, &narrow, &mut row)?;
            wide = (plan.axes() == stage.plan.axes()).then_some(doubled);
        }
        let wide = match wide {
            Some(wide) => wide,
            None => self.expand(&blueprint, stage.plan, &narrow.model)?,
        };
        Ok((row, wide))
    }

    /// The gradients of `narrow`, and those of the model after `plan`.
    fn compare<M: Growable>(
        &self,
        blueprint: &Blueprint,
        plan: &Plan,
        narrow: &Scene<M>,
    ) -> Result<(Pullback, Scene<M>), RehearsalFault>
    where
        S: Fn(&M) -> Gradients,
    {
        let wide = self.expand(blueprint, plan, &narrow.model)?;
        let before = (&narrow.model, &narrow.gradients);
        let found = pullback(plan, before, (&wide.model, &wide.gradients))?;
        Ok((found, wide))
    }

    /// Applies a plan, and takes a step with the wide model.
    fn expand<M: Growable>(
        &self,
        blueprint: &Blueprint,
        plan: &Plan,
        model: &M,
    ) -> Result<Scene<M>, RehearsalFault>
    where
        S: Fn(&M) -> Gradients,
    {
        let (_, params) = plan.num_params();
        let widths = || {
            let axes = plan.axes().iter();
            let axes = axes.map(|(axis, planned)| {
                format!(
                    "`{axis}` {} -> {}",
                    planned.old_width(),
                    planned.new_width()
                )
            });
            axes.collect::<Vec<_>>().join(", ")
        };
        if let Some(limit) = self.limit.filter(|limit| params > *limit) {
            return Err(RehearsalFault::TooLarge {
                widths: widths(),
                params,
                limit,
            });
        }
        // Both copies are dropped if it panics.
        let expanded = catch_unwind(AssertUnwindSafe(|| {
            let wide = plan.apply(model.clone())?;
            check_description(&wide, &blueprint.expanded(plan))?;
            Ok(Scene::new(wide, self))
        }));
        expanded.unwrap_or_else(|payload| {
            Err(RehearsalFault::Panicked {
                widths: widths(),
                params,
                message: message(&*payload),
            })
        })
    }

    /// Decides if the function was kept. Where ratios are doubled, a part of the loss may count
    /// units and change the gradients of what leads to it, but never those of all parameters.
    fn judge<M: Growable>(
        &self,
        found: &Pullback,
        doubling: &Doubling,
        blueprint: &Blueprint,
        narrow: &Scene<M>,
        row: &mut RehearsedStage,
    ) -> Result<(), RehearsalFault>
    where
        S: Fn(&M) -> Gradients,
    {
        let Verdict { kept, changed } = Verdict::of(found, doubling);
        let Some((path, change)) = changed.first().cloned().filter(|_| !kept) else {
            let within = found.relative().map(|(_, relative)| relative);
            let bound = tolerance(found);
            row.difference = within.filter(|it| *it <= bound).reduce(f64::max);
            row.changed = changed.into_iter().map(|(path, _)| path).collect();
            return Ok(());
        };
        Err(RehearsalFault::Function {
            axes: self.culprits(doubling, blueprint, narrow),
            path,
            change,
        })
    }

    /// The axes that fail alone; all of them if none does.
    fn culprits<M: Growable>(
        &self,
        doubling: &Doubling,
        blueprint: &Blueprint,
        narrow: &Scene<M>,
    ) -> BTreeSet<Axis>
    where
        S: Fn(&M) -> Gradients,
    {
        let parts = doubling.apart(blueprint);
        if parts.len() < 2 {
            return doubling.axes.clone();
        }
        let fails = |part: &Doubling| match part.plan(blueprint) {
            Ok(Some(plan)) => match self.compare(blueprint, &plan, narrow) {
                Ok((found, _)) => !Verdict::of(&found, part).kept,
                Err(_) => true,
            },
            Ok(None) | Err(_) => false,
        };
        let failing = parts.into_iter().filter(fails);
        let axes: BTreeSet<Axis> = failing.flat_map(|part| part.axes).collect();
        if axes.is_empty() {
            doubling.axes.clone()
        } else {
            axes
        }
    }
}

/// What gradients say of a doubling.
struct Verdict {
    kept: bool,
    /// The parameters whose gradients differ, and by how much.
    changed: Vec<(String, f64)>,
}

impl Verdict {
    fn of(found: &Pullback, doubling: &Doubling) -> Self {
        let bound = tolerance(found);
        let changed = found.relative().filter(|(_, relative)| *relative > bound);
        let changed: Vec<_> = changed
            .map(|(path, relative)| (path.to_owned(), relative))
            .collect();
        // A gradient of nearly zero says nothing.
        let floor = TOLERANCE * found.norm();
        let rows = found.rows.iter().zip(found.relative());
        let same = rows
            .filter(|(row, _)| row.norm > floor)
            .any(|(_, (_, relative))| relative <= bound);
        Self {
            kept: changed.is_empty() || (same && !doubling.ratios.is_empty()),
            changed,
        }
    }
}

fn tolerance(found: &Pullback) -> f64 {
    TOLERANCE.max(UNITS * found.epsilon)
}

/// Turns off every training flag: dropout, noise, and the statistics of a batch norm.
struct Quiet;

impl ModuleMapper for Quiet {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        flag.with_value(false)
    }
}

struct Gradients(GradientsParams);

impl ParamTensors for Gradients {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.0.get(param.id)
    }
}
