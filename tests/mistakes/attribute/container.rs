use burn::module::Module;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crat = burn_grow_core)]
struct Misspelled {
    #[grow(fan_in = "hidden")]
    layer: Linear,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core, fan_in = "hidden")]
struct FieldAttribute {
    layer: burn::nn::Relu,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core, crate = burn_grow_core)]
struct Twice {
    layer: burn::nn::Relu,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
enum Variant {
    #[grow(fan_in = "hidden")]
    Dense(Linear),
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core, together("experts", "why"), axes(a = "b"), axes(b = "a"))]
struct Together {
    layer: burn::nn::Relu,
}

fn main() {}
