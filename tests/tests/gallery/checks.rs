//! The checks that every model of the gallery passes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device};
use burn_grow::TrainError;
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;
use burn_grow::train::{GrowthLoop, Rehearsal, RehearsedStage};
use burn_grow::verify::{Activations, Probe, two_width_check, verify};
use burn_grow_tests::data::values;
use burn_grow_tests::dump;

use crate::model::{Model, Sample, Size, axes, drawn};

/// What is wrong, if something is.
pub(crate) type Checked = Result<(), String>;

/// How much of the largest output a doubling may change.
const TOLERANCE: f64 = 1e-4;
const LEARNING_RATE: f64 = 1e-2;
/// Optimizer steps of an epoch.
const STEPS: usize = 4;
const EPOCHS: usize = 3;

/// The narrow model, its weights drawn from `seed`.
pub(crate) fn narrow<M: Model>(seed: u64, device: &Device) -> M {
    drawn(M::built(&Size::narrow::<M>(), device), seed)
}

/// `factor` times the width of every axis alone, and of all of them.
fn expansions<M: Model>(factor: f64) -> Vec<(String, Expansion)> {
    let alone = axes::<M>().map(|axis| (axis.to_owned(), Expansion::by(axis, factor)));
    let all = ("all axes".to_owned(), every::<M>(factor));
    alone.chain((M::AXES.len() > 1).then_some(all)).collect()
}

/// Twice the width of every axis alone, and of all of them.
pub(crate) fn doublings<M: Model>() -> Vec<Expansion> {
    let doublings = expansions::<M>(2.0).into_iter();
    doublings.map(|(_, expansion)| expansion).collect()
}

fn every<M: Model>(factor: f64) -> Expansion {
    axes::<M>().fold(Expansion::default(), |all, axis| all.and_by(axis, factor))
}

/// The size after [`every`] axis grew.
fn sized<M: Model>(factor: f64) -> Size {
    axes::<M>().fold(Size::narrow::<M>(), |size, axis| size.by(axis, factor))
}

/// A model in evaluation mode.
struct Evaluated<'a, M>(&'a M);

impl<M: Model> Probe<u64> for Evaluated<'_, M> {
    fn probe(&self, seed: u64) -> Activations {
        Activations::new(self.0.output(&Sample::new(seed, &Device::flex())))
    }
}

/// By how much of the largest output `expansion` changes the function of `model`.
pub(crate) fn changed<M: Model>(model: &M, expansion: &Expansion) -> Result<f64, GrowError> {
    let grown = expansion.plan(model)?.apply(model.clone())?;
    let found = verify(&Evaluated(model), &Evaluated(&grown), 7)?;
    Ok(found.max_rel)
}

pub(crate) fn every_axis_keeps_the_function_at_twice_the_width<M: Model>() -> Checked {
    let model: M = narrow(1, &Device::flex());
    for (name, expansion) in expansions::<M>(2.0) {
        let changed = changed(&model, &expansion).map_err(|error| error.to_string())?;
        // NaN is a change.
        if changed.is_nan() || changed >= TOLERANCE {
            return Err(format!("{name}: the output changes by {changed:.1e}"));
        }
    }
    Ok(())
}

/// Rehearses a run that takes `expansion`.
pub(crate) fn rehearsed<M: Model>(
    model: &M,
    expansion: Expansion,
) -> Result<Rehearsal, TrainError> {
    let sample = Sample::new(3, &Device::flex().autodiff());
    WidthExpansionCallback::builder(STEPS * EPOCHS)
        .expand(At::step(STEPS + 2), expansion)
        .build(model)?
        .rehearse(model, |model| {
            GradientsParams::from_grads(model.loss(&sample).backward(), model)
        })
}

pub(crate) fn every_axis_passes_a_rehearsal<M: Model>() -> Checked {
    let size = Size::narrow::<M>().with_dropout(0.1);
    let model = drawn(M::built(&size, &Device::flex().autodiff()), 1);
    for (name, expansion) in expansions::<M>(1.5) {
        let found = rehearsed(&model, expansion).map_err(|error| format!("{name}: {error}"))?;
        let whole = |row: &RehearsedStage| {
            row.difference.is_some() && row.changed.is_empty() && row.left_out.is_empty()
        };
        // No model here draws numbers of its own.
        if !found.compared || found.stages.len() != 1 || !found.stages.iter().all(whole) {
            return Err(format!("{name}: {found}"));
        }
    }
    Ok(())
}

