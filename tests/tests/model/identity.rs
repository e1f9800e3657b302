//! Expanding to the present width changes nothing, bit for bit.
#![allow(clippy::unwrap_used)]

use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn_grow::optim::{AsymmetricExt, expand_optimizer};
use burn_grow::{Blueprint, Expansion, Plan, Rewarmup, Scaling, StatePolicy};
use burn_grow_tests::data::gradients;
use burn_grow_tests::dump;
use burn_grow_tests::models::{Fused, Heads, Mlp, Nested, Normed, Probe, Stacked, Tied};
use rstest::rstest;

/// Every way to ask for the present width.
fn expansions<M: Probe>(blueprint: &Blueprint, scaling: Scaling) -> Vec<Expansion> {
    let none = Expansion::default().with_scaling(scaling);
    let mut by = none.clone();
    let mut to = none.clone();
    let mut each = Vec::new();
    let stacks = blueprint.stacks().iter().map(|stack| stack.axis.as_str());
    for axis in M::axes().iter().copied().chain(stacks) {
        let width = blueprint.widths()[&axis.into()];
        each.push(none.clone().and_by(axis, 1.0));
        by = by.and_by(axis, 1.0);
        to = to.and_to(axis, width);
    }
    each.extend([by, to]);
    each
}

fn check<M: Probe>(scaling: Scaling) {
    let device = Device::flex().autodiff();
    let mut optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let mut model = M::narrow(1, &device);
    for step in 0..3 {
        let gradients = gradients(&model, step, |_| true);
        model = optim.step(0.01, model, gradients);
    }
    let blueprint = Blueprint::of(&model).unwrap();
    for expansion in expansions::<M>(&blueprint, scaling) {
        let plan = Plan::new(&blueprint, &expansion).unwrap();
        assert!(plan.is_identity());
        assert_eq!(blueprint.expanded(&plan), blueprint);

        let same = plan.apply(model.clone()).unwrap();
        assert_eq!(dump::model_bytes(&same), dump::model_bytes(&model));
        assert_eq!(dump::params(&same), dump::params(&model));
        assert_eq!(Blueprint::of(&same).unwrap(), blueprint);

        let rewarmup = Rewarmup::proportional().paper();
        for rewarmup in [None, Some(rewarmup.ramp(3, 10))] {
            for policy in [StatePolicy::KeepAndZero, StatePolicy::CopyAll] {
                let mut followed =
                    expand_optimizer(&optim, &model, &plan, policy, rewarmup).unwrap();
                assert_eq!(dump::record(&followed), dump::record(&optim));

                // Nor does it change what comes after.
                let mut original = optim.clone();
                let next = |optim: &mut ModuleOptimizer, model: &M| {
                    let gradients = gradients(model, 4, |_| true);
                    optim.step(0.02, model.clone(), gradients)
                };
                assert_eq!(
                    dump::params(&next(&mut followed, &same)),
                    dump::params(&next(&mut original, &model))
                );
                assert_eq!(dump::record(&followed), dump::record(&original));
            }
        }
    }
}

#[rstest]
fn expanding_to_the_present_width_is_bit_identical(
    #[values(Scaling::RmsPreserving, Scaling::FunctionPreserving, Scaling::None)] scaling: Scaling,
) {
    check::<Mlp>(scaling);
    check::<Normed>(scaling);
    check::<Tied>(scaling);
    check::<Fused>(scaling);
    check::<Heads>(scaling);
    check::<Nested>(scaling);
    check::<Stacked>(scaling);
}
