use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::Probe;
use crate::data::{random, seeded};

/// A stack of residual blocks, each with a norm before its branch. Its length is an axis, too.
#[derive(Module, Growable, Debug)]
pub struct Stacked {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    /// The blocks.
    #[grow(depth = "layers", fresh = Self::fresh)]
    pub blocks: Vec<StackedBlock>,
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    #[grow(fan_in = "hidden")]
    head: Linear,
    /// The width of the stream.
    #[grow(width = "hidden")]
    pub hidden: usize,
    /// The width inside a block.
    #[grow(width = "inner")]
    pub inner: usize,
    /// The number of blocks.
    #[grow(width = "layers")]
    pub n_layers: usize,
}

/// A block of [`Stacked`].
#[derive(Module, Growable, Debug)]
pub struct StackedBlock {
    /// `[hidden]`
    #[grow(gain = "hidden")]
    pub norm: LayerNorm,
    /// `[hidden, inner]`
    #[grow(fan_in = "hidden", fan_out = "inner")]
    pub up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

impl StackedBlock {
    /// A block of its own initialization.
    pub fn new(hidden: usize, inner: usize, device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(hidden).init(device),
            up: LinearConfig::new(hidden, inner).init(device),
            down: LinearConfig::new(inner, hidden).init(device),
        }
    }
}

impl Stacked {
    /// With so many blocks, its weights drawn from `seed`.
    pub fn of(layers: usize, seed: u64, device: &Device) -> Self {
        let (hidden, inner) = (4, 6);
        let block = |_| StackedBlock::new(hidden, inner, device);
        let stacked = Self {
            embed: LinearConfig::new(3, hidden).init(device),
            blocks: (0..layers).map(block).collect(),
            norm: LayerNormConfig::new(hidden).init(device),
            head: LinearConfig::new(hidden, 2).init(device),
            hidden,
            inner,
            n_layers: layers,
        };
        seeded(stacked, seed)
    }

    fn fresh(&self) -> StackedBlock {
        StackedBlock::new(self.hidden, self.inner, &self.head.weight.device())
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, 3]`
    /// - output: `[batch, 2]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.embed.forward(x), |x, block| {
            let inner = gelu(block.up.forward(block.norm.forward(x.clone())));
            x + block.down.forward(inner)
        });
        self.head.forward(self.norm.forward(x))
    }
}

impl Probe for Stacked {
    fn narrow(seed: u64, device: &Device) -> Self {
        Self::of(2, seed, device)
    }

    fn axes() -> &'static [&'static str] {
        &["hidden", "inner"]
    }

    fn output(&self, seed: u64) -> Tensor<2> {
        self.forward(random([5, 3], seed, &self.head.weight.device()))
    }
}
