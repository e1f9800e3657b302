use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::{Linear, Relu};

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Block {
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    layer: Linear,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct NotLayers {
    #[grow(fan_in = "hidden")]
    param: Param<Tensor<2>>,
    #[grow(fan_in = "hidden")]
    blocks: Vec<Block>,
    #[grow(gain = "hidden")]
    activation: Relu,
}

fn main() {}
