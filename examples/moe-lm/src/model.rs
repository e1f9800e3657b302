//! The model as burn-train sees it.

use burn::module::Module;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use burn_grow::Growable;
use burn_grow::moe::{MoeLoss, MoeSequenceOutput, MoeTransformer};

use crate::windows::Batch;

/// A [`MoeTransformer`] that predicts the next byte. It grows as the transformer in it does.
#[derive(Module, Growable, Debug)]
pub(crate) struct LanguageModel {
    pub(crate) transformer: MoeTransformer,
}

impl LanguageModel {
    /// Computes the loss, and what burn-train's metrics take.
    fn predict(&self, batch: Batch) -> (MoeLoss, MoeSequenceOutput) {
        let output = self.transformer.forward(batch.tokens);
        let loss = self.transformer.loss_of(&output, batch.targets.clone());
        let item = MoeSequenceOutput::new(&output, loss.cross_entropy.clone(), batch.targets);
        (loss, item)
    }
}

impl TrainStep for LanguageModel {
    type Input = Batch;
    type Output = MoeSequenceOutput;

    fn step(&self, batch: Batch) -> TrainOutput<MoeSequenceOutput> {
        let (loss, item) = self.predict(batch);
        // The cross entropy, and what keeps the load of the experts even.
        TrainOutput::new(self, loss.total.backward(), item)
    }
}

impl InferenceStep for LanguageModel {
    type Input = Batch;
    type Output = MoeSequenceOutput;

    fn step(&self, batch: Batch) -> MoeSequenceOutput {
        self.predict(batch).1
    }
}
