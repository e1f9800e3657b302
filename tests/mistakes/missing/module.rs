use burn::module::Module;
use burn_grow_derive::Growable;
use burn::nn::{Linear, Relu};

#[derive(Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct NoModule {
    activation: Relu,
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Generic<M> {
    child: Vec<M>,
}

fn needs_growable<G: burn_grow_core::Growable>(_: G) {}

fn uses(growable: Generic<Relu>, not: Generic<Linear>) {
    needs_growable(growable);
    needs_growable(not);
}

fn main() {}
