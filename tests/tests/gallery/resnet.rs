//! Residual networks: stages of blocks, of which the first one changes the number of channels.

use burn::module::{Module, ModuleDisplay};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

mod basic;
mod bottleneck;

pub(crate) use self::basic::BasicBlock;
pub(crate) use self::bottleneck::Bottleneck;

fn conv(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .init(device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).init(device)
}

/// The shortcut of a block that changes the number of channels.
#[derive(Module, Growable, Debug)]
struct Downsample {
    #[grow(fan_in = "input", fan_out = "output")]
    conv: Conv2d,
    #[grow(gain = "output")]
    bn: BatchNorm,
}

impl Downsample {
    fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        Self {
            conv: conv(channels, 1, stride, device),
            bn: norm(channels[1], device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.bn.forward(self.conv.forward(x))
    }
}

/// A block of a residual network, which reads `input`, is `inner` wide inside, and makes `output`.
pub(crate) trait Block: Growable + ModuleDisplay {
    /// Channels of the output, as a multiple of those inside.
    const EXPANSION: usize;

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self;

    fn forward(&self, x: Tensor<4>) -> Tensor<4>;
}

/// A stage, of which the first block reads what the stage before made.
#[derive(Module, Growable, Debug)]
struct LayerBlock<B: Block> {
    #[grow(axes(input = "output"), first(axes(input = "input")))]
    blocks: Vec<B>,
}

impl<B: Block> LayerBlock<B> {
    fn new(blocks: usize, c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let first = B::new(c_in, planes, stride, device);
        let rest = (1..blocks).map(|_| B::new(B::EXPANSION * planes, planes, 1, device));
        Self {
            blocks: core::iter::once(first).chain(rest).collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct ResNet<B: Block> {
    #[grow(fan_out = "stem")]
    conv1: Conv2d,
    #[grow(gain = "stem")]
    bn1: BatchNorm,
    relu: Relu,
    #[grow(axes(
        input = "stem",
        inner = "planes_1",
        output("planes_1", unit = B::EXPANSION)
    ))]
    layer1: LayerBlock<B>,
    #[grow(axes(
        input("planes_1", unit = B::EXPANSION),
        inner = "planes_2",
        output("planes_2", unit = B::EXPANSION)
    ))]
    layer2: LayerBlock<B>,
    avgpool: AdaptiveAvgPool2d,
    #[grow(fan_in("planes_2", unit = B::EXPANSION))]
    fc: Linear,
}

impl<B: Block> ResNet<B> {
    /// # Shapes
    ///
    /// - `images`: `[batch, 3, height, width]`
    /// - output: `[batch, classes]`
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self
            .relu
            .forward(self.bn1.forward(self.conv1.forward(images)));
        let x = self.layer2.forward(self.layer1.forward(x));
        self.fc.forward(self.avgpool.forward(x).flatten(1, 3))
    }
}

impl<B: Block> Model for ResNet<B> {
    const AXES: &'static [(&'static str, usize)] =
        &[("stem", 10), ("planes_1", 2), ("planes_2", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let [stem, first, second] = ["stem", "planes_1", "planes_2"].map(|axis| size.of(axis));
        Self {
            conv1: conv([3, stem], 3, 1, device),
            bn1: norm(stem, device),
            relu: Relu::new(),
            layer1: LayerBlock::new(2, stem, first, 1, device),
            layer2: LayerBlock::new(2, B::EXPANSION * first, second, 2, device),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(B::EXPANSION * second, 5).init(device),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([3, 3, 6, 6]))
    }
}
