//! A language model on a stack of LSTMs, of which the first one reads the embedding.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig,
};
use burn::tensor::{Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 11;

#[derive(Module, Growable, Debug)]
pub(crate) struct LanguageModel {
    #[grow(fan_out = "embedded")]
    embedding: Embedding,
    #[grow(fan_in = "hidden", fan_out = "hidden", first(fan_in = "embedded"))]
    layers: Vec<Lstm>,
    dropout: Dropout,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl LanguageModel {
    /// # Shapes
    ///
    /// - `tokens`: `[batch, length]`
    /// - output: `[batch, length, vocab]`
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let mut x = self.embedding.forward(tokens);
        for layer in &self.layers {
            x = self.dropout.forward(layer.forward(x, None).0);
        }
        self.head.forward(x)
    }
}

impl Model for LanguageModel {
    const AXES: &'static [(&'static str, usize)] = &[("embedded", 4), ("hidden", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let (embedded, hidden) = (size.of("embedded"), size.of("hidden"));
        let layers = [embedded, hidden, hidden].into_iter();
        let layer = |d_input| LstmConfig::new(d_input, hidden, true).init(device);
        Self {
            embedding: EmbeddingConfig::new(VOCAB, embedded).init(device),
            layers: layers.map(layer).collect(),
            dropout: DropoutConfig::new(size.dropout).init(),
            head: LinearConfig::new(hidden, VOCAB).init(device),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.tokens([2, 5], VOCAB)).flatten(0, 1)
    }
}
