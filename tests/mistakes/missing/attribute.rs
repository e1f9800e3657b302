use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Undescribed {
    layer: Linear,
    layers: Vec<Linear>,
    param: Param<Tensor<2>>,
    module: Silent,
    // These say what they have to say.
    activation: burn::nn::Relu,
    #[grow(skip)]
    fixed: Linear,
}

#[derive(Module, Debug)]
struct Silent {
    #[module(skip)]
    value: usize,
}

fn main() {}
