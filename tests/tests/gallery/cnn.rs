//! A convolutional classifier of small images: one block type, used three times.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Gelu, Linear, LinearConfig, PaddingConfig2d,
};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

/// Pixels of the last feature map.
const PIXELS: usize = 4;

#[derive(Module, Growable, Debug)]
pub(crate) struct ConvBlock {
    #[grow(fan_in = "input", fan_out = "output")]
    conv: Conv2d,
    #[grow(gain = "output")]
    norm: BatchNorm,
    pool: Option<MaxPool2d>,
    activation: Gelu,
}

impl ConvBlock {
    fn new(channels: [usize; 2], pool: bool, device: &Device) -> Self {
        let conv = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same);
        Self {
            conv: conv.init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
            pool: pool.then(|| MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()),
            activation: Gelu::new(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self
            .activation
            .forward(self.norm.forward(self.conv.forward(x)));
        match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        }
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Cnn {
    #[grow(axes(input = _, output = "first"))]
    conv1: ConvBlock,
    #[grow(axes(input = "first", output = "second"))]
    conv2: ConvBlock,
    #[grow(axes(input = "second", output = "third"))]
    conv3: ConvBlock,
    #[grow(fan_in("third", unit = PIXELS), fan_out = "inner")]
    fc1: Linear,
    #[grow(fan_in = "inner")]
    fc2: Linear,
    dropout: Dropout,
    activation: Gelu,
}

impl Cnn {
    /// # Shapes
    ///
    /// - `images`: `[batch, height, width]`
    /// - output: `[batch, classes]`
    fn forward(&self, images: Tensor<3>) -> Tensor<2> {
        let x = self.conv1.forward(images.unsqueeze_dim(1));
        let x = self.conv3.forward(self.conv2.forward(x));
        let x = self.dropout.forward(x.flatten(1, 3));
        let x = self
            .dropout
            .forward(self.activation.forward(self.fc1.forward(x)));
        self.fc2.forward(x)
    }
}

impl Model for Cnn {
    const AXES: &'static [(&'static str, usize)] =
        &[("first", 4), ("second", 6), ("third", 8), ("inner", 10)];

    fn built(size: &Size, device: &Device) -> Self {
        let [first, second, third, inner] =
            ["first", "second", "third", "inner"].map(|axis| size.of(axis));
        Self {
            conv1: ConvBlock::new([1, first], true, device),
            conv2: ConvBlock::new([first, second], true, device),
            conv3: ConvBlock::new([second, third], false, device),
            fc1: LinearConfig::new(third * PIXELS, inner).init(device),
            fc2: LinearConfig::new(inner, 10).init(device),
            dropout: DropoutConfig::new(size.dropout).init(),
            activation: Gelu::new(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([4, 8, 8]))
    }
}
