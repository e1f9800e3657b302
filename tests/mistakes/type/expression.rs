use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Dimensions {
    #[grow(dims(_, fan_in = "hidden", fan_out = "inner"))]
    too_many: Param<Tensor<2>>,
    #[grow(dims(fan_in = "hidden"))]
    too_few: Option<Param<Tensor<2>>>,
    #[grow(dims(fan_in = "hidden", fan_out = "inner"))]
    layer: Linear,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Layouts {
    groups: i32,
    #[grow(fan_out("inner", groups = self.groups, unit = "two"))]
    layer: Linear,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Fractions {
    #[grow(skip, active = Self::half)]
    layer: Linear,
}

impl Fractions {
    fn half(&self) -> usize {
        1
    }
}

fn main() {}
