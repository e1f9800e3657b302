use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Contradictions {
    #[grow(skip, fan_in = "hidden")]
    skipped: Linear,
    #[grow(width = "hidden", fan_in = "hidden")]
    width: usize,
    #[grow(dims(_, _), fan_out = "hidden")]
    dims: Param<Tensor<2>>,
    #[grow(gate = "inner", fan_out = "inner")]
    gate: Linear,
    #[grow(with = foreign)]
    #[grow(skip)]
    with: Linear,
    #[grow(multiplier = "hidden", active = fraction)]
    active: f64,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Duplicates {
    #[grow(fan_in = "hidden", fan_in = "inner")]
    role: Linear,
    #[grow(skip)]
    #[grow(skip)]
    skip: Linear,
    #[grow(active = fraction, skip, active = fraction)]
    active: Linear,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Passed {
    #[module(skip)]
    #[grow(width = "hidden")]
    width: usize,
}

fn main() {}
