//! Small models, one for each way of lying on an axis, with drawn weights and a fixed input.

use burn::module::{Module, Param};
use burn::nn::{
    Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, RmsNorm,
    RmsNormConfig,
};
use burn::tensor::activation::{gelu, silu, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow::Growable;

use crate::data::{random, seeded};

mod fused;
mod stacked;

pub use fused::{FusedHeads, GatedUnit, Stages};
pub use stacked::{Stacked, StackedBlock};

/// A model whose output on a fixed input can be compared before and after an expansion.
pub trait Probe: Growable {
    /// The narrow model, its weights drawn from `seed`.
    fn narrow(seed: u64, device: &Device) -> Self;

    /// The axes it can grow along.
    fn axes() -> &'static [&'static str];

    /// Its output on the input drawn from `seed`.
    fn output(&self, seed: u64) -> Tensor<2>;
}

/// Two layers with biases.
#[derive(Module, Growable, Debug)]
pub struct Mlp {
    /// Makes the axis.
    #[grow(fan_out = "inner")]
    pub up: Linear,
    /// Consumes it.
    #[grow(fan_in = "inner")]
    pub down: Linear,
}

impl Mlp {
    /// Of `d_in -> inner -> d_out`, its weights drawn from `seed`.
    pub fn of([d_in, inner, d_out]: [usize; 3], seed: u64, device: &Device) -> Self {
        let mlp = Self {
            up: LinearConfig::new(d_in, inner).init(device),
            down: LinearConfig::new(inner, d_out).init(device),
        };
        seeded(mlp, seed)
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, d_in]`
    /// - output: `[batch, d_out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.down.forward(gelu(self.up.forward(x)))
    }
}

impl Probe for Mlp {
    fn narrow(seed: u64, device: &Device) -> Self {
        Self::of([3, 4, 2], seed, device)
    }

    fn axes() -> &'static [&'static str] {
        &["inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        self.forward(random([5, 3], seed, &self.up.weight.device()))
    }
}

/// Both norms ride along a stream that other layers make and consume.
#[derive(Module, Growable, Debug)]
pub struct Normed {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(gain = "hidden")]
    layer_norm: LayerNorm,
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    mix: Linear,
    #[grow(gain = "hidden")]
    rms_norm: RmsNorm,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl Probe for Normed {
    fn narrow(seed: u64, device: &Device) -> Self {
        let normed = Self {
            embed: LinearConfig::new(3, 6).init(device),
            layer_norm: LayerNormConfig::new(6).init(device),
            mix: LinearConfig::new(6, 6).with_bias(false).init(device),
            rms_norm: RmsNormConfig::new(6).init(device),
            head: LinearConfig::new(6, 2).init(device),
        };
        seeded(normed, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.head.weight.device());
        let x = self.layer_norm.forward(self.embed.forward(x));
        let x = x.clone() + gelu(self.mix.forward(x));
        self.head.forward(self.rms_norm.forward(x))
    }
}

/// An embedding tied to the output projection, with the multiplier that absorbs its factor.
#[derive(Module, Growable, Debug)]
pub struct Tied {
    #[grow(fan_out = "hidden")]
    embedding: Embedding,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    /// Stores a width.
    #[grow(width = "hidden")]
    pub hidden: usize,
    /// Scales the logits.
    #[grow(multiplier = "hidden")]
    pub logit_scale: f64,
}

impl Probe for Tied {
    fn narrow(seed: u64, device: &Device) -> Self {
        let tied = Self {
            embedding: EmbeddingConfig::new(7, 4).init(device),
            up: LinearConfig::new(4, 6).with_bias(false).init(device),
            down: LinearConfig::new(6, 4).with_bias(false).init(device),
            hidden: 4,
            logit_scale: 0.75,
        };
        seeded(tied, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let device = self.embedding.weight.device();
        let tokens: Vec<i64> = (0..5).map(|index| ((index + seed) % 7) as i64).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [1, 5]), &device);
        let x = self.embedding.forward(tokens).reshape([5, self.hidden]);
        let x = x.clone() + self.down.forward(gelu(self.up.forward(x)));
        let logits = x.matmul(self.embedding.weight.val().transpose());
        logits.mul_scalar(self.logit_scale)
    }
}

