//! The state of new blocks: held, copied and re-warmed as the policies say.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::ParamGroup;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, MuonConfig};
use burn::tensor::Device;
use burn_grow::optim::{AsymmetricExt, StateRules, expand_optimizer, locked_copies};
use burn_grow::plan::Blocks;
use burn_grow::{Expansion, Rewarmup, StatePolicy};
use burn_grow_tests::data::{gradients, values};
use burn_grow_tests::dump::{self, RecordDump};
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Probe, Stacked};
use burn_pack::Scalar;
use rstest::rstest;

/// AdamW for all, or Muon for the matrices beside it.
fn optimizer(muon: bool) -> ModuleOptimizer {
    let adamw = AdamWConfig::new().with_weight_decay(0.1).build();
    let optim = ModuleOptimizer::from(adamw.asymmetric());
    if !muon {
        return optim;
    }
    let matrices = ParamGroup::from_regex(r"blocks\.\d+\.(up|down)\.weight").unwrap();
    optim.with_group(matrices, MuonConfig::new().build().asymmetric(), None)
}

/// A net of two layers after a few steps.
fn trained(muon: bool) -> (Stacked, ModuleOptimizer) {
    let (mut model, mut optim) = (
        Stacked::of(2, 1, &Device::flex().autodiff()),
        optimizer(muon),
    );
    for step in 0..4 {
        model = optim.step(0.01, model.clone(), gradients(&model, step, |_| true));
    }
    (model, optim)
}

fn deeper() -> Expansion {
    Expansion::to("layers", 4).with_blocks("layers", Blocks::copies().interleaved())
}

/// The state of every parameter by its path: tensors and scalars by their names in it, without
/// regions.
fn by_path(model: &Stacked, record: &RecordDump) -> BTreeMap<String, BTreeMap<String, String>> {
    let params = dump::params(model).into_iter();
    let states = params.map(|(path, param)| {
        let prefix = format!("{}.", param.id);
        let tensors = record
            .tensors
            .iter()
            .map(|(name, state)| (name, format!("{:?} {:?}", state.shape, state.bytes)));
        let scalars = record.scalars.iter();
        let scalars = scalars.map(|(name, value)| (name, format!("{value:?}")));
        let own = tensors.chain(scalars).filter_map(|(name, value)| {
            let field = name.strip_prefix(&prefix)?;
            (!field.starts_with("grow.")).then(|| (field.to_owned(), value))
        });
        (path, own.collect())
    });
    states.collect()
}

#[rstest]
fn new_blocks_hold_what_the_policy_says(
    #[values(false, true)] muon: bool,
    #[values(
        StatePolicy::KeepAndZero,
        StatePolicy::CopyAll,
        StatePolicy::Scale,
        StatePolicy::DropAll
    )]
    policy: StatePolicy,
) {
    let (model, optim) = trained(muon);
    let plan = plan(&model, &deeper());
    let deep = plan.apply(model.clone()).unwrap();
    let expanded = expand_optimizer(&optim, &model, &plan, policy, None).unwrap();
    // The paths of the model after the expansion say the same.
    let after = expand_optimizer(&optim, &deep, &plan, policy, None).unwrap();
    assert_eq!(dump::record(&after), dump::record(&expanded));

    let before = by_path(&model, &dump::record(&optim));
    let found = by_path(&deep, &dump::record(&expanded));
    for (path, state) in &found {
        let planned = plan.param(path).unwrap();
        let source = &before[planned.source_path().unwrap()];
        assert!(!source.is_empty());
        match policy {
            // Nothing, as a parameter of its own that was never stepped.
            _ if planned.is_new() && !copies(policy) => assert!(state.is_empty(), "{path}"),
            StatePolicy::DropAll => assert_ne!(state, source, "{path}"),
            _ => assert_eq!(state, source, "{path}"),
        }
    }
}

fn copies(policy: StatePolicy) -> bool {
    matches!(policy, StatePolicy::CopyAll | StatePolicy::Scale)
}

/// Without a state a new parameter steps as one of its own in a new optimizer.
#[test]
fn a_new_block_without_state_steps_as_parameters_of_its_own() {
    let (model, optim) = trained(false);
    let plan = plan(&model, &deeper());
    let mut optim =
        expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, None).unwrap();
    let mut deep = plan.apply(model).unwrap();
    let mut own = deep.clone();
    let mut fresh = optimizer(false);
    for step in 0..3 {
        deep = optim.step(0.01, deep.clone(), gradients(&deep, 9 + step, |_| true));
        own = fresh.step(0.01, own.clone(), gradients(&own, 9 + step, |_| true));
    }
    let (deep, own) = (dump::params(&deep), dump::params(&own));
    for param in plan.params() {
        let same = deep[&param.path] == own[&param.path];
        assert_eq!(same, param.is_new(), "{}", param.path);
    }
}

