use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Misspelled {
    // Both are reported, and so is what is wrong with the other fields.
    #[grow(fanin = "hidden", fanout = "inner")]
    near: Linear,
    #[grow(horizontal = "hidden")]
    far: Linear,
    #[grow(fan_out("inner", group = 2))]
    layout: Linear,
    #[grow(fan_out = "inner", groups = 2)]
    outside: Linear,
    #[grow(dims(_, fan_in = "hidden", fan_aut = "inner"))]
    dimension: Param<Tensor<3>>,
    #[grow(crate = burn_grow_core)]
    container: Linear,
}

fn needs_growable<G: burn_grow_core::Growable>(_: G) {}

// The type still is `Growable`: the mistakes above do not make this one.
fn uses(module: Misspelled) {
    needs_growable(module);
}

fn main() {}
