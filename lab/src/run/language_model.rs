//! The model as burn-train sees it.

use std::sync::Arc;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{
    GradientsParams, ModuleOptimizer, lr_scheduler::module_lr_scheduler::ModuleLearningRate,
};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use burn_grow::moe::{MoeSequenceOutput, MoeTransformer};
use burn_grow::parametrization::{Drawn, Parametrization};
use burn_grow::{Blueprint, Growable};

use crate::run::{Recorder, Run};
use crate::text::Batch;

/// A [`MoeTransformer`] that predicts the next byte, observed by a recorder.
#[derive(Module, Growable, Debug)]
pub struct LanguageModel {
    pub model: MoeTransformer,
    #[module(skip)]
    pub recorder: Arc<Recorder>,
}

/// Makes the initial model of a run: one seed gives one model, on whichever device, whoever asks and
/// when.
///
/// # Errors
///
/// When the device is not there, or the configuration describes no model.
pub fn initial(run: &Run) -> Result<MoeTransformer> {
    // Parameters made on a device without gradients would stay without them.
    let device = run.settings.device.open()?.autodiff();
    let config = run.model();
    let initial = |device: &_| config.try_init(device);
    let model = device::initial(run.settings.seed, &device, initial).context("model")?;
    match run.optimizer.parametrization() {
        None => Ok(model),
        Some(parametrization) => follow(model, &parametrization),
    }
}

/// Brings a fresh model, whose matrices all have one standard deviation, to that of each of them.
fn follow(model: MoeTransformer, parametrization: &Parametrization) -> Result<MoeTransformer> {
    let widths = parametrization.of(&Blueprint::of(&model)?);
    let widths = widths.context("optimizer.base")?;
    let mut model = widths.initialize(model, Drawn::Alike)?;
    if let Some(tied) = &mut model.tied {
        let logits: f64 = widths.multipliers().iter().map(|it| it.value).product();
        tied.multiplier *= logits;
    }
    Ok(model)
}

impl TrainStep for LanguageModel {
    type Input = Batch;
    type Output = MoeSequenceOutput;

    fn step(&self, batch: Batch) -> TrainOutput<MoeSequenceOutput> {
        let output = self.model.forward(batch.tokens);
        let loss = self.model.loss_of(&output, batch.targets.clone());
        let cross_entropy = loss.cross_entropy.without_autodiff();
        self.recorder
            .loss(f64::from(cross_entropy.clone().into_scalar::<f32>()));
        let item = MoeSequenceOutput::new(&output, cross_entropy, batch.targets);
        TrainOutput::new(self, loss.total.backward(), item)
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        let stepped = optim.step(lr, self, grads);
        stepped.recorder.stepped(&stepped.model);
        stepped
    }
}

impl InferenceStep for LanguageModel {
    type Input = Batch;
    type Output = MoeSequenceOutput;

    fn step(&self, batch: Batch) -> MoeSequenceOutput {
        let output = self.model.forward(batch.tokens);
        let loss = self.model.loss_of(&output, batch.targets.clone());
        MoeSequenceOutput::new(&output, loss.cross_entropy, batch.targets)
    }
}