/// Gate and up in one matrix: the axis stands twice along its output.
#[derive(Module, Growable, Debug)]
pub struct Fused {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden", fan_out("inner", groups = 2))]
    gate_up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl Probe for Fused {
    fn narrow(seed: u64, device: &Device) -> Self {
        let fused = Self {
            embed: LinearConfig::new(3, 4).init(device),
            gate_up: LinearConfig::new(4, 12).init(device),
            down: LinearConfig::new(6, 4).init(device),
            head: LinearConfig::new(4, 2).init(device),
        };
        seeded(fused, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.head.weight.device());
        let x = self.embed.forward(x);
        let mut parts = self.gate_up.forward(x.clone()).chunk(2, 1).into_iter();
        let (gate, up) = (parts.next().expect("gate"), parts.next().expect("up"));
        let x = x + self.down.forward(silu(gate) * up);
        self.head.forward(x)
    }
}

/// Attention with query heads that share key heads: `groups = n_kv_heads`, `unit = head_dim`, and
/// the axis counts the query heads of one key head.
#[derive(Module, Growable, Debug)]
pub struct Heads {
    #[grow(fan_in = "hidden", fan_out("queries", groups = self.n_kv_heads, unit = self.head_dim))]
    query: Linear,
    #[grow(fan_in = "hidden")]
    key: Linear,
    #[grow(fan_in = "hidden")]
    value: Linear,
    #[grow(fan_in("queries", groups = self.n_kv_heads, unit = self.head_dim))]
    out: Linear,
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(width = "queries")]
    queries: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

impl Probe for Heads {
    fn narrow(seed: u64, device: &Device) -> Self {
        let (queries, n_kv_heads, head_dim) = (2, 2, 3);
        let heads = Self {
            query: LinearConfig::new(4, queries * n_kv_heads * head_dim).init(device),
            key: LinearConfig::new(4, n_kv_heads * head_dim).init(device),
            value: LinearConfig::new(4, n_kv_heads * head_dim).init(device),
            out: LinearConfig::new(queries * n_kv_heads * head_dim, 2).init(device),
            embed: LinearConfig::new(3, 4).init(device),
            queries,
            n_kv_heads,
            head_dim,
        };
        seeded(heads, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "queries"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let x = random([5, 3], seed, &self.out.weight.device());
        let x = self.embed.forward(x);
        // [n_kv_heads, queries, tokens, head_dim]
        let split = |x: Tensor<2>, queries: usize| {
            x.reshape([5, self.n_kv_heads, queries, self.head_dim])
                .permute([1, 2, 0, 3])
        };
        let query = split(self.query.forward(x.clone()), self.queries);
        let key = split(self.key.forward(x.clone()), 1).repeat_dim(1, self.queries);
        let value = split(self.value.forward(x), 1).repeat_dim(1, self.queries);
        let attention = softmax(query.matmul(key.transpose()), 3).matmul(value);
        let size = self.n_kv_heads * self.queries * self.head_dim;
        self.out
            .forward(attention.permute([2, 0, 1, 3]).reshape([5, size]))
    }
}

/// Every container, nested, and a bare parameter.
#[derive(Module, Growable, Debug)]
pub struct Nested {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    blocks: Vec<Block>,
    tuple: (Block, Block),
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    pair: [Linear; 2],
    #[grow(gain = "hidden")]
    present: Option<RmsNorm>,
    #[grow(gain = "hidden")]
    absent: Option<RmsNorm>,
    #[grow(dims(_, fan_in = "hidden"))]
    head: Param<Tensor<2>>,
}

/// A module inside a module.
#[derive(Module, Growable, Debug)]
pub struct Block {
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

impl Block {
    fn new(device: &Device) -> Self {
        Self {
            up: LinearConfig::new(4, 6).init(device),
            down: LinearConfig::new(6, 4).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.clone() + self.down.forward(gelu(self.up.forward(x)))
    }
}

impl Probe for Nested {
    fn narrow(seed: u64, device: &Device) -> Self {
        let nested = Self {
            embed: LinearConfig::new(3, 4).init(device),
            blocks: vec![Block::new(device), Block::new(device)],
            tuple: (Block::new(device), Block::new(device)),
            pair: core::array::from_fn(|_| LinearConfig::new(4, 4).init(device)),
            present: Some(RmsNormConfig::new(4).init(device)),
            absent: None,
            head: Param::from_tensor(Tensor::zeros([2, 4], device)),
        };
        seeded(nested, seed)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        let mut x = self
            .embed
            .forward(random([5, 3], seed, &self.head.device()));
        for block in self.blocks.iter().chain([&self.tuple.0, &self.tuple.1]) {
            x = block.forward(x);
        }
        for linear in &self.pair {
            x = linear.forward(x);
        }
        for norm in self.present.iter().chain(&self.absent) {
            x = norm.forward(x);
        }
        x.matmul(self.head.val().transpose())
    }
}
