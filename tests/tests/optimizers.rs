//! Optimizers around growth: one table of optimizers, one set of properties.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsParams, ModuleOptimizer, Optimizer,
    SgdConfig,
};
use burn::tensor::{Device, FloatDType, Tensor};
use burn_grow::{
    AsymmetricExt, CopyMap, Expansion, Growable, OptimError, ParamPlan, Plan, Ramp, Rewarmup,
    RewarmupScope, StatePolicy, expand_optimizer,
};
use burn_grow_tests::data::{assert_close, cast, gradients, random, values};
use burn_grow_tests::dump::{self, ParamDump};
use burn_grow_tests::growth::plan;
use burn_grow_tests::layout::origins;
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe};
use rstest::rstest;

/// An optimizer, plain and adapted.
struct Enrolled {
    plain: ModuleOptimizer,
    adapted: ModuleOptimizer,
}

impl Enrolled {
    fn new<O: Optimizer>(optimizer: O) -> Self {
        Self {
            plain: optimizer.clone().into(),
            adapted: optimizer.asymmetric().into(),
        }
    }
}

macro_rules! enrol {
    ($($name:ident: $optimizer:expr;)+) => {$(
        mod $name {
            use super::*;

            enrol!(@properties $optimizer;
                before_growth_it_is_the_plain_optimizer,
                old_coordinates_follow_the_plain_optimizer,
                new_coordinates_move_at_their_own_rate,
                a_run_resumes_bit_exactly_with_two_regions,
                a_parameter_without_a_gradient_gets_its_region,
                a_policy_says_what_becomes_of_the_state,
                every_parameter_can_be_rewarmed,
                a_base_rate_of_zero_moves_new_coordinates_only,
                a_base_rate_that_starts_at_zero_moves_nothing,
                the_newest_region_counts,
                interleaved_copies_move_at_their_own_rate,
                states_that_burn_cannot_load_back_are_refused,
            );
        }
    )+};
    (@properties $optimizer:expr; $($property:ident,)+) => {$(
        #[test]
        fn $property() {
            super::$property(Enrolled::new($optimizer));
        }
    )+};
}

// Every optimizer is enrolled in every property by standing here.
enrol! {
    adamw: AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1).build();
    adamw_cautious: AdamWConfig::new().with_weight_decay(0.1).with_cautious_weight_decay(true).build();
    adamw_amsgrad: AdamWConfig::new().with_amsgrad(true).build();
    sgd: SgdConfig::new().with_weight_decay(Some(WeightDecayConfig::new(0.1))).build();
    sgd_momentum_nesterov: SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_nesterov(true))).build();
}

const TOTAL: usize = 60;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A base rate that is never the same twice.
fn base(step: usize) -> f64 {
    0.01 + 0.02 * (1.0 + (step as f64 / 20.0).cos())
}

fn every(_path: &str) -> bool {
    true
}

/// One step on drawn gradients.
fn step<M: Module>(model: M, optim: &mut ModuleOptimizer, step: usize) -> M {
    let gradients = gradients(&model, step as u64, every);
    optim.step(base(step), model, gradients)
}

/// Expands both under keep-and-zero.
fn expand<G: Growable>(
    model: G,
    optim: &mut ModuleOptimizer,
    plan: &Plan,
    rewarmup: Option<(Ramp, RewarmupScope)>,
) -> G {
    let policy = StatePolicy::KeepAndZero;
    *optim = expand_optimizer(optim, &model, plan, policy, rewarmup).unwrap();
    plan.apply(model).unwrap()
}

/// The plain optimizer in the state that `adapted` is in.
fn plain_in_the_state_of(plain: &ModuleOptimizer, adapted: &ModuleOptimizer) -> ModuleOptimizer {
    let record = adapted.into_bytes().unwrap();
    plain.clone().from_bytes(record).unwrap()
}

