//! Optimizers whose rates follow widths, before and after an expansion.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdamWConfig, AdjustLrFn, GradientsParams, ModuleOptimizer, MuonConfig, SgdConfig,
};
use burn::tensor::{Device, Tensor};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::{
    AsymmetricConfig, AsymmetricGroups, BatchedMuonConfig, MixedPrecision, PerExpert,
    check_asymmetric, expand_optimizer,
};
use burn_grow::parametrization::{Parametrization, Parametrized, Readout, Rule, Update};
use burn_grow::plan::Blocks;
use burn_grow::{Blueprint, Expansion, Growable, Rewarmup, StatePolicy};
use burn_grow_tests::data::{assert_close, distance, gradients, random, values};
use burn_grow_tests::dump::{self, ParamDump};
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Mlp, Stacked};

const RATE: f64 = 0.01;
const DECAY: f32 = 0.5;

fn device() -> Device {
    Device::flex().autodiff()
}

fn adamw() -> AdamWConfig {
    AdamWConfig::new().with_weight_decay(DECAY)
}

fn sgd() -> SgdConfig {
    let momentum = MomentumConfig {
        momentum: 0.9,
        dampening: 0.0,
        nesterov: false,
    };
    SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(Some(WeightDecayConfig::new(DECAY)))
}

/// The base is a fourth as wide as [`Stacked`] is.
fn widths<M: Growable>(model: &M) -> Parametrized {
    let mup = Parametrization::mup([("hidden", 2), ("inner", 2)]);
    mup.of(&Blueprint::of(model).unwrap()).unwrap()
}

fn stepped<M: Growable>(mut model: M, optim: &mut ModuleOptimizer, steps: u64) -> M {
    for step in 0..steps {
        model = optim.step(RATE, model.clone(), gradients(&model, step, |_| true));
    }
    model
}

fn bits<M: Module>(model: &M) -> BTreeMap<String, Vec<u8>> {
    let params = dump::params(model).into_iter();
    params.map(|(path, param)| (path, param.bytes)).collect()
}

/// Every parameter by an optimizer of its own, at its own rate and with its own decay.
fn one_by_one<M: Growable, C: AsymmetricConfig>(
    model: &M,
    steps: u64,
    config: impl Fn(f32) -> C,
) -> BTreeMap<String, Vec<u8>> {
    let found = widths(model);
    let params = found.params().iter().map(|param| {
        let factors = param.factors(config(1.0).update());
        let mut optim = config(factors.decay as f32).build_plain().into();
        let optim: &mut ModuleOptimizer = &mut optim;
        let mut alone = model.clone();
        for step in 0..steps {
            let rate = RATE * factors.rate;
            alone = optim.step(rate, alone.clone(), gradients(&alone, step, |_| true));
        }
        let mut bits = bits(&alone);
        (param.path.clone(), bits.remove(&param.path).unwrap())
    });
    params.collect()
}

#[test]
fn every_parameter_moves_as_by_an_optimizer_of_its_own_rate_and_decay() {
    let model = Stacked::of(2, 0, &device());
    let mut optim = adamw().init_parametrized(&widths(&model)).unwrap();
    let expected = one_by_one(&model, 3, |decay| adamw().with_weight_decay(DECAY * decay));
    assert_eq!(bits(&stepped(model.clone(), &mut optim, 3)), expected);

    let mut optim = sgd().init_parametrized(&widths(&model)).unwrap();
    let expected = one_by_one(&model, 3, |decay| {
        sgd().with_weight_decay(Some(WeightDecayConfig::new(DECAY * decay)))
    });
    assert_eq!(bits(&stepped(model, &mut optim, 3)), expected);
}

#[test]
fn at_the_base_widths_and_by_the_standard_rule_every_bit_is_that_of_the_plain_optimizer() {
    let model = Stacked::of(2, 0, &device());
    let blueprint = Blueprint::of(&model).unwrap();
    let plain = bits(&stepped(model.clone(), &mut adamw().init_asymmetric(), 3));
    for parametrization in [
        Parametrization::mup([("hidden", 4), ("inner", 6)]),
        Parametrization::standard([("hidden", 2), ("inner", 2)]),
    ] {
        let widths = parametrization.of(&blueprint).unwrap();
        let mut optim = adamw().init_parametrized(&widths).unwrap();
        assert_eq!(bits(&stepped(model.clone(), &mut optim, 3)), plain);
    }
}

