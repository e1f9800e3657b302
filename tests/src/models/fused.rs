use burn::module::Module;
use burn::nn::{Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::activation::{gelu, sigmoid, silu, softmax};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::Probe;
use crate::data::{random, seeded};

/// Gate, up and the scale of a token in one matrix: two roles on one axis, and a stretch that stays.
#[derive(Module, Growable, Debug)]
pub struct GatedUnit {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(
        fan_in = "hidden",
        concat(gate = "inner", fan_out = "inner", fixed = 1)
    )]
    gate_up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    #[grow(fan_in = "hidden")]
    head: Linear,
    #[grow(width = "inner")]
    inner: usize,
}

impl Probe for GatedUnit {
    fn narrow(seed: u64, device: &Device) -> Self {
        let (hidden, inner) = (4, 6);
        let unit = Self {
            embed: LinearConfig::new(3, hidden).init(device),
            gate_up: LinearConfig::new(hidden, 2 * inner + 1).init(device),
            down: LinearConfig::new(inner, hidden).init(device),
            head: LinearConfig::new(hidden, 2).init(device),
            inner,
        };
        seeded(unit, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.head.weight.device());
        let x = self.embed.forward(x);
        let [gate, up, scale] = split(self.gate_up.forward(x.clone()), [self.inner, self.inner, 1]);
        let unit = silu(gate) * up * sigmoid(scale);
        self.head.forward(x + self.down.forward(unit))
    }
}

/// Attention whose queries, keys and values are one matrix: a product of two axes beside one of them,
/// twice.
#[derive(Module, Growable, Debug)]
pub struct FusedHeads {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    // Keys multiply queries, as a gate does: see the roles of a dimension.
    #[grow(
        fan_in = "hidden",
        concat(
            fan_out("kv_heads", "queries", unit = self.head_dim),
            gate("kv_heads", unit = self.head_dim),
            fan_out("kv_heads", unit = self.head_dim)
        )
    )]
    qkv: Linear,
    #[grow(fan_in("kv_heads", "queries", unit = self.head_dim))]
    out: Linear,
    #[grow(width = "kv_heads")]
    kv_heads: usize,
    #[grow(width = "queries")]
    queries: usize,
    head_dim: usize,
}

impl Probe for FusedHeads {
    fn narrow(seed: u64, device: &Device) -> Self {
        let (kv_heads, queries, head_dim) = (2, 4, 3);
        let n_heads = kv_heads * queries;
        let heads = Self {
            embed: LinearConfig::new(3, 4).init(device),
            qkv: LinearConfig::new(4, (n_heads + 2 * kv_heads) * head_dim).init(device),
            out: LinearConfig::new(n_heads * head_dim, 2).init(device),
            kv_heads,
            queries,
            head_dim,
        };
        seeded(heads, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "kv_heads", "queries"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.out.weight.device());
        let keys = self.kv_heads * self.head_dim;
        let parts = split(
            self.qkv.forward(self.embed.forward(x)),
            [keys * self.queries, keys, keys],
        );
        // [kv_heads, queries or 1, tokens, head_dim], broadcast over the queries of a key head.
        let [query, key, value] = parts.map(|part| {
            let [tokens, size] = part.dims();
            part.reshape([tokens, self.kv_heads, size / keys, self.head_dim])
                .permute([1, 2, 0, 3])
        });
        let attention = softmax(query.matmul(key.transpose()), 3).matmul(value);
        let answers = attention.permute([2, 0, 1, 3]);
        self.out.forward(answers.reshape([5, keys * self.queries]))
    }
}

/// Stages of growing width, each on an axis of its own, whose features meet side by side in the head.
#[derive(Module, Growable, Debug)]
pub struct Stages {
    #[grow(fan_out = "first")]
    embed: Linear,
    #[grow(fan_in = "first", fan_out = "second")]
    to_second: Linear,
    #[grow(fan_in = "second", fan_out = "second")]
    mix: Linear,
    #[grow(fan_in = "second", fan_out = "third")]
    to_third: Linear,
    #[grow(gain = "third")]
    norm: RmsNorm,
    #[grow(concat(fan_in = "first", fan_in = "second", fan_in = "third"))]
    head: Linear,
}

impl Probe for Stages {
    fn narrow(seed: u64, device: &Device) -> Self {
        let stages = Self {
            embed: LinearConfig::new(3, 2).init(device),
            to_second: LinearConfig::new(2, 4).init(device),
            mix: LinearConfig::new(4, 4).init(device),
            to_third: LinearConfig::new(4, 8).init(device),
            norm: RmsNormConfig::new(8).init(device),
            head: LinearConfig::new(2 + 4 + 8, 2).init(device),
        };
        seeded(stages, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["first", "second", "third"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.head.weight.device());
        let first = gelu(self.embed.forward(x));
        let second = gelu(self.to_second.forward(first.clone()));
        let second = second.clone() + gelu(self.mix.forward(second));
        let third = self.norm.forward(self.to_third.forward(second.clone()));
        self.head
            .forward(Tensor::cat(vec![first, second, third], 1))
    }
}

/// The columns of `x`, `sizes` of them at a time.
fn split(x: Tensor<2>, sizes: [usize; 3]) -> [Tensor<2>; 3] {
    let mut start = 0;
    sizes.map(|size| {
        start += size;
        x.clone().narrow(1, start - size, size)
    })
}
