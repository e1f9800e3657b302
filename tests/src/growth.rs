//! Planning and expanding what is known to grow.

use burn_grow::{Blueprint, Expansion, Growable, Plan};

/// The plan of `expansion` on `model`.
pub fn plan<G: Growable>(model: &G, expansion: &Expansion) -> Plan {
    let blueprint = Blueprint::of(model).expect("described");
    Plan::new(&blueprint, expansion).expect("planned")
}

/// One line a parameter: its path and the role of each dimension.
pub fn described<G: Growable>(model: &G) -> Vec<String> {
    let blueprint = Blueprint::of(model).expect("described");
    let lines = blueprint.params().iter().map(|param| {
        let roles = param.roles.iter().map(|role| match role {
            Some(role) => role.to_string(),
            None => "-".into(),
        });
        format!("{}: {}", param.path, roles.collect::<Vec<_>>().join(", "))
    });
    lines.collect()
}

/// A copy of `model`, expanded.
pub fn grown<G: Growable>(model: &G, expansion: &Expansion) -> G {
    plan(model, expansion)
        .apply(model.clone())
        .expect("expanded")
}