/// Gradients of one for every parameter.
fn ones<M: Module>(model: &M) -> GradientsParams {
    struct Ones(GradientsParams);
    impl burn::module::ModuleVisitor for Ones {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.register(param.id, param.val().inner().ones_like());
        }
    }
    let mut ones = Ones(GradientsParams::new());
    model.visit(&mut ones);
    ones.0
}

/// How far every coordinate moves down in one step of gradients of one: its rate, under plain SGD.
fn rates<M: Growable>(model: &M, optim: &mut ModuleOptimizer) -> (M, BTreeMap<String, Vec<f32>>) {
    let before = dump::params(model);
    let after = optim.step(RATE, model.clone(), ones(model));
    let moved = |(path, after): (String, ParamDump)| {
        let pairs = before[&path].values().into_iter().zip(after.values());
        let moved = pairs.map(|(before, after)| before - after).collect();
        (path, moved)
    };
    let moved = dump::params(&after).into_iter().map(moved).collect();
    (after, moved)
}

#[test]
fn from_an_expansion_on_all_coordinates_have_the_factors_of_the_new_width_and_new_ones_are_rewarmed()
 {
    let narrow = Mlp::of([3, 4, 2], 0, &device());
    let mup = Parametrization::mup([("inner", 2)]);
    let widths = |model: &Mlp| mup.of(&Blueprint::of(model).unwrap()).unwrap();
    let mut optim = SgdConfig::new()
        .init_parametrized(&widths(&narrow))
        .unwrap();
    let (narrow, before) = rates(&narrow, &mut optim);
    // Under SGD: `fan_out` for what makes the width and its bias, `1 / fan_in` for a readout.
    for (path, factor) in [("up.weight", 2.0), ("up.bias", 2.0), ("down.weight", 0.5)] {
        let expected = vec![(RATE * factor) as f32; before[path].len()];
        assert_close(&before[path], &expected, 1e-4, path);
    }

    let plan = plan(&narrow, &Expansion::by("inner", 2.0));
    let ramp = Rewarmup::proportional()
        .with_rho(3.0)
        .with_steps(1)
        .ramp(1, 100);
    let policy = StatePolicy::KeepAndZero;
    let mut optim = expand_optimizer(&optim, &narrow, &plan, policy, Some(ramp)).unwrap();
    let wide = plan.apply(narrow).unwrap();
    // The optimizer was made for the narrow model, and follows the wide one.
    let (_, after) = rates(&wide, &mut optim);
    for param in widths(&wide).params() {
        let factor = param.factors(Update::Gradient).rate;
        let is_new = |index: usize| match param.path.as_str() {
            "up.weight" => index % 8 >= 4,
            "up.bias" => index >= 4,
            "down.weight" => index / 2 >= 4,
            _ => false,
        };
        let found = &after[&param.path];
        let rate = |index| RATE * factor * if is_new(index) { 3.0 } else { 1.0 };
        let expected: Vec<f32> = (0..found.len()).map(|index| rate(index) as f32).collect();
        assert_close(found, &expected, 1e-4, &param.path);
    }
}

#[test]
fn a_record_is_that_of_the_plain_optimizer_and_a_resumed_run_goes_on_bit_for_bit() {
    let model = Stacked::of(1, 0, &device());
    let mut optim = adamw().init_parametrized(&widths(&model)).unwrap();
    let model = stepped(model, &mut optim, 2);
    let expansion = Expansion::by("hidden", 2.0)
        .and_to("layers", 2)
        .with_blocks("layers", Blocks::copies());
    let plan = plan(&model, &expansion);
    let ramp = Some(Rewarmup::proportional().ramp(2, 100));
    let policy = StatePolicy::KeepAndZero;
    let mut expanded = expand_optimizer(&optim, &model, &plan, policy, ramp).unwrap();
    let wide = stepped(plan.apply(model.clone()).unwrap(), &mut expanded, 2);

    let mut plain = adamw().init_asymmetric();
    plain = plain.load_record(optim.to_record());
    let (of, plain_of) = (dump::record(&optim), dump::record(&plain));
    assert_eq!(of.tensors, plain_of.tensors);
    assert_eq!(of.scalars, plain_of.scalars);

    // A process that begins with the wide model, and one that begins with the narrow one.
    for begun in [&model, &wide] {
        let fresh = adamw().init_parametrized(&widths(begun)).unwrap();
        let mut resumed = fresh.load_record(expanded.to_record());
        check_asymmetric(&resumed, &wide).unwrap();
        let mut going_on = expanded.clone();
        assert_eq!(
            bits(&stepped(wide.clone(), &mut resumed, 2)),
            bits(&stepped(wide.clone(), &mut going_on, 2))
        );
    }
}