/// `ratio` of the displacement under the plain optimizer, coordinate by coordinate; none means
/// bit-equality with it.
fn assert_displacements(
    before: &BTreeMap<String, ParamDump>,
    plain: &BTreeMap<String, ParamDump>,
    adapted: &BTreeMap<String, ParamDump>,
    ratio: impl Fn(&str, usize) -> Option<f64>,
) {
    for (path, before) in before {
        let (plain, adapted) = (plain[path].values(), adapted[path].values());
        for (index, before) in before.values().into_iter().enumerate() {
            let what = format!("{path}, coordinate {index}");
            match ratio(path, index) {
                None => assert_eq!(
                    adapted[index].to_bits(),
                    plain[index].to_bits(),
                    "{what}: moved {} instead of {}",
                    adapted[index] - before,
                    plain[index] - before
                ),
                Some(ratio) => {
                    let expected = f64::from(plain[index] - before) * ratio;
                    let found = f64::from(adapted[index] - before);
                    assert!(
                        (found - expected).abs() < 1e-6,
                        "{what}: moved {found} instead of {expected}"
                    );
                }
            }
        }
    }
}

fn param<'a>(plan: &'a Plan, path: &str) -> &'a ParamPlan {
    plan.params()
        .iter()
        .find(|param| param.path == path)
        .unwrap()
}

fn before_growth_it_is_the_plain_optimizer(enrolled: Enrolled) {
    let narrow = Fused::narrow(1, &device());
    let run = |optim: &mut ModuleOptimizer, model, steps: core::ops::Range<usize>| {
        steps.fold(model, |model, at| step(model, optim, at))
    };
    let (mut plain, mut adapted) = (enrolled.plain.clone(), enrolled.adapted.clone());
    let by_plain = run(&mut plain, narrow.clone(), 0..10);
    let by_adapted = run(&mut adapted, narrow, 0..10);
    assert_eq!(dump::params(&by_plain), dump::params(&by_adapted));
    assert_eq!(dump::record(&plain), dump::record(&adapted));

    // Their records load into each other.
    let from = |optim: &ModuleOptimizer, bytes| optim.clone().from_bytes(bytes).unwrap();
    let mut swapped_plain = from(&enrolled.plain, adapted.into_bytes().unwrap());
    let mut swapped_adapted = from(&enrolled.adapted, plain.into_bytes().unwrap());
    assert_eq!(dump::record(&swapped_plain), dump::record(&plain));
    assert_eq!(dump::record(&swapped_adapted), dump::record(&adapted));
    let expected = dump::params(&run(&mut plain, by_plain.clone(), 10..15));
    for optim in [&mut adapted, &mut swapped_plain, &mut swapped_adapted] {
        let found = run(optim, by_plain.clone(), 10..15);
        assert_eq!(dump::params(&found), expected);
        assert_eq!(dump::record(optim), dump::record(&plain));
    }
}

fn old_coordinates_follow_the_plain_optimizer(enrolled: Enrolled) {
    let (mut plain, mut adapted) = (enrolled.plain, enrolled.adapted);
    let narrow = Fused::narrow(2, &device());
    let (mut by_plain, mut by_adapted) = (narrow.clone(), narrow);
    for at in 0..5 {
        by_plain = step(by_plain, &mut plain, at);
        by_adapted = step(by_adapted, &mut adapted, at);
    }
    let plan = plan(
        &by_plain,
        &Expansion::by("inner", 1.5).and_by("hidden", 2.0),
    );
    let rewarmup = Rewarmup::cosine(1e-3).with_steps(4);
    let rewarmup = (rewarmup.ramp(5, TOTAL), rewarmup.scope);
    by_plain = expand(by_plain, &mut plain, &plan, None);
    by_adapted = expand(by_adapted, &mut adapted, &plan, Some(rewarmup));
    for at in 5..25 {
        by_plain = step(by_plain, &mut plain, at);
        by_adapted = step(by_adapted, &mut adapted, at);
    }
    let (by_plain, by_adapted) = (dump::params(&by_plain), dump::params(&by_adapted));
    let mut apart = 0;
    for param in plan.params() {
        let (plain, adapted) = (
            &by_plain[&param.path].values(),
            &by_adapted[&param.path].values(),
        );
        for (index, origin) in origins(&plan, param).into_iter().enumerate() {
            match origin.old {
                true => assert_eq!(plain[index].to_bits(), adapted[index].to_bits()),
                false => apart += usize::from(plain[index] != adapted[index]),
            }
        }
    }
    assert!(apart > 100, "{apart}");
}

