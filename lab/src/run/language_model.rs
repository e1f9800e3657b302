//! The model as burn-train sees it.

use std::sync::Arc;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{
    GradientsParams, ModuleOptimizer, lr_scheduler::module_lr_scheduler::ModuleLearningRate,
};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use burn_grow::Growable;
use burn_grow::moe::{MoeSequenceOutput, MoeTransformer};

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
    let model = run.model();
    device::initial(run.settings.seed, &device, |device| model.try_init(device)).context("model")
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