#[test]
fn new_blocks_train_at_the_rates_of_their_siblings() {
    let model = Stacked::of(1, 0, &device());
    let optim = SgdConfig::new().init_parametrized(&widths(&model)).unwrap();
    let deeper = Expansion::to("layers", 3).with_blocks("layers", Blocks::copies());
    let plan = plan(&model, &deeper);
    let policy = StatePolicy::KeepAndZero;
    let mut optim = expand_optimizer(&optim, &model, &plan, policy, None).unwrap();
    let (_, moved) = rates(&plan.apply(model).unwrap(), &mut optim);
    // `[hidden, inner]`: twice as wide reads, three times as wide makes.
    for block in 0..3 {
        let path = format!("blocks.{block}.up.weight");
        let expected = vec![(RATE * 1.5) as f32; 24];
        assert_close(&moved[&path], &expected, 1e-3, &path);
    }
}

fn moe() -> (MoeTransformer, Parametrized) {
    let model = MoeConfig::default().init(&device());
    let base = [("hidden", 8), ("inner", 8), ("kv_heads", 1), ("queries", 1)];
    let widths = Parametrization::mup(base).of(&Blueprint::of(&model).unwrap());
    (model, widths.unwrap())
}

#[test]
fn groups_with_optimizers_of_their_own_follow_widths_each_in_its_way() {
    let (model, widths) = moe();
    let muon = BatchedMuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
    let matrices = || ParamGroup::from_predicate("_proj");
    let mut optim = adamw()
        .init_parametrized(&widths)
        .unwrap()
        .with_parametrized_group(matrices(), &muon, &widths)
        .unwrap();
    check_asymmetric(&optim, &model).unwrap();
    let found = bits(&stepped(model.clone(), &mut optim, 1));
    for param in widths.params() {
        let by_muon = param.path.contains("_proj");
        let update = if by_muon {
            muon.update()
        } else {
            Update::Elementwise
        };
        let factors = param.factors(update);
        let decay = DECAY * factors.decay as f32;
        let mut alone: ModuleOptimizer = adamw().with_weight_decay(decay).init();
        alone = alone.with_group(matrices(), muon.build(), None);
        let rate = RATE * factors.rate;
        let moved = alone.step(rate, model.clone(), gradients(&model, 0, |_| true));
        assert_eq!(
            bits(&moved)[&param.path],
            found[&param.path],
            "{}",
            param.path
        );
    }
    // Both ways to step a stack of matrices are the same.
    let stacks = || ParamGroup::from_any_predicates(vec!["gate_proj", "up_proj", "down_proj"]);
    let plain = MuonConfig::new();
    let mut both = [
        adamw().init_asymmetric().with_parametrized_group(
            stacks(),
            &PerExpert::new(plain),
            &widths,
        ),
        adamw().init_asymmetric().with_parametrized_group(
            stacks(),
            &BatchedMuonConfig::new(),
            &widths,
        ),
    ]
    .map(Result::unwrap);
    let [one, other] = both
        .each_mut()
        .map(|optim| stepped(model.clone(), optim, 1));
    for (path, param) in dump::params(&one) {
        let other = dump::params(&other)[&path].values();
        assert_close(&param.values(), &other, 1e-5, &path);
    }
}

#[test]
fn clipping_and_mixed_precision_stay_around_the_rates() {
    let model = Stacked::of(1, 0, &device());
    let clipped = adamw().with_grad_clipping(Some(GradientClippingConfig::Norm(1e-3)));
    let widths = widths(&model);
    let mut optim = clipped.init_parametrized(&widths).unwrap();
    assert!(optim.has_gradient_clipping());
    let mut around = MixedPrecision::new(clipped)
        .init_parametrized(&widths)
        .unwrap();
    check_asymmetric(&around, &model).unwrap();
    // In single precision there is nothing to round.
    assert_eq!(
        bits(&stepped(model.clone(), &mut around, 2)),
        bits(&stepped(model.clone(), &mut optim, 2))
    );
    let unclipped = stepped(
        model.clone(),
        &mut adamw().init_parametrized(&widths).unwrap(),
        2,
    );
    assert_ne!(bits(&unclipped), bits(&stepped(model, &mut optim, 2)));
}