fn new_coordinates_move_at_their_own_rate(enrolled: Enrolled) {
    fn check<M: Probe>(enrolled: &Enrolled, expansion: &Expansion, rewarmup: &Rewarmup) {
        let mut adapted = enrolled.adapted.clone();
        let mut model = M::narrow(3, &device());
        for at in 0..6 {
            model = step(model, &mut adapted, at);
        }
        let plan = plan(&model, expansion);
        let ramp = rewarmup.ramp(6, TOTAL);
        model = expand(model, &mut adapted, &plan, Some((ramp, rewarmup.scope)));
        for at in 6..26 {
            let before = dump::params(&model);
            let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
            let by_plain = dump::params(&step(model.clone(), &mut plain, at));
            model = step(model, &mut adapted, at);
            let ratio = ramp.rate(at - 6, base(6), base(at)) / base(at);
            assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
                let new = !origins(&plan, param(&plan, path))[index].old;
                new.then_some(ratio)
            });
        }
    }
    let inner = Expansion::by("inner", 1.5);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    for rewarmup in [
        Rewarmup::cosine(1e-3).with_steps(5),
        Rewarmup::proportional().with_rho(2.0).with_steps(3),
        // Slower than the base rate.
        Rewarmup::proportional().with_rho(0.5).with_steps(1),
    ] {
        check::<Mlp>(&enrolled, &inner, &rewarmup);
        check::<Fused>(&enrolled, &inner, &rewarmup);
        check::<Fused>(&enrolled, &both, &rewarmup);
    }
}

/// Two expansions, after 5 and after 10 steps, then up to 15.
fn grown_twice(optim: &mut ModuleOptimizer) -> Fused {
    let mut model = Fused::narrow(4, &device());
    let rewarmup = Rewarmup::cosine(1e-3).with_steps(4);
    for at in 0..15 {
        if at == 5 || at == 10 {
            let by = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
            let plan = plan(&model, &by);
            let ramp = rewarmup.ramp(at, TOTAL);
            model = expand(model, optim, &plan, Some((ramp, rewarmup.scope)));
        }
        model = step(model, optim, at);
    }
    model
}

fn a_run_resumes_bit_exactly_with_two_regions(enrolled: Enrolled) {
    let mut optim = enrolled.adapted.clone();
    let mut model = grown_twice(&mut optim);
    let record = dump::record(&optim);
    for param in dump::params(&model).values() {
        let grew = param.shape != [2];
        assert_eq!(record.regions(param.id), if grew { 2 } else { 0 });
    }

    let bytes = optim.into_bytes().unwrap();
    let mut resumed = enrolled.adapted.from_bytes(bytes).unwrap();
    assert_eq!(dump::record(&resumed), record);
    let mut again = model.clone();
    for at in 15..25 {
        model = step(model, &mut optim, at);
        again = step(again, &mut resumed, at);
    }
    assert_eq!(dump::params(&model), dump::params(&again));
    assert_eq!(dump::record(&optim), dump::record(&resumed));
}

fn a_parameter_without_a_gradient_gets_its_region(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Mlp::narrow(5, &device());
    for at in 0..4 {
        let gradients = gradients(&model, at as u64, |path| path != "up.weight");
        model = adapted.step(base(at), model, gradients);
    }
    let id = model.up.weight.id.val();
    let prefix = format!("{id}.");
    assert!(
        !dump::record(&adapted)
            .scalars
            .keys()
            .any(|name| name.starts_with(&prefix))
    );

    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let rewarmup = Rewarmup::proportional().with_rho(3.0).with_steps(1);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &plan, Some((ramp, rewarmup.scope)));
    let record = dump::record(&adapted);
    assert_eq!(record.regions(id), 1);
    assert!(!record.tensors.values().any(|tensor| tensor.param == id));

    // Its first step, then, and the ones after.
    for at in 4..8 {
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            let new = !origins(&plan, param(&plan, path))[index].old;
            new.then_some(3.0)
        });
    }
}

