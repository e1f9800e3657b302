//! What an expansion does to a model: its function, every coordinate, and what it leaves alone.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, FloatDType, Tensor};
use burn_grow::describe::{Constants, Describer, Role, RoleKind};
use burn_grow::plan::Factor;
use burn_grow::verify::{symmetry, two_width_check};
use burn_grow::{Blueprint, Expansion, Growable, Plan, Scaling};
use burn_grow_tests::data::{assert_close, cast, random, rms, seeded, values};
use burn_grow_tests::dump::{self, ParamDump};
use burn_grow_tests::growth::{grown, plan};
use burn_grow_tests::layout::{along, factors, origins, terms};
use burn_grow_tests::models::{
    Fused, FusedHeads, GatedUnit, Heads, Mlp, Nested, Normed, Probe, Stacked, Stages, Tied,
};
use proptest::prelude::*;
use rstest::rstest;

/// Every axis by one factor.
fn every<M: Probe>(factor: f64) -> Expansion {
    M::axes()
        .iter()
        .fold(Expansion::default(), |expansion, axis| {
            expansion.and_by(*axis, factor)
        })
}

/// Every model is enrolled in the tables below by standing here.
macro_rules! for_every_model {
    ($check:ident($($argument:expr),*)) => {
        $check::<Mlp>("mlp", $($argument),*);
        $check::<Normed>("normed", $($argument),*);
        $check::<Tied>("tied", $($argument),*);
        $check::<Fused>("fused", $($argument),*);
        $check::<Heads>("heads", $($argument),*);
        $check::<Nested>("nested", $($argument),*);
        $check::<GatedUnit>("gated unit", $($argument),*);
        $check::<FusedHeads>("fused heads", $($argument),*);
        $check::<Stages>("stages", $($argument),*);
        $check::<Stacked>("stacked", $($argument),*);
    };
}

fn check_function<M: Probe>(name: &str, expansions: &[Expansion]) {
    let narrow = M::narrow(1, &Device::flex());
    for expansion in expansions {
        let wide = grown(&narrow, expansion);
        for seed in 0..3 {
            let before = values(narrow.output(seed));
            let largest = before.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
            assert_close(
                &values(wide.output(seed)),
                &before,
                1e-5 * largest,
                &format!("{name} {expansion:?}"),
            );
        }
    }
}

#[rstest]
fn whole_multiples_preserve_the_function(
    #[values(2.0, 3.0, 4.0)] factor: f64,
    #[values(Scaling::RmsPreserving, Scaling::FunctionPreserving)] scaling: Scaling,
) {
    fn check<M: Probe>(name: &str, factor: f64, scaling: Scaling) {
        let mut expansions: Vec<_> = M::axes()
            .iter()
            .map(|axis| Expansion::by(*axis, factor).with_scaling(scaling))
            .collect();
        expansions.push(every::<M>(factor).with_scaling(scaling));
        check_function::<M>(name, &expansions);
    }
    for_every_model!(check(factor, scaling));
}

/// Units of several kinds along one dimension, as fused queries, keys and values, are not equally large.
#[test]
fn whole_multiples_are_copies_of_every_kind() {
    fn check<M: Probe>(name: &str) {
        let narrow = M::narrow(1, &Device::flex());
        for axis in M::axes() {
            let by = Expansion::by(*axis, 2.0);
            let found = symmetry(&grown(&narrow, &by), &plan(&narrow, &by)).unwrap();
            assert!(!found.rows.is_empty(), "{name} {axis}");
            // Where units multiply each other, only one side is rescaled; a direction stays.
            assert!(
                found.rows.iter().all(|row| row.min > 0.999_99),
                "{name} {found}"
            );
        }
    }
    for_every_model!(check());
}

