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
    #[grow(fan_in = "hidden")]
    layer: Linear,
    #[module(skip)]
    #[grow(axes(hidden = "inner"), active = fraction)]
    config: usize,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Misplaced {
    #[grow(fan_in = "hidden", axes(hidden = "inner"))]
    layer: Linear,
    #[grow(fan_in = "hidden", first(fan_in = "pixels"))]
    one: Linear,
    #[grow(first(fan_in = "pixels"))]
    children: Vec<Linear>,
    #[grow(fan_in = "hidden", first(axes(hidden = "inner")))]
    layers: Vec<Linear>,
    #[grow(axes(hidden = "inner"), first(axes(hidden = _), fan_in = "pixels"))]
    both: Vec<Linear>,
}

fn main() {}