fn a_policy_says_what_becomes_of_the_state(enrolled: Enrolled) {
    for optim in [enrolled.plain, enrolled.adapted] {
        let mut optim = optim;
        let mut model = Fused::narrow(6, &device());
        for at in 0..4 {
            model = step(model, &mut optim, at);
        }
        let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
        let before = dump::record(&optim);
        let ids: BTreeMap<u64, String> = dump::params(&model)
            .into_iter()
            .map(|(path, param)| (param.id, path))
            .collect();
        // The factors of the two axes where they are consumed.
        let factor = |path: &str| match path {
            "gate_up.weight" | "head.weight" => 0.5,
            "down.weight" => 1.0 / 2.5f32.sqrt(),
            _ => 1.0,
        };
        for policy in [
            StatePolicy::KeepAndZero,
            StatePolicy::CopyAll,
            StatePolicy::DropAll,
            StatePolicy::Scale,
        ] {
            let expanded = expand_optimizer(&optim, &model, &plan, policy, None).unwrap();
            let after = dump::record(&expanded);
            assert_eq!(after.scalars, before.scalars);
            assert_eq!(after.paths, before.paths);
            assert!(after.tensors.keys().eq(before.tensors.keys()));
            for (name, state) in &before.tensors {
                let param = param(&plan, &ids[&state.param]);
                let values = state.values();
                let square = name.contains("moment_2");
                let scale = factor(&param.path).powi(if square { 2 } else { 1 });
                let expected: Vec<f32> = origins(&plan, param)
                    .into_iter()
                    .map(|origin| match policy {
                        StatePolicy::KeepAndZero if origin.old => values[origin.source],
                        StatePolicy::KeepAndZero | StatePolicy::DropAll => 0.0,
                        StatePolicy::CopyAll => values[origin.source],
                        StatePolicy::Scale => values[origin.source] * scale,
                    })
                    .collect();
                let found = after.tensors[name].values();
                match policy {
                    StatePolicy::Scale => assert_close(&found, &expected, 1e-6, name),
                    _ => assert_eq!(found, expected, "{name} {policy:?}"),
                }
                assert_eq!(after.tensors[name].shape, param.new_shape, "{name}");
            }
        }
    }
}

fn interleaved_copies_move_at_their_own_rate(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Fused::narrow(8, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let interleaved = Expansion::by("inner", 2.0).with_map(CopyMap::Interleaved);
    let by = plan(&model, &interleaved);
    let rewarmup = Rewarmup::proportional().with_rho(3.0).with_steps(1);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &by, Some((ramp, rewarmup.scope)));
    for at in 4..8 {
        // Blocks from here on: what was a copy stays one.
        let second = (at == 7).then(|| plan(&model, &Expansion::by("inner", 1.5)));
        if let Some(second) = &second {
            model = expand(model, &mut adapted, second, None);
        }
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        let width = if at == 7 { 18 } else { 12 };
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            let unit = match path {
                "gate_up.weight" | "gate_up.bias" => index % width,
                "down.weight" => index / 4,
                _ => 0,
            };
            // Odd units copy their even neighbours, and what comes later follows what it copies.
            (unit % 2 == 1).then_some(3.0)
        });
    }
}

fn every_parameter_can_be_rewarmed(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Mlp::narrow(7, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let by = plan(&model, &Expansion::by("inner", 2.0));
    let all = Rewarmup::proportional()
        .with_rho(2.0)
        .with_steps(2)
        .with_scope(RewarmupScope::All);
    let ramp = all.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &by, Some((ramp, all.scope)));
    let record = dump::record(&adapted);
    for (path, param) in dump::params(&model) {
        assert_eq!(record.regions(param.id), 1, "{path}");
    }
    for at in 4..8 {
        // A second expansion, of new coordinates only, covers a part of the first.
        let second = (at == 7).then(|| plan(&model, &Expansion::by("inner", 1.5)));
        if let Some(second) = &second {
            let new = Rewarmup::proportional().with_rho(3.0).with_steps(1);
            let ramp = new.ramp(7, TOTAL);
            model = expand(model, &mut adapted, second, Some((ramp, new.scope)));
        }
        let before = dump::params(&model);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let by_plain = dump::params(&step(model.clone(), &mut plain, at));
        model = step(model, &mut adapted, at);
        let climb = ramp.rate(at - 4, base(4), base(at)) / base(at);
        assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
            // The newest units stand last on the axis of 12.
            let newest = match path {
                "up.weight" => index % 12 >= 8,
                "up.bias" => index >= 8,
                "down.weight" => index / 2 >= 8,
                _ => false,
            };
            Some(if newest && at == 7 { 3.0 } else { climb })
        });
    }
}

