//! The structure of a model after expansions.

use burn_grow_core::{Growable, Plan};

/// The model with the stacks that `plans` make of it, one after the other. Its parameters are not
/// expanded.
pub(crate) fn restructured<M: Growable>(model: &M, plans: &[Plan]) -> M {
    let model = model.clone();
    plans
        .iter()
        .fold(model, |model, plan| plan.restructured(model))
}
