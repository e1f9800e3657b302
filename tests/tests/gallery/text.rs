//! A classifier of texts on Burn's encoder, with learned positions.

use burn::module::Module;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{Bool, Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 13;
const LENGTH: usize = 6;
const CLASSES: usize = 4;
/// Coordinates of a head.
const D_K: usize = 3;

#[derive(Module, Growable, Debug)]
pub(crate) struct TextClassifier {
    #[grow(heads = "heads", inner = "inner")]
    transformer: TransformerEncoder,
    #[grow(fan_out("heads", unit = D_K))]
    embedding_token: Embedding,
    #[grow(fan_out("heads", unit = D_K))]
    embedding_pos: Embedding,
    #[grow(fan_in("heads", unit = D_K))]
    output: Linear,
    n_classes: usize,
    max_seq_length: usize,
}

impl TextClassifier {
    /// # Shapes
    ///
    /// - `tokens`, `padding`: `[batch, length]`
    /// - output: `[batch, classes]`, read from the first token
    fn forward(&self, tokens: Tensor<2, Int>, padding: Tensor<2, Bool>) -> Tensor<2> {
        let [batch, length] = tokens.dims();
        let positions = Tensor::arange(0..length as i64, &tokens.device());
        let positions = positions.reshape([1, length]).repeat_dim(0, batch);
        let positions = self.embedding_pos.forward(positions);
        let x = (positions + self.embedding_token.forward(tokens)) / 2;
        let input = TransformerEncoderInput::new(x).mask_pad(padding);
        let output = self.output.forward(self.transformer.forward(input));
        output
            .slice([0..batch, 0..1])
            .reshape([batch, self.n_classes])
    }
}

impl Model for TextClassifier {
    const AXES: &'static [(&'static str, usize)] = &[("heads", 2), ("inner", 8)];

    fn built(size: &Size, device: &Device) -> Self {
        let (heads, inner) = (size.of("heads"), size.of("inner"));
        let d_model = heads * D_K;
        Self {
            transformer: TransformerEncoderConfig::new(d_model, inner, heads, 2)
                .with_dropout(size.dropout)
                .with_norm_first(true)
                .init(device),
            embedding_token: EmbeddingConfig::new(VOCAB, d_model).init(device),
            embedding_pos: EmbeddingConfig::new(LENGTH, d_model).init(device),
            output: LinearConfig::new(d_model, CLASSES).init(device),
            n_classes: CLASSES,
            max_seq_length: LENGTH,
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        let tokens = sample.tokens([3, self.max_seq_length], VOCAB);
        let padding = tokens.clone().equal_elem(0);
        self.forward(tokens, padding)
    }
}
