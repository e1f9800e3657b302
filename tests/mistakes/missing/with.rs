use burn::module::Module;
use burn_grow_derive::Growable;
use burn::nn::Linear;

mod half {
    use super::Linear;

    pub fn describe(_: &Linear, _: &mut burn_grow_core::describe::Describer) {}
}

mod wrong {
    pub fn describe(_: &burn::nn::Relu, _: &mut burn_grow_core::describe::Describer) {}

    pub fn update_constants(_: &mut burn::nn::Relu, _: &burn_grow_core::describe::Constants<'_>) {}
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Foreign {
    #[grow(with = half)]
    half: Linear,
    #[grow(with = wrong)]
    wrong: Linear,
    #[grow(with = nowhere)]
    nowhere: Linear,
}

fn main() {}