fn a_base_rate_of_zero_moves_new_coordinates_only(enrolled: Enrolled) {
    let mut adapted = enrolled.adapted;
    let mut model = Fused::narrow(8, &device());
    for at in 0..4 {
        model = step(model, &mut adapted, at);
    }
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let rewarmup = Rewarmup::cosine(1e-3).with_steps(3);
    let ramp = rewarmup.ramp(4, TOTAL);
    model = expand(model, &mut adapted, &plan, Some((ramp, rewarmup.scope)));
    // The rate at the expansion is that of the first step.
    model = step(model, &mut adapted, 4);
    for age in 1..6 {
        let before = dump::params(&model);
        let rate = ramp.rate(age, base(4), 0.0);
        assert!(rate > 0.0);
        let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
        let drawn = || gradients(&model, age as u64, every);
        let by_plain = dump::params(&plain.step(rate, model.clone(), drawn()));
        let drawn = drawn();
        model = adapted.step(0.0, model, drawn);
        let after = dump::params(&model);
        for param in plan.params() {
            let path = &param.path;
            let (before, after) = (before[path].values(), after[path].values());
            let by_plain = by_plain[path].values();
            for (index, origin) in origins(&plan, param).into_iter().enumerate() {
                match origin.old {
                    true => assert_eq!(after[index].to_bits(), before[index].to_bits()),
                    false => assert!((after[index] - by_plain[index]).abs() < 1e-6, "{path}"),
                }
            }
        }
    }
}

fn a_base_rate_that_starts_at_zero_moves_nothing(enrolled: Enrolled) {
    for rewarmup in [
        Rewarmup::proportional().with_steps(2),
        Rewarmup::cosine(0.0).with_steps(2),
    ] {
        let mut adapted = enrolled.adapted.clone();
        let model = step(Mlp::narrow(9, &device()), &mut adapted, 0);
        let plan = plan(&model, &Expansion::by("inner", 2.0));
        let ramp = rewarmup.ramp(1, TOTAL);
        let mut wide = expand(model, &mut adapted, &plan, Some((ramp, rewarmup.scope)));
        let before = dump::params(&wide);
        for at in 1..5 {
            let drawn = gradients(&wide, at, every);
            wide = adapted.step(0.0, wide, drawn);
            assert_eq!(dump::params(&wide), before);
        }
    }
}

fn the_newest_region_counts(enrolled: Enrolled) {
    /// Expansions in turn, each with a rate of its own.
    fn check<M: Probe>(enrolled: &Enrolled, expansions: &[Expansion]) {
        let mut adapted = enrolled.adapted.clone();
        let mut model = M::narrow(10, &device());
        model = step(model, &mut adapted, 0);
        // The expansion that every coordinate came with, none for the first ones.
        let mut labels: BTreeMap<String, Vec<Option<usize>>> = dump::params(&model)
            .into_iter()
            .map(|(path, param)| (path, vec![None; param.values().len()]))
            .collect();
        let mut ramps = Vec::new();
        for (number, expansion) in expansions.iter().enumerate() {
            let plan = plan(&model, expansion);
            let rho = 2.0 + number as f64;
            let rewarmup = Rewarmup::proportional().with_rho(rho).with_steps(1);
            let ramp = rewarmup.ramp(number + 1, TOTAL);
            ramps.push(ramp);
            model = expand(model, &mut adapted, &plan, Some((ramp, rewarmup.scope)));
            for param in plan.params() {
                let labels = labels.get_mut(&param.path).unwrap();
                *labels = origins(&plan, param)
                    .into_iter()
                    .map(|origin| match origin.old {
                        true => labels[origin.source],
                        false => Some(number),
                    })
                    .collect();
            }
            let at = number + 1;
            let before = dump::params(&model);
            let mut plain = plain_in_the_state_of(&enrolled.plain, &adapted);
            let by_plain = dump::params(&step(model.clone(), &mut plain, at));
            model = step(model, &mut adapted, at);
            assert_displacements(&before, &by_plain, &dump::params(&model), |path, index| {
                labels[path][index].map(|number| ramps[number].rho)
            });
        }
    }
    let (inner, hidden) = (Expansion::by("inner", 2.0), Expansion::by("hidden", 2.0));
    let both = Expansion::by("inner", 1.5).and_by("hidden", 2.0);
    let more = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    check::<Mlp>(&enrolled, &[inner.clone(), inner.clone(), inner.clone()]);
    check::<Fused>(&enrolled, &[both, more]);
    check::<Fused>(&enrolled, &[inner.clone(), hidden.clone()]);
    // The fused axis grows second: its old coordinates move, and stay old.
    check::<Fused>(&enrolled, &[hidden.clone(), inner]);
    let queries = |factor| Expansion::by("queries", factor);
    check::<Heads>(&enrolled, &[queries(2.0), hidden, queries(1.5)]);
}

