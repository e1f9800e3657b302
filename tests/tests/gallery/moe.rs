//! A mixture of experts that stand in a `Vec`, with a router that sends a token to two of them.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const INPUTS: usize = 5;
const CLASSES: usize = 3;

#[derive(Module, Growable, Debug)]
pub(crate) struct Expert {
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

impl Expert {
    pub(crate) fn new(hidden: usize, inner: usize, device: &Device) -> Self {
        Self {
            up: LinearConfig::new(hidden, inner).init(device),
            down: LinearConfig::new(inner, hidden).init(device),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.down.forward(gelu(self.up.forward(x)))
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Moe {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    #[grow(fan_in = "hidden")]
    router: Linear,
    #[grow(active = Moe::active)]
    experts: Vec<Expert>,
    #[grow(fan_in = "hidden")]
    head: Linear,
    #[grow(frozen("experts", "they stand in a `Vec`, which does not grow"))]
    n_experts: usize,
    top_k: usize,
}

// by hand
impl Moe {
    fn active(&self) -> f64 {
        self.top_k as f64 / self.n_experts as f64
    }
}
// end

/// Sends every token to the `top_k` experts of the highest probability.
///
/// # Shapes
///
/// - `x` and output: `[tokens, hidden]`
/// - `logits`: `[tokens, experts]`
pub(crate) fn mixed(
    x: &Tensor<2>,
    logits: Tensor<2>,
    experts: &[Expert],
    top_k: usize,
) -> Tensor<2> {
    let probabilities = softmax(logits, 1);
    let (weights, chosen) = probabilities.topk_with_indices(top_k, 1);
    let weights = weights.clone() / weights.sum_dim(1);
    let outputs = experts.iter().enumerate().map(|(index, expert)| {
        let here = chosen.clone().equal_elem(index as i64).float();
        expert.forward(x.clone()) * (weights.clone() * here).sum_dim(1)
    });
    outputs.reduce(|sum, output| sum + output).unwrap()
}

impl Moe {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.embed.forward(x);
        let normed = self.norm.forward(x.clone());
        let logits = self.router.forward(normed.clone());
        let x = x + mixed(&normed, logits, &self.experts, self.top_k);
        self.head.forward(x)
    }
}

impl Model for Moe {
    const AXES: &'static [(&'static str, usize)] = &[("hidden", 6), ("inner", 8)];

    fn built(size: &Size, device: &Device) -> Self {
        let (hidden, inner) = (size.of("hidden"), size.of("inner"));
        let n_experts = 4;
        let experts = (0..n_experts).map(|_| Expert::new(hidden, inner, device));
        Self {
            embed: LinearConfig::new(INPUTS, hidden).init(device),
            norm: LayerNormConfig::new(hidden).init(device),
            router: LinearConfig::new(hidden, n_experts)
                .with_bias(false)
                .init(device),
            experts: experts.collect(),
            head: LinearConfig::new(hidden, CLASSES).init(device),
            n_experts,
            top_k: 2,
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([6, INPUTS]))
    }
}
