//! An encoder whose embedding is multiplied with the root of its width, and fixed positions.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig,
};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 11;

#[derive(Module, Growable, Debug)]
pub(crate) struct Scaled {
    #[grow(fan_out = "hidden")]
    embedding: Embedding,
    /// The root of the width that the model was built with, and a number of the weights from then
    /// on: a wider stream of copies has numbers of the same size.
    #[grow(kept("hidden", with = root))]
    embedding_scale: f64,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    #[grow(fan_in = "hidden")]
    head: Linear,
    dropout: Dropout,
}

// by hand
fn root(width: usize) -> f64 {
    (width as f64).sqrt()
}
// end

impl Scaled {
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embedding.forward(tokens) * self.embedding_scale;
        let x = self.dropout.forward(x);
        let x = x.clone() + self.down.forward(gelu(self.up.forward(x)));
        self.head.forward(self.norm.forward(x))
    }
}

impl Model for Scaled {
    const AXES: &'static [(&'static str, usize)] = &[("hidden", 8), ("inner", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let (hidden, inner) = (size.of("hidden"), size.of("inner"));
        Self {
            embedding: EmbeddingConfig::new(VOCAB, hidden).init(device),
            embedding_scale: root(hidden),
            up: LinearConfig::new(hidden, inner).init(device),
            down: LinearConfig::new(inner, hidden).init(device),
            norm: LayerNormConfig::new(hidden).init(device),
            head: LinearConfig::new(hidden, VOCAB).init(device),
            dropout: DropoutConfig::new(size.dropout).init(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.tokens([2, 5], VOCAB)).flatten(0, 1)
    }
}
