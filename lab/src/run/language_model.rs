//! The model as burn-train sees it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{
    GradientsParams, ModuleOptimizer, lr_scheduler::module_lr_scheduler::ModuleLearningRate,
};
use burn::tensor::Tensor;
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

/// Makes the initial model of a run: one seed gives one model, whoever asks and when.
///
/// # Errors
///
/// When the device is not there, or the configuration describes no model.
pub fn initial(run: &Run) -> Result<MoeTransformer> {
    // Parameters made on a device without gradients would stay without them.
    let device = run.settings.device.open()?.autodiff();
    // All threads share one generator, and parameters are initialized when first looked at.
    static INITIALIZE: Mutex<()> = Mutex::new(());
    let _alone = INITIALIZE.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(run.settings.seed);
    let model = run.model().try_init(&device).context("model")?;
    model.visit(&mut Look);
    Ok(model)
}

struct Look;

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let _ = param.val();
    }
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