#[test]
fn function_preserving_scaling_preserves_the_function_at_any_width() {
    let to = |axis, width| Expansion::to(axis, width).with_scaling(Scaling::FunctionPreserving);
    check_function::<Mlp>("mlp", &[to("inner", 5), to("inner", 6), to("inner", 11)]);
    check_function::<Fused>(
        "fused",
        &[
            to("inner", 7),
            to("hidden", 6),
            to("inner", 9).and_to("hidden", 5),
        ],
    );
    check_function::<Heads>(
        "heads",
        &[
            to("queries", 3),
            to("hidden", 6),
            to("queries", 5).and_to("hidden", 7),
        ],
    );
    check_function::<GatedUnit>(
        "gated unit",
        &[to("inner", 7), to("inner", 9).and_to("hidden", 5)],
    );
    check_function::<FusedHeads>(
        "fused heads",
        &[
            to("kv_heads", 3),
            to("queries", 5),
            to("kv_heads", 5).and_to("queries", 7).and_to("hidden", 6),
        ],
    );
    // The norm stands on the third stage.
    check_function::<Stages>("stages", &[to("first", 3).and_to("second", 7)]);
    // The norms and the multiplier stand on `hidden`: these grow along the other axis.
    check_function::<Tied>("tied", &[to("inner", 9)]);
    check_function::<Nested>("nested", &[to("inner", 7)]);
}

#[rstest]
#[case::half_as_wide_again(1.5)]
#[case::a_quarter_wider(1.25)]
#[case::two_and_a_half_times(2.5)]
fn rms_preserving_scaling_preserves_the_rms_of_the_consumer(#[case] factor: f64) {
    let device = Device::flex();
    let (mut before, mut after, mut naive) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..24 {
        let mut narrow = Mlp::of([16, 32, 32], seed, &device);
        narrow.down.bias = None;
        let by = Expansion::by("inner", factor);
        let x = random([16, 16], seed + 100, &device);
        before.extend(values(narrow.forward(x.clone())));
        after.extend(values(grown(&narrow, &by).forward(x.clone())));
        let unscaled = by.with_scaling(Scaling::None);
        naive.extend(values(grown(&narrow, &unscaled).forward(x)));
    }
    let ratio = rms(&after) / rms(&before);
    assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    // Without the factor it would not be.
    assert!(rms(&naive) / rms(&before) > 1.2);
}

#[test]
fn two_stages_equal_one_big_one_at_whole_multiples() {
    fn check<M: Probe>(name: &str) {
        let narrow = M::narrow(2, &Device::flex());
        let once = grown(&narrow, &every::<M>(4.0));
        let twice = grown(&grown(&narrow, &every::<M>(2.0)), &every::<M>(2.0));
        // The copies of copies are copies in the same order.
        let (once_params, twice_params) = (dump::params(&once), dump::params(&twice));
        for (path, param) in &once_params {
            let what = format!("{name} {path}");
            assert_close(&twice_params[path].values(), &param.values(), 1e-6, &what);
        }
        assert_eq!(
            Blueprint::of(&once).unwrap(),
            Blueprint::of(&twice).unwrap()
        );
        assert_close(
            &values(twice.output(0)),
            &values(once.output(0)),
            1e-5,
            name,
        );
    }
    for_every_model!(check());
}

#[test]
fn the_expanded_blueprint_is_the_blueprint_of_the_expanded_model() {
    fn check<M: Probe>(name: &str) {
        let narrow = M::narrow(3, &Device::flex());
        let blueprint = Blueprint::of(&narrow).unwrap();
        let mut expansions = vec![every::<M>(1.0), every::<M>(1.5), every::<M>(3.0)];
        expansions.extend(M::axes().iter().map(|axis| Expansion::by(*axis, 2.0)));
        for expansion in expansions {
            let plan = Plan::new(&blueprint, &expansion).unwrap();
            let wide = plan.apply(narrow.clone()).unwrap();
            let found = Blueprint::of(&wide).unwrap();
            assert_eq!(blueprint.expanded(&plan), found, "{name} {expansion:?}");
            assert_eq!(plan.num_params().1, wide.num_params(), "{name}");
            assert_eq!(plan.num_params().1, found.num_params(), "{name}");
            assert_eq!(plan.active_params().1, found.active_params(), "{name}");
        }
    }
    for_every_model!(check());
}