pub(crate) fn two_widths_agree_with_the_description<M: Model>() -> Checked {
    let device = Device::flex();
    let [narrow, wide] =
        [Size::narrow::<M>(), Size::wide::<M>()].map(|size| M::built(&size, &device));
    let warnings = two_width_check(&narrow, &wide).map_err(|error| error.to_string())?;
    match warnings.first() {
        Some(warning) => Err(warning.to_string()),
        None => Ok(()),
    }
}

/// The shape of every parameter.
fn shapes<M: Model>(model: &M) -> BTreeMap<String, Vec<usize>> {
    let params = dump::params(model).into_iter();
    params.map(|(path, param)| (path, param.shape)).collect()
}

/// Fails unless `grown` has the shapes of a model that is built with `size`.
fn as_built<M: Model>(grown: &M, size: &Size) -> Checked {
    let built = shapes(&M::built(size, &Device::flex()));
    let found = shapes(grown);
    if let Some((path, shape)) = found
        .iter()
        .find(|(path, shape)| built.get(*path) != Some(shape))
    {
        let expected = built.get(path);
        return Err(format!(
            "{path} is {shape:?}, and {expected:?} in the model built wide"
        ));
    }
    match found.len() == built.len() {
        true => Ok(()),
        false => Err(format!(
            "{} parameters instead of {}",
            found.len(),
            built.len()
        )),
    }
}

pub(crate) fn a_plan_gives_the_shapes_of_a_model_built_wide<M: Model>() -> Checked {
    let model: M = narrow(1, &Device::flex());
    let blueprint = Blueprint::of(&model).map_err(|error| error.to_string())?;
    let alone =
        axes::<M>().map(|axis| (Expansion::by(axis, 1.5), Size::narrow::<M>().by(axis, 1.5)));
    for (expansion, size) in alone.chain([(every::<M>(2.0), sized::<M>(2.0))]) {
        let plan = Plan::new(&blueprint, &expansion).map_err(|error| error.to_string())?;
        let grown = plan
            .apply(model.clone())
            .map_err(|error| error.to_string())?;
        as_built(&grown, &size)?;
        let found = Blueprint::of(&grown).map_err(|error| error.to_string())?;
        if found != blueprint.expanded(&plan) {
            return Err(format!(
                "the grown model describes itself otherwise than its plan\n{plan}"
            ));
        }
        let built = Blueprint::of(&M::built(&size, &Device::flex()));
        let built = built.map_err(|error| error.to_string())?;
        if (found.params(), found.widths()) != (built.params(), built.widths()) {
            return Err(
                "the model built wide describes itself otherwise than the grown one".into(),
            );
        }
    }
    Ok(())
}

/// A model with all that trains it.
struct Run<M> {
    model: M,
    optim: ModuleOptimizer,
    growth: GrowthLoop,
}

impl<M: Model> Run<M> {
    /// A run that takes each expansion at its step.
    fn new(expansions: &[(usize, Expansion)], model: M) -> Result<Self, TrainError> {
        // Every step drops the same units in every run.
        let builder = WidthExpansionCallback::builder(STEPS * EPOCHS).random_seed(5);
        let builder = expansions
            .iter()
            .fold(builder, |builder, (step, expansion)| {
                builder.expand(At::step(*step), expansion.clone())
            });
        Ok(Self {
            growth: builder.build(&model)?.growth_loop()?,
            optim: AdamWConfig::new().init_asymmetric(),
            model,
        })
    }

    /// The losses of an epoch on one batch.
    fn epoch(&mut self) -> Result<Vec<f32>, TrainError> {
        let device = Device::flex().autodiff();
        let sample = Sample::new(3, &device);
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            self.growth.seed(&device);
            let loss = self.model.loss(&sample);
            losses.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
            self.model = self
                .optim
                .step(LEARNING_RATE, self.model.clone(), gradients);
            self.growth
                .step(LEARNING_RATE, &mut self.model, &mut self.optim)?;
        }
        Ok(losses)
    }

    /// Trains up to the end of `epochs`, from the newest checkpoint in `directory` on.
    fn resumed(&mut self, directory: &Path, epochs: usize) -> Result<(), TrainError> {
        let (model, optim) = (&mut self.model, &mut self.optim);
        let found = self.growth.resume(directory, model, optim)?;
        for epoch in found.map_or(1, |found| found.epoch + 1)..=epochs {
            self.epoch()?;
            self.growth
                .save(directory, epoch, &self.model, &self.optim)?;
        }
        Ok(())
    }
}

/// A run of a narrow model that trains.
fn run<M: Model>(
    expansions: &[(usize, Expansion)],
    seed: u64,
    dropout: f64,
) -> Result<Run<M>, TrainError> {
    let size = Size::narrow::<M>().with_dropout(dropout);
    let model = M::built(&size, &Device::flex().autodiff());
    Run::new(expansions, drawn(model, seed))
}

