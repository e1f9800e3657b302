//! A Mamba: a depthwise convolution and a selective scan, in plain tensor operations.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig, PaddingConfig1d, RmsNorm,
    RmsNormConfig,
};
use burn::tensor::activation::{silu, softplus};
use burn::tensor::{Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 11;
const LENGTH: usize = 5;
/// Width of the convolution.
const KERNEL: usize = 3;
/// Numbers that a channel remembers.
const STATE: usize = 4;
/// Rank of the step sizes.
const RANK: usize = 2;

#[derive(Module, Growable, Debug)]
struct Block {
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden", concat(fan_out = "inner", gate = "inner"))]
    in_proj: Linear,
    #[grow(gain = "inner")]
    conv1d: Conv1d,
    #[grow(fan_in = "inner")]
    x_proj: Linear,
    #[grow(gate = "inner")]
    dt_proj: Linear,
    #[grow(dims(gain = "inner", _))]
    a_log: Param<Tensor<2>>,
    #[grow(dims(gain = "inner"))]
    d: Param<Tensor<1>>,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    out_proj: Linear,
}

impl Block {
    fn new(hidden: usize, inner: usize, device: &Device) -> Self {
        let linear = |d_in, d_out, bias| {
            let config = LinearConfig::new(d_in, d_out).with_bias(bias);
            config.init(device)
        };
        let conv = Conv1dConfig::new(inner, inner, KERNEL).with_groups(inner);
        let conv = conv.with_padding(PaddingConfig1d::Explicit(KERNEL - 1, 0));
        Self {
            norm: RmsNormConfig::new(hidden).init(device),
            in_proj: linear(hidden, 2 * inner, false),
            conv1d: conv.init(device),
            x_proj: linear(inner, RANK + 2 * STATE, false),
            dt_proj: linear(RANK, inner, true),
            a_log: Initializer::Zeros.init([inner, STATE], device),
            d: Initializer::Ones.init([inner], device),
            out_proj: linear(inner, hidden, false),
        }
    }

    fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let mut halves = self
            .in_proj
            .forward(self.norm.forward(input.clone()))
            .chunk(2, 2);
        let (z, x) = (halves.remove(1), halves.remove(0));
        let x = self.conv1d.forward(x.swap_dims(1, 2)).swap_dims(1, 2);
        let y = self.scan(silu(x));
        input + self.out_proj.forward(y * silu(z))
    }

    /// # Shapes
    ///
    /// - `x` and output: `[batch, length, inner]`
    fn scan(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, inner] = x.dims();
        let projected = self.x_proj.forward(x.clone());
        let mut parts = projected.split_with_sizes(vec![RANK, STATE, STATE], 2);
        let (c, b, dt) = (parts.remove(2), parts.remove(1), parts.remove(0));
        let dt = softplus(self.dt_proj.forward(dt), 1.0);
        let a = self.a_log.val().exp().neg();
        let mut state = Tensor::<3>::zeros([batch, inner, STATE], &x.device());
        let mut outputs = Vec::new();
        for step in 0..length {
            let at = |of: &Tensor<3>| of.clone().narrow(1, step, 1);
            let dt = at(&dt).swap_dims(1, 2);
            let decay = (dt.clone() * a.clone().unsqueeze()).exp();
            let written = dt * at(&x).swap_dims(1, 2) * at(&b);
            state = state * decay + written;
            let read = (state.clone() * at(&c)).sum_dim(2);
            outputs.push(read.swap_dims(1, 2));
        }
        Tensor::cat(outputs, 1) + x * self.d.val().unsqueeze()
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Mamba {
    #[grow(fan_out = "hidden")]
    embedding: Embedding,
    layers: Vec<Block>,
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl Mamba {
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embedding.forward(tokens);
        let x = self.layers.iter().fold(x, |x, layer| layer.forward(x));
        self.head.forward(self.norm.forward(x))
    }
}

impl Model for Mamba {
    const AXES: &'static [(&'static str, usize)] = &[("hidden", 6), ("inner", 8)];

    fn built(size: &Size, device: &Device) -> Self {
        let (hidden, inner) = (size.of("hidden"), size.of("inner"));
        Self {
            embedding: EmbeddingConfig::new(VOCAB, hidden).init(device),
            layers: (0..2).map(|_| Block::new(hidden, inner, device)).collect(),
            norm: RmsNormConfig::new(hidden).init(device),
            head: LinearConfig::new(hidden, VOCAB).init(device),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.tokens([2, LENGTH], VOCAB))
            .flatten(0, 1)
    }
}
