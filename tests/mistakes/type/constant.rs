use burn::module::Module;
use burn_grow_derive::Growable;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Constants {
    #[grow(width = "hidden")]
    width: u32,
    #[grow(width = "hidden")]
    optional: Option<usize>,
    #[grow(multiplier = "hidden")]
    multiplier: f32,
}

fn main() {}
