use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Growable)]
#[grow(crate = burn_grow_core)]
union Union {
    number: u32,
}

#[derive(Growable)]
#[grow(crate = burn_grow_core)]
enum Variants {
    Two(Linear, Linear),
    Named { layer: Linear },
}

#[derive(Growable)]
#[grow(crate = burn_grow_core)]
struct Borrowed<'a> {
    layer: &'a Linear,
}

fn main() {}
