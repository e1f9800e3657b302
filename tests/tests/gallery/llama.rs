//! A Llama: RMSNorm, rotary positions, grouped queries, SwiGLU, and a head of its own.

use burn::module::Module;
use burn::nn::{
    Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig, RotaryEncoding,
    RotaryEncodingConfig,
};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 11;
const LENGTH: usize = 6;
/// Coordinates of a head.
const HEAD: usize = 4;

#[derive(Module, Growable, Debug)]
struct Attention {
    #[grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = self.head_dim))]
    q_proj: Linear,
    #[grow(fan_in = "hidden", gate("kv_heads", unit = self.head_dim))]
    k_proj: Linear,
    #[grow(fan_in = "hidden", fan_out("kv_heads", unit = self.head_dim))]
    v_proj: Linear,
    #[grow(fan_in("kv_heads", "queries", unit = self.head_dim), fan_out = "hidden")]
    o_proj: Linear,
    #[grow(width("kv_heads", "queries"))]
    n_heads: usize,
    #[grow(width = "kv_heads")]
    n_kv_heads: usize,
    head_dim: usize,
}

impl Attention {
    fn new(hidden: usize, n_heads: usize, n_kv_heads: usize, device: &Device) -> Self {
        let linear = |d_in, d_out| {
            let config = LinearConfig::new(d_in, d_out).with_bias(false);
            config.init(device)
        };
        Self {
            q_proj: linear(hidden, n_heads * HEAD),
            k_proj: linear(hidden, n_kv_heads * HEAD),
            v_proj: linear(hidden, n_kv_heads * HEAD),
            o_proj: linear(n_heads * HEAD, hidden),
            n_heads,
            n_kv_heads,
            head_dim: HEAD,
        }
    }

    fn forward(&self, x: Tensor<3>, rope: &RotaryEncoding, mask: Tensor<4, Bool>) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let heads =
            |x: Tensor<3>, n: usize| x.reshape([batch, length, n, self.head_dim]).swap_dims(1, 2);
        let query = rope.forward(heads(self.q_proj.forward(x.clone()), self.n_heads));
        let key = rope.forward(heads(self.k_proj.forward(x.clone()), self.n_kv_heads));
        let value = heads(self.v_proj.forward(x), self.n_kv_heads);
        let scores = query.matmul(self.repeated(key).transpose());
        let scores = scores / (self.head_dim as f64).sqrt();
        let weights = softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 3);
        let context = weights.matmul(self.repeated(value)).swap_dims(1, 2);
        self.o_proj
            .forward(context.reshape([batch, length, self.n_heads * self.head_dim]))
    }

    /// Every key head for each of its query heads.
    fn repeated(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, kv_heads, length, head_dim] = x.dims();
        let times = self.n_heads / self.n_kv_heads;
        x.unsqueeze_dim::<5>(2).repeat_dim(2, times).reshape([
            batch,
            kv_heads * times,
            length,
            head_dim,
        ])
    }
}

#[derive(Module, Growable, Debug)]
struct FeedForward {
    #[grow(fan_in = "hidden", gate = "inner")]
    gate_proj: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up_proj: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down_proj: Linear,
}

impl FeedForward {
    fn new(hidden: usize, inner: usize, device: &Device) -> Self {
        let linear = |d_in, d_out| {
            let config = LinearConfig::new(d_in, d_out).with_bias(false);
            config.init(device)
        };
        Self {
            gate_proj: linear(hidden, inner),
            up_proj: linear(hidden, inner),
            down_proj: linear(inner, hidden),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = silu(self.gate_proj.forward(x.clone()));
        self.down_proj.forward(gate * self.up_proj.forward(x))
    }
}

#[derive(Module, Growable, Debug)]
struct Block {
    #[grow(gain = "hidden")]
    input_norm: RmsNorm,
    attention: Attention,
    #[grow(gain = "hidden")]
    post_norm: RmsNorm,
    mlp: FeedForward,
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Llama {
    #[grow(fan_out = "hidden")]
    embed_tokens: Embedding,
    layers: Vec<Block>,
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden")]
    lm_head: Linear,
    rope: RotaryEncoding,
}

impl Llama {
    /// # Shapes
    ///
    /// - `tokens`: `[batch, length]`
    /// - output: `[batch, length, vocab]`
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = tokens.dims();
        let mask = Tensor::<2, Bool>::tril_mask([length, length], 0, &tokens.device());
        let mask = mask.unsqueeze::<4>();
        let mut x = self.embed_tokens.forward(tokens);
        for layer in &self.layers {
            let normed = layer.input_norm.forward(x.clone());
            x = x + layer.attention.forward(normed, &self.rope, mask.clone());
            x = x.clone() + layer.mlp.forward(layer.post_norm.forward(x));
        }
        self.lm_head.forward(self.norm.forward(x))
    }
}

impl Model for Llama {
    const AXES: &'static [(&'static str, usize)] =
        &[("hidden", 8), ("kv_heads", 2), ("queries", 2), ("inner", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let [hidden, kv_heads, queries, inner] =
            ["hidden", "kv_heads", "queries", "inner"].map(|axis| size.of(axis));
        let norm = || RmsNormConfig::new(hidden).init(device);
        let block = |_| Block {
            input_norm: norm(),
            attention: Attention::new(hidden, kv_heads * queries, kv_heads, device),
            post_norm: norm(),
            mlp: FeedForward::new(hidden, inner, device),
        };
        Self {
            embed_tokens: EmbeddingConfig::new(VOCAB, hidden).init(device),
            layers: (0..2).map(block).collect(),
            norm: norm(),
            lm_head: LinearConfig::new(hidden, VOCAB)
                .with_bias(false)
                .init(device),
            rope: RotaryEncodingConfig::new(LENGTH, HEAD).init(device),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.tokens([2, LENGTH], VOCAB))
            .flatten(0, 1)
    }
}
