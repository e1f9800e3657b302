//! Planning and expanding what is known to grow.

use burn_grow::{Blueprint, Expansion, Growable, Plan};

/// The plan of `expansion` on `model`.
pub fn plan<G: Growable>(model: &G, expansion: &Expansion) -> Plan {
    let blueprint = Blueprint::of(model).expect("described");
    Plan::new(&blueprint, expansion).expect("planned")
}

/// A copy of `model`, expanded.
pub fn grown<G: Growable>(model: &G, expansion: &Expansion) -> G {
    plan(model, expansion)
        .apply(model.clone())
        .expect("expanded")
}