#[rstest]
fn a_new_block_is_one_region_and_old_ones_keep_theirs(#[values(false, true)] copy: bool) {
    let (model, optim) = trained(false);
    let ramp = |at| {
        Rewarmup::proportional()
            .with_rho(3.0)
            .with_steps(1)
            .ramp(at, 100)
    };
    let wider = plan(&model, &Expansion::by("inner", 2.0));
    let keep = StatePolicy::KeepAndZero;
    let unwarmed = expand_optimizer(&optim, &model, &wider, keep, None).unwrap();
    let optim = expand_optimizer(&optim, &model, &wider, keep, Some(ramp(4))).unwrap();
    let wide = wider.apply(model).unwrap();
    let regions = |model: &Stacked, optim: &ModuleOptimizer| -> BTreeMap<String, usize> {
        let record = dump::record(optim);
        let params = dump::params(model).into_iter();
        params
            .map(|(path, param)| (path, record.regions(param.id)))
            .collect()
    };
    let before = regions(&wide, &optim);
    let by_layers = if copy { StatePolicy::CopyAll } else { keep };
    let rules = StateRules::from(keep).on("layers", by_layers);
    let deeper = plan(&wide, &deeper());
    let mut optim = expand_optimizer(&optim, &wide, &deeper, rules, Some(ramp(4))).unwrap();
    let deep = deeper.apply(wide.clone()).unwrap();
    let after = regions(&deep, &optim);
    for param in deeper.params() {
        let expected = match param.is_new() {
            true => 1,
            false => before[param.source_path().unwrap()],
        };
        assert_eq!(after[&param.path], expected, "{}", param.path);
    }
    let record = dump::record(&optim);
    for (path, param) in dump::params(&deep) {
        assert_eq!(record.paths[&param.id.to_string()], path);
        let rank = record.scalars[&format!("{}.__rank", param.id)];
        assert_eq!(rank, Scalar::from(param.shape.len()), "{path}");
    }

    // Everything of a new block moves at its own rate.
    let step =
        |optim: &mut ModuleOptimizer| optim.step(0.01, deep.clone(), gradients(&deep, 8, |_| true));
    let warm = dump::params(&step(&mut optim));
    let rules = StateRules::from(keep).on("layers", by_layers);
    let mut cold = expand_optimizer(&unwarmed, &wide, &deeper, rules, None).unwrap();
    let cold = dump::params(&step(&mut cold));
    let start = dump::params(&deep);
    for param in deeper.params().iter().filter(|param| param.is_new()) {
        let [start, warm, cold] = [&start, &warm, &cold].map(|it| it[&param.path].values());
        for ((start, warm), cold) in start.iter().zip(warm).zip(cold) {
            let (warm, cold) = (warm - start, cold - start);
            assert!(
                (warm - 3.0 * cold).abs() <= 1e-5,
                "{}: {warm} {cold}",
                param.path
            );
        }
    }
}

/// Copied blocks stand one behind the other: nothing makes them interchangeable, so that plain
/// copies with copied state come apart at the first step, where copied units stay equal.
#[test]
fn copied_blocks_are_not_locked() {
    let (model, optim) = trained(false);
    let after_a_step = |expansion: &Expansion| {
        let plan = plan(&model, expansion);
        let copy_all = StatePolicy::CopyAll;
        let locked = locked_copies(&optim, &model, &plan, copy_all, None).unwrap();
        let mut optim = expand_optimizer(&optim, &model, &plan, copy_all, None).unwrap();
        let wide = plan.apply(model.clone()).unwrap();
        let loss = wide.output(1).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &wide);
        (optim.step(0.01, wide, gradients), locked)
    };
    let (deep, locked) = after_a_step(&deeper());
    assert_eq!(locked, None);
    let of = |block: usize| values(deep.blocks[block].up.weight.val());
    assert_ne!(of(0), of(1));
    let (wide, locked) = after_a_step(&Expansion::by("inner", 2.0));
    assert!(locked.is_some());
    let bias = values(wide.blocks[0].up.bias.as_ref().unwrap().val());
    assert_eq!(bias[..6], bias[6..]);
}
