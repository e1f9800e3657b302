//! BERT with an encoder of its own, which stores its widths, and a config that it is saved with.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Gelu, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, Tanh,
};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

/// Coordinates of a head.
const HEAD: usize = 2;

#[derive(Clone, Debug)]
pub(crate) struct BertConfig {
    vocab_size: usize,
    max_position: usize,
    hidden_size: usize,
    n_heads: usize,
    intermediate_size: usize,
    n_layers: usize,
    n_classes: usize,
    dropout: f64,
}

#[derive(Module, Growable, Debug)]
struct BertSelfAttention {
    #[grow(fan_in = "hidden", fan_out("heads", unit = HEAD))]
    query: Linear,
    #[grow(fan_in = "hidden", gate("heads", unit = HEAD))]
    key: Linear,
    #[grow(fan_in = "hidden", fan_out("heads", unit = HEAD))]
    value: Linear,
    #[grow(fan_in("heads", unit = HEAD), fan_out = "hidden")]
    output: Linear,
    dropout: Dropout,
    #[grow(width = "heads")]
    n_heads: usize,
    attention_head_size: usize,
    #[grow(width("heads", unit = HEAD))]
    all_head_size: usize,
}

impl BertSelfAttention {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let all = config.n_heads * HEAD;
        let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).init(device);
        Self {
            query: linear(config.hidden_size, all),
            key: linear(config.hidden_size, all),
            value: linear(config.hidden_size, all),
            output: linear(all, config.hidden_size),
            dropout: DropoutConfig::new(config.dropout).init(),
            n_heads: config.n_heads,
            attention_head_size: HEAD,
            all_head_size: all,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let heads = |x: Tensor<3>| {
            x.reshape([batch, length, self.n_heads, self.attention_head_size])
                .swap_dims(1, 2)
        };
        let [query, key, value] =
            [&self.query, &self.key, &self.value].map(|linear| heads(linear.forward(x.clone())));
        let scores = query.matmul(key.transpose()) / (self.attention_head_size as f64).sqrt();
        let context = self.dropout.forward(softmax(scores, 3)).matmul(value);
        let context = context
            .swap_dims(1, 2)
            .reshape([batch, length, self.all_head_size]);
        self.output.forward(context)
    }
}

#[derive(Module, Growable, Debug)]
struct BertLayer {
    attention: BertSelfAttention,
    #[grow(gain = "hidden")]
    attention_norm: LayerNorm,
    #[grow(fan_in = "hidden", fan_out = "intermediate")]
    intermediate: Linear,
    #[grow(fan_in = "intermediate", fan_out = "hidden")]
    output: Linear,
    #[grow(gain = "hidden")]
    output_norm: LayerNorm,
    dropout: Dropout,
    activation: Gelu,
}

impl BertLayer {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Self {
            attention: BertSelfAttention::new(config, device),
            attention_norm: LayerNormConfig::new(hidden).init(device),
            intermediate: LinearConfig::new(hidden, inner).init(device),
            output: LinearConfig::new(inner, hidden).init(device),
            output_norm: LayerNormConfig::new(hidden).init(device),
            dropout: DropoutConfig::new(config.dropout).init(),
            activation: Gelu::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self.dropout.forward(self.attention.forward(x.clone()));
        let x = self.attention_norm.forward(x + attended);
        let inner = self
            .activation
            .forward(self.intermediate.forward(x.clone()));
        let output = self.dropout.forward(self.output.forward(inner));
        self.output_norm.forward(x + output)
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Bert {
    #[grow(fan_out = "hidden")]
    word_embeddings: Embedding,
    #[grow(fan_out = "hidden")]
    position_embeddings: Embedding,
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    layers: Vec<BertLayer>,
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    pooler: Linear,
    #[grow(fan_in = "hidden")]
    classifier: Linear,
    activation: Tanh,
    #[module(skip)]
    #[grow(widths(
        hidden_size = "hidden",
        n_heads = "heads",
        intermediate_size = "intermediate"
    ))]
    config: BertConfig,
}

impl Bert {
    fn new(config: BertConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let layers = (0..config.n_layers).map(|_| BertLayer::new(&config, device));
        Self {
            word_embeddings: EmbeddingConfig::new(config.vocab_size, hidden).init(device),
            position_embeddings: EmbeddingConfig::new(config.max_position, hidden).init(device),
            norm: LayerNormConfig::new(hidden).init(device),
            layers: layers.collect(),
            pooler: LinearConfig::new(hidden, hidden).init(device),
            classifier: LinearConfig::new(hidden, config.n_classes).init(device),
            activation: Tanh::new(),
            config,
        }
    }

    /// # Shapes
    ///
    /// - `tokens`: `[batch, length]`
    /// - output: `[batch, classes]`, read from the first token
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, length] = tokens.dims();
        let positions = Tensor::arange(0..length as i64, &tokens.device()).unsqueeze_dim(0);
        let x = self.word_embeddings.forward(tokens) + self.position_embeddings.forward(positions);
        let x = self.norm.forward(x);
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x));
        let first = x
            .slice([0..batch, 0..1])
            .reshape([batch, self.config.hidden_size]);
        let pooled = self.activation.forward(self.pooler.forward(first));
        self.classifier.forward(pooled)
    }
}

impl Model for Bert {
    const AXES: &'static [(&'static str, usize)] =
        &[("hidden", 6), ("heads", 2), ("intermediate", 8)];

    fn built(size: &Size, device: &Device) -> Self {
        let config = BertConfig {
            vocab_size: 9,
            max_position: 5,
            hidden_size: size.of("hidden"),
            n_heads: size.of("heads"),
            intermediate_size: size.of("intermediate"),
            n_layers: 2,
            n_classes: 3,
            dropout: size.dropout,
        };
        Self::new(config, device)
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        let tokens = sample.tokens([4, self.config.max_position], self.config.vocab_size);
        self.forward(tokens)
    }
}
