//! Two convolutions of three by three.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Relu};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::{Block, Downsample, conv, norm};

#[derive(Module, Growable, Debug)]
pub(crate) struct BasicBlock {
    #[grow(fan_in = "input", fan_out = "inner")]
    conv1: Conv2d,
    #[grow(gain = "inner")]
    bn1: BatchNorm,
    relu: Relu,
    #[grow(fan_in = "inner", fan_out = "output")]
    conv2: Conv2d,
    #[grow(gain = "output")]
    bn2: BatchNorm,
    downsample: Option<Downsample>,
}

impl Block for BasicBlock {
    const EXPANSION: usize = 1;

    fn new(c_in: usize, planes: usize, stride: usize, device: &Device) -> Self {
        let changes = stride > 1 || c_in != planes;
        Self {
            conv1: conv([c_in, planes], 3, stride, device),
            bn1: norm(planes, device),
            relu: Relu::new(),
            conv2: conv([planes, planes], 3, 1, device),
            bn2: norm(planes, device),
            downsample: changes.then(|| Downsample::new([c_in, planes], stride, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.relu.forward(self.bn1.forward(self.conv1.forward(x)));
        let x = self.bn2.forward(self.conv2.forward(x));
        self.relu.forward(x + shortcut)
    }
}