/// The values, not their type: Burn 0.22 loads every optimizer record as the device's default type,
/// and then cannot step a parameter of half precision any more, grown or not.
fn states_that_burn_cannot_load_back_are_refused(enrolled: Enrolled) {
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let mut adapted = enrolled.adapted.clone();
        let mut model = cast(Fused::narrow(11, &device()), dtype);
        for at in 0..3 {
            model = step(model, &mut adapted, at);
        }
        let before = dump::record(&adapted);
        let plan = plan(&model, &Expansion::by("inner", 1.5).and_by("hidden", 2.0));
        let policy = StatePolicy::KeepAndZero;
        let result = expand_optimizer(&adapted, &model, &plan, policy, None);
        if before.tensors.is_empty() {
            // Without state there is nothing to lose.
            result.unwrap();
            continue;
        }
        let error = result.err().unwrap();
        assert!(matches!(error, OptimError::DType { .. }), "{error}");
        assert!(error.to_string().contains("F32"), "{error}");
    }
}

/// One parameter that grows along its second dimension.
#[derive(Module, Growable, Debug)]
struct Bare {
    #[grow(dims(_, fan_out = "width"))]
    weight: Param<Tensor<2>>,
}

#[rstest]
fn a_grown_parameter_equals_two_with_their_own_state_and_rate(
    #[values(0.95, 0.999)] beta_2: f32,
    #[values(false, true)] amsgrad: bool,
) {
    let adamw = AdamWConfig::new()
        .with_beta_2(beta_2)
        .with_weight_decay(0.1)
        .with_amsgrad(amsgrad)
        .build();
    let device = device();
    let plain = device.clone().without_autodiff();
    let first = random([3, 4], 1, &plain);
    let mut whole = Bare {
        weight: Param::from_tensor(first.clone().autodiff()),
    };
    let mut optim = ModuleOptimizer::from(adamw.clone().asymmetric());
    let (mut old, mut old_state) = (first, None);
    for at in 0..10 {
        let gradient = random([3, 4], 100 + at as u64, &plain);
        let mut gradients = GradientsParams::new();
        gradients.register(whole.weight.id, gradient.clone());
        whole = optim.step(base(at), whole, gradients);
        (old, old_state) = adamw.step(base(at), old, gradient, old_state);
    }
    assert_eq!(values(whole.weight.val()), values(old.clone()));

    let plan = plan(&whole, &Expansion::to("width", 7));
    let rewarmup = Rewarmup::cosine(1e-3).with_steps(6);
    let ramp = rewarmup.ramp(10, TOTAL);
    whole = expand(whole, &mut optim, &plan, Some((ramp, rewarmup.scope)));
    let mut new = old.clone().narrow(1, 0, 3);
    let zeros = || Tensor::zeros([3, 3], &plain);
    let mut momentum = AdaptiveMomentumState::new(10, zeros(), zeros());
    momentum.max_moment_2 = amsgrad.then(zeros);
    let mut new_state = Some(AdamWState::new(momentum));
    for at in 10..TOTAL {
        let gradient = random([3, 7], 100 + at as u64, &plain);
        let (of_old, of_new) = (
            gradient.clone().narrow(1, 0, 4),
            gradient.clone().narrow(1, 4, 3),
        );
        let mut gradients = GradientsParams::new();
        gradients.register(whole.weight.id, gradient);
        whole = optim.step(base(at), whole, gradients);
        (old, old_state) = adamw.step(base(at), old, of_old, old_state);
        let rate = ramp.rate(at - 10, base(10), base(at));
        (new, new_state) = adamw.step(rate, new, of_new, new_state);
        let slices = Tensor::cat(vec![old.clone(), new.clone()], 1);
        let what = format!("after step {at}");
        assert_close(&values(whole.weight.val()), &values(slices), 1e-6, &what);
    }
}
