//! A narrow convolution of three by three, between two of one by one.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Relu};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::{Block, Downsample, conv, norm};

#[derive(Module, Growable, Debug)]
pub(crate) struct Bottleneck {
    #[grow(fan_in = "input", fan_out = "inner")]
    conv1: Conv2d,
    #[grow(gain = "inner")]
    bn1: BatchNorm,
    #[grow(fan_in = "inner", fan_out = "inner")]
    conv2: Conv2d,
    #[grow(gain = "inner")]
    bn2: BatchNorm,
    #[grow(fan_in = "inner", fan_out = "output")]
    conv3: Conv2d,
    #[grow(gain = "output")]
    bn3: BatchNorm,
    relu: Relu,
    downsample: Option<Downsample>,
}

impl Block for Bottleneck {
    const EXPANSION: usize = 4;

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let c_out = Self::EXPANSION * planes;
        let changes = stride > 1 || c_in != c_out;
        Self {
            conv1: conv([c_in, planes], 1, 1, device),
            bn1: norm(planes, device),
            conv2: conv([planes, planes], 3, stride, device),
            bn2: norm(planes, device),
            conv3: conv([planes, c_out], 1, 1, device),
            bn3: norm(c_out, device),
            relu: Relu::new(),
            downsample: changes.then(|| Downsample::new([c_in, c_out], stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)));
        let x = self.relu.forward(self.bn2.forward(self.conv2.forward(x)));
        let x = self.bn3.forward(self.conv3.forward(x));
        self.relu.forward(x + shortcut)
    }
}