/// The losses of all epochs, all finite.
fn losses<M: Model>(run: &mut Run<M>) -> Result<Vec<f32>, String> {
    let mut losses = Vec::new();
    for _ in 0..EPOCHS {
        losses.extend(run.epoch().map_err(|error| error.to_string())?);
    }
    match (
        losses.iter().all(|loss| loss.is_finite()),
        run.growth.shortfall(),
    ) {
        (true, None) => Ok(losses),
        (true, Some(shortfall)) => Err(shortfall.to_string()),
        (false, _) => Err(format!("losses {losses:?}")),
    }
}

pub(crate) fn training_goes_on_across_an_expansion<M: Model>() -> Checked {
    let run = run::<M>(&[(STEPS + 2, every::<M>(2.0))], 1, 0.1);
    let mut run = run.map_err(|error| error.to_string())?;
    let losses = losses(&mut run)?;
    as_built(&run.model, &sized::<M>(2.0))?;
    match losses.last() < losses.first() {
        true => Ok(()),
        false => Err(format!("the loss does not fall: {losses:?}")),
    }
}

pub(crate) fn a_run_resumes_bit_equal_across_an_expansion<M: Model>() -> Checked {
    let trained = |interrupted: usize| -> Result<_, TrainError> {
        let directory = tempfile::tempdir().unwrap();
        let expansions = [(STEPS + 2, every::<M>(2.0))];
        if interrupted > 0 {
            run::<M>(&expansions, 1, 0.0)?.resumed(directory.path(), interrupted)?;
        }
        // Other values, until the checkpoint is loaded.
        let seed = if interrupted > 0 { 9 } else { 1 };
        let mut run = run::<M>(&expansions, seed, 0.0)?;
        run.resumed(directory.path(), EPOCHS)?;
        let params = dump::params(&run.model).into_iter();
        let bits = |param: dump::ParamDump| -> (Vec<usize>, DType, Vec<u8>) {
            (param.shape, param.dtype, param.bytes)
        };
        Ok(params
            .map(|(path, param)| (path, bits(param)))
            .collect::<BTreeMap<_, _>>())
    };
    let whole = trained(0).map_err(|error| error.to_string())?;
    for interrupted in 1..EPOCHS {
        let resumed = trained(interrupted).map_err(|error| error.to_string())?;
        if let Some((path, _)) = whole
            .iter()
            .find(|(path, bits)| resumed.get(*path) != Some(bits))
        {
            return Err(format!("resumed after epoch {interrupted}: {path} differs"));
        }
    }
    Ok(())
}

pub(crate) fn two_expansions_give_the_shapes_of_a_model_built_wide<M: Model>() -> Checked {
    let all: Vec<_> = axes::<M>().collect();
    for (index, first) in all.iter().enumerate() {
        let second = all[(index + 1) % all.len()];
        let size = Size::narrow::<M>().by(first, 2.0).by(second, 1.5);
        let [double, more] = [Expansion::by(*first, 2.0), Expansion::by(second, 1.5)];
        let model: M = narrow(1, &Device::flex());
        let twice = || {
            let once = double.plan(&model)?.apply(model.clone())?;
            more.plan(&once)?.apply(once)
        };
        as_built(&twice().map_err(|error| error.to_string())?, &size)?;
        // Back to back in a run: no step between them.
        let expansions = [(STEPS, double.clone()), (STEPS + 1, more.clone())];
        let mut run = run::<M>(&expansions, 1, 0.1).map_err(|error| error.to_string())?;
        losses(&mut run)?;
        as_built(&run.model, &size)?;
    }
    Ok(())
}

pub(crate) fn a_clone_grows_alone<M: Model>() -> Checked {
    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let model: M = narrow(1, &training);
    // Batch statistics have an update to come.
    model.loss(&Sample::new(3, &training)).backward();
    let output = |model: &M| values(model.valid().output(&Sample::new(7, &plain)));
    let before = (output(&model), dump::params(&model));
    let plan = every::<M>(2.0)
        .plan(&model)
        .map_err(|error| error.to_string())?;
    let grown = plan
        .apply(model.clone())
        .map_err(|error| error.to_string())?;
    grown.loss(&Sample::new(4, &training)).backward();
    let after = (output(&model), dump::params(&model));
    if before
        .0
        .iter()
        .zip(&after.0)
        .any(|(a, b)| a.to_bits() != b.to_bits())
    {
        return Err("the output of the original has changed".into());
    }
    match before.1 == after.1 {
        true => Ok(()),
        false => Err("parameters of the original have changed".into()),
    }
}