/// A readout that divides in `forward` has weights `m` times as large, and trains alike.
#[test]
fn the_width_of_a_readout_may_be_in_its_weights_or_in_a_multiplier() {
    let device = device();
    let wide = Mlp::of([3, 8, 2], 0, &device);
    let m = 4.0;
    let larger = |by: f64| {
        let mut model = wide.clone();
        model.down.weight = model
            .down
            .weight
            .map(|it| Tensor::from_inner(it.inner().mul_scalar(by)).require_grad());
        model
    };
    let input = random([16, 3], 1, &device);
    let target = random([16, 2], 2, &device);
    let train = |mut model: Mlp, readout: Readout, divide: f64, sgd: bool| {
        let mup = Parametrization::new(Rule::Mup(readout), [("inner", 2)]);
        let widths = mup.of(&Blueprint::of(&model).unwrap()).unwrap();
        let mut optim = match sgd {
            true => SgdConfig::new().init_parametrized(&widths).unwrap(),
            // No decay and hardly an epsilon: the gradient is smaller by `m`.
            false => AdamWConfig::new()
                .with_weight_decay(0.1)
                .with_epsilon(1e-20)
                .init_parametrized(&widths)
                .unwrap(),
        };
        let output = |model: &Mlp| {
            let bias = model.down.bias.as_ref().unwrap().val().unsqueeze();
            let hidden = burn::tensor::activation::gelu(model.up.forward(input.clone()));
            hidden.matmul(model.down.weight.val()).div_scalar(divide) + bias
        };
        for _ in 0..5 {
            let loss = (output(&model) - target.clone()).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optim.step(0.02, model, grads);
        }
        values(output(&model))
    };
    for sgd in [false, true] {
        let weights = train(larger(1.0), Readout::Weights, 1.0, sgd);
        let multiplier = train(larger(m), Readout::Multiplier, m, sgd);
        assert_close(&weights, &multiplier, 1e-4, "the output");
        let untrained = train(larger(1.0), Readout::Weights, m, sgd);
        assert_ne!(weights, untrained);
    }
}

/// The output of `model` after `steps` steps on one batch.
fn trained(mut model: Stacked, optim: &mut ModuleOptimizer, steps: usize) -> (Stacked, Vec<f32>) {
    let device = device();
    let (x, y) = (random([16, 3], 1, &device), random([16, 2], 2, &device));
    for _ in 0..steps {
        let loss = (model.forward(x.clone()) - y.clone()).square().mean();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optim.step(RATE, model, grads);
    }
    let output = values(model.forward(x));
    (model, output)
}

/// Why old coordinates follow the new width, too: a unit and its copies share what the unit did. Each
/// has a part of its gradient, and each reader sums over all of them.
#[test]
fn an_expanded_model_of_copies_goes_on_as_the_narrow_one_only_at_the_rates_of_its_width() {
    let narrow = Stacked::of(2, 0, &device());
    let mut optim = SgdConfig::new()
        .init_parametrized(&widths(&narrow))
        .unwrap();
    let (narrow, _) = trained(narrow, &mut optim, 3);
    let by = Expansion::by("hidden", 2.0).and_by("inner", 4.0);
    let plan = plan(&narrow, &by);
    let wide = plan.apply(narrow.clone()).unwrap();

    let policy = StatePolicy::KeepAndZero;
    let mut following = expand_optimizer(&optim, &narrow, &plan, policy, None).unwrap();
    // At the factors of the narrow model: those of a base as many times as wide.
    let of = |widths: [usize; 2], model: &Stacked| {
        let base = Parametrization::mup([("hidden", widths[0]), ("inner", widths[1])]);
        base.of(&Blueprint::of(model).unwrap()).unwrap()
    };
    let unchanged = of([4, 8], &wide);
    let mut staying = SgdConfig::new().init_parametrized(&unchanged).unwrap();
    let (_, expected) = trained(narrow.clone(), &mut optim, 5);
    assert_close(
        &trained(wide.clone(), &mut following, 5).1,
        &expected,
        1e-4,
        "SGD",
    );
    let (_, other) = trained(wide.clone(), &mut staying, 5);
    assert!(distance(&other, &expected) > 1e-2);

    // AdamW from an empty state, without an epsilon that would tell gradients of other sizes apart.
    let adamw = adamw().with_epsilon(1e-20);
    let go_on = |model: &Stacked, widths: &Parametrized| {
        let mut optim = adamw.init_parametrized(widths).unwrap();
        trained(model.clone(), &mut optim, 5).1
    };
    let expected = go_on(&narrow, &widths(&narrow));
    assert_close(&go_on(&wide, &widths(&wide)), &expected, 1e-3, "AdamW");
    assert!(distance(&go_on(&wide, &unchanged), &expected) > 1e-2);
}