#[test]
fn every_coordinate_is_a_copy_times_its_factors() {
    fn check<M: Probe>(name: &str) {
        let narrow = M::narrow(4, &Device::flex());
        let before = dump::params(&narrow);
        for expansion in [every::<M>(2.0), every::<M>(3.0)] {
            let plan = plan(&narrow, &expansion);
            let after = dump::params(&plan.apply(narrow.clone()).unwrap());
            for param in plan.params() {
                let source = before[&param.path].values();
                let copies = origins(&plan, param)
                    .into_iter()
                    .map(|origin| source[origin.source]);
                let found = after[&param.path].values();
                let what = format!("{name} {}", param.path);
                match factors(&plan, param) {
                    Some(factors) => {
                        let scaled = copies.zip(factors).map(|(copy, by)| copy * by as f32);
                        assert_close(&found, &scaled.collect::<Vec<_>>(), 1e-6, &what);
                    }
                    None => assert_eq!(found, copies.collect::<Vec<_>>(), "{what}"),
                }
            }
        }
    }
    for_every_model!(check());
}

/// One parameter, any roles.
#[derive(Module, Debug)]
struct Bare {
    weight: Param<Tensor<3>>,
    #[module(skip)]
    roles: [Option<Role>; 3],
}

impl Growable for Bare {
    fn describe(&self, describe: &mut Describer) {
        describe.scope("weight", |describe| {
            describe.param(&self.weight, self.roles.clone());
        });
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

fn dimension(axis: &'static str) -> impl Strategy<Value = (Option<Role>, usize, usize)> {
    let kind = prop_oneof![
        Just(None),
        Just(Some(RoleKind::FanOut)),
        Just(Some(RoleKind::FanIn)),
        Just(Some(RoleKind::Gate)),
        Just(Some(RoleKind::Gain)),
    ];
    (kind, 1usize..4, 1usize..4, 1usize..6).prop_flat_map(move |(kind, groups, unit, width)| {
        (width + 1..=4 * width).prop_map(move |wider| {
            let role = kind.map(|kind| Role::new(kind, axis).with_groups(groups).with_unit(unit));
            (role, width, wider)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_parameter_grows_by_copies_and_factors(
        dims in (dimension("a"), dimension("b"), dimension("c")),
        scaling in prop_oneof![
            Just(Scaling::RmsPreserving),
            Just(Scaling::FunctionPreserving),
            Just(Scaling::None),
        ],
        seed in 0u64..1000,
    ) {
        let dims = [dims.0, dims.1, dims.2];
        prop_assume!(dims.iter().any(|(role, _, _)| role.is_some()));
        let size = |role: &Option<Role>, width: usize| match role {
            Some(role) => role.size(|_| width),
            None => width,
        };
        let shape = dims.each_ref().map(|(role, width, _)| size(role, *width));
        let expansion = dims
            .iter()
            .filter_map(|(role, _, wider)| Some((role.as_ref()?, *wider)))
            .fold(Expansion::default().with_scaling(scaling), |expansion, (role, wider)| {
                expansion.and_to(role.axes().next().unwrap().clone(), wider)
            });
        let narrow = Bare {
            weight: Param::from_tensor(random(shape, seed, &Device::flex())),
            roles: dims.each_ref().map(|(role, _, _)| role.clone()),
        };
        let source = values(narrow.weight.val());
        let plan = plan(&narrow, &expansion);
        let id = narrow.weight.id;
        let wide = plan.apply(narrow).unwrap();
        prop_assert_eq!(wide.weight.id, id);

        let new_shape = dims.each_ref().map(|(role, width, wider)| match role {
            Some(_) => size(role, *wider),
            None => *width,
        });
        prop_assert_eq!(wide.weight.dims(), new_shape);
        let found = values(wide.weight.val());
        for (flat, found) in found.iter().enumerate() {
            let index = [
                flat / (new_shape[1] * new_shape[2]),
                flat / new_shape[2] % new_shape[1],
                flat % new_shape[2],
            ];
            let (mut from, mut factor, mut scaled) = (0, 1.0, false);
            for dim in 0..3 {
                let (role, width, wider) = &dims[dim];
                let source = match role {
                    Some(role) => {
                        let part = &role.parts[0];
                        let terms = terms(&plan, part);
                        let source = along(index[dim], &terms).source;
                        if part.kind == RoleKind::FanIn {
                            scaled = true;
                            let unit = source / terms[2][0] % width;
                            factor *= expected_factor(scaling, unit, *width, *wider);
                        }
                        source
                    }
                    None => index[dim],
                };
                from = from * shape[dim] + source;
            }
            let expected = source[from];
            match scaled {
                true => prop_assert!(
                    (f64::from(*found) - f64::from(expected) * factor).abs()
                        <= 4e-7 * (f64::from(expected) * factor).abs(),
                    "{found} for {expected} times {factor}"
                ),
                false => prop_assert_eq!(found.to_bits(), expected.to_bits()),
            }
        }
    }
}

/// The factor of the copies of `unit`, from how often each unit stands on the new axis.
fn expected_factor(scaling: Scaling, unit: usize, width: usize, wider: usize) -> f64 {
    let count = |unit: usize| (wider - unit).div_ceil(width) as f64;
    match scaling {
        Scaling::None => 1.0,
        Scaling::FunctionPreserving => 1.0 / count(unit),
        Scaling::RmsPreserving => {
            let squares: f64 = (0..width).map(|unit| count(unit).powi(2)).sum();
            (width as f64 / squares).sqrt()
        }
    }
}

#[test]
fn what_is_no_value_survives_an_expansion() {
    fn check<M: Probe>(name: &str, device: &Device) {
        let mut narrow = M::narrow(5, device);
        // Every second parameter is frozen.
        let frozen: Vec<String> = dump::params(&narrow).into_keys().step_by(2).collect();
        let group = burn::module::ParamGroup::from_paths(frozen.clone());
        narrow = narrow.set_require_grad_group(group, false);
        let before = dump::params(&narrow);
        let wide = grown(&narrow, &every::<M>(2.0));
        let after = dump::params(&wide);
        let flags = |params: &std::collections::BTreeMap<String, ParamDump>| -> Vec<_> {
            params
                .iter()
                .map(|(path, param)| {
                    let (grad, checkpointing) = (param.require_grad, param.checkpointing.clone());
                    (path.clone(), param.id, param.dtype, grad, checkpointing)
                })
                .collect()
        };
        assert_eq!(flags(&before), flags(&after), "{name}");

        // What a validation copy or a checkpoint would turn back on is unchanged, too.
        let revived = |model: M| flags(&dump::params(&model.valid().train()));
        assert_eq!(revived(narrow), revived(wide.clone()), "{name}");

        if device.is_autodiff() {
            let gradients = wide.output(0).powi_scalar(2).mean().backward();
            let gradients = GradientsParams::from_grads(gradients, &wide);
            assert_eq!(
                gradients.len(),
                after.values().filter(|param| param.require_grad).count(),
                "{name}"
            );
        }
    }
    for device in [
        Device::flex(),
        Device::flex().autodiff(),
        Device::flex().autodiff().gradient_checkpointing(),
    ] {
        for_every_model!(check(&device));
    }
}

#[test]
fn copied_units_receive_equal_gradients() {
    let device = Device::flex().autodiff();
    let wide = grown(
        &Mlp::of([3, 4, 2], 6, &device),
        &Expansion::by("inner", 2.0),
    );
    let x = random([5, 3], 0, &device);
    let gradients = wide.forward(x).powi_scalar(2).mean().backward();
    let gradient = values(wide.down.weight.grad(&gradients).unwrap());
    assert_close(
        &gradient[8..],
        &gradient[..8],
        1e-7,
        "the symmetry of copies",
    );
    assert!(rms(&gradient) > 1e-4);
}

#[rstest]
fn parameters_of_half_precision_stay_so(
    #[values(FloatDType::BF16, FloatDType::F16)] dtype: FloatDType,
) {
    let narrow = cast(Mlp::of([3, 4, 2], 7, &Device::flex()), dtype);
    for scaling in [Scaling::RmsPreserving, Scaling::FunctionPreserving] {
        let wide = grown(&narrow, &Expansion::to("inner", 6).with_scaling(scaling));
        assert_eq!(wide.down.weight.dtype(), DType::from(dtype));
        assert_eq!(wide.up.weight.dtype(), DType::from(dtype));
        let (narrow, wide) = (values(narrow.up.weight.val()), values(wide.up.weight.val()));
        assert_eq!(wide[4..6], wide[..2]);
        assert_eq!(wide[..4], narrow[..4]);
    }
}

#[test]
fn a_saved_wide_model_loads_into_one_built_wide() {
    let device = Device::flex();
    let wide = grown(
        &Mlp::of([3, 4, 2], 8, &device),
        &Expansion::by("inner", 2.0),
    );
    let built = Mlp::of([3, 8, 2], 9, &device);
    let loaded = built.load_record(wide.clone().into_record());
    assert_eq!(values(loaded.output(0)), values(wide.output(0)));
}

#[test]
fn a_plan_survives_serialization() {
    fn check<M: Probe>(name: &str) {
        let narrow = M::narrow(10, &Device::flex());
        let mut expansions = vec![every::<M>(2.0)];
        if name != "tied" {
            let to = Expansion::to(*M::axes().last().unwrap(), 9);
            expansions.push(to.with_scaling(Scaling::FunctionPreserving));
        }
        for expansion in expansions {
            let plan = plan(&narrow, &expansion);
            let json = serde_json::to_string(&plan).unwrap();
            let back: Plan = serde_json::from_str(&json).unwrap();
            assert_eq!(back, plan, "{name}");
            let json = serde_json::to_string(&expansion).unwrap();
            let back: Expansion = serde_json::from_str(&json).unwrap();
            assert_eq!(back, expansion, "{name}");
        }
    }
    for_every_model!(check());
}

#[test]
fn constants_and_multipliers_follow_the_axis() {
    let narrow = Tied::narrow(11, &Device::flex());
    let wide = grown(&narrow, &Expansion::by("hidden", 1.5).and_by("inner", 2.0));
    assert_eq!(wide.hidden, 6);
    assert_eq!(wide.logit_scale, 0.75 / 2.5f64.sqrt());
    let inner = grown(&narrow, &Expansion::by("inner", 2.0));
    assert_eq!((inner.hidden, inner.logit_scale), (4, 0.75));
}

#[test]
fn a_whole_multiple_is_one_factor_in_every_scaling() {
    let narrow = Mlp::narrow(0, &Device::flex());
    for scaling in [Scaling::RmsPreserving, Scaling::FunctionPreserving] {
        let by = Expansion::by("inner", 3.0).with_scaling(scaling);
        let plan = plan(&narrow, &by);
        let axis = plan.axis(&"inner".into()).unwrap();
        assert_eq!(axis.factor(), &Factor::Uniform(1.0 / 3.0));
    }
}

#[test]
fn a_model_built_at_two_widths_passes_the_two_width_check() {
    let device = Device::flex();
    two_width_check(
        &Mlp::of([3, 4, 2], 0, &device),
        &Mlp::of([3, 7, 2], 0, &device),
    )
    .unwrap();
    let error = two_width_check(
        &Mlp::of([3, 4, 2], 0, &device),
        &Mlp::of([5, 7, 2], 0, &device),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "parameter `up.weight`: dimension 0 has no role but changes 3 -> 5 as no axis does"
    );
}

#[test]
fn a_lazy_model_grows_before_its_first_use() {
    let device = Device::flex();
    let lazy = || Mlp {
        up: LinearConfig::new(3, 4).init(&device),
        down: LinearConfig::new(4, 2)
            .with_layout(burn::nn::LinearLayout::Col)
            .init(&device),
    };
    // The plan is made on one model and applied to another of the same shape.
    let plan = plan(&lazy(), &Expansion::by("inner", 2.0));
    let wide = plan.apply(lazy()).unwrap();
    assert_eq!(wide.down.weight.dims(), [8, 2]);
    let wide = seeded(wide, 0);
    assert_eq!(wide.output(0).dims(), [5, 2]);
}

/// Tokens that a configuration leaves out.
#[derive(Module, Growable, Debug)]
struct Registers {
    #[grow(dims(_, fan_out = "hidden"))]
    registers: Param<Tensor<2>>,
    #[grow(fan_in = "hidden")]
    head: burn::nn::Linear,
}

#[test]
fn a_parameter_of_no_elements_grows() {
    let device = Device::flex();
    let model = Registers {
        registers: Param::from_tensor(Tensor::zeros([0, 4], &device)),
        head: LinearConfig::new(4, 2).init(&device),
    };
    for expansion in [
        Expansion::by("hidden", 1.5),
        Expansion::by("hidden", 2.0).with_init(burn_grow::InitPair::RANDOM_ZERO),
    ] {
        let wide = grown(&model, &expansion);
        assert_eq!(wide.registers.dims()[0], 0);
        assert_eq!(wide.registers.dims()[1], wide.head.weight.dims()[0]);
    }
}
