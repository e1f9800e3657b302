//! Gradients of a wide model carried back to the narrow one, against hand computations and against
//! every small model.
#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn_grow::moe::MoeConfig;
use burn_grow::prelude::*;
use burn_grow::verify::{Doubling, ParamTensors, check_description, gradient_change, pullback};
use burn_grow::{InitPair, Scaling};
use burn_grow_tests::models::{
    Fused, FusedHeads, GatedUnit, Heads, Mlp, Nested, Normed, Probe, Stacked, Stages, Tied,
};
use rstest::rstest;

struct Given(GradientsParams);

impl ParamTensors for Given {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.0.get(param.id)
    }
}

/// Gradients of an [`Mlp`]: of `up`, `[1, inner]`, and of `down`, `[inner, 1]`.
fn given(mlp: &Mlp, up: &[f32], down: &[f32]) -> Given {
    let device = Device::flex();
    let mut given = GradientsParams::new();
    let row = Tensor::<1>::from_floats(up, &device).reshape([1, up.len()]);
    let column = Tensor::<1>::from_floats(down, &device).reshape([down.len(), 1]);
    given.register(mlp.up.weight.id, row);
    given.register(mlp.down.weight.id, column);
    Given(given)
}

/// `up` sums over copies, and `down` does so times the factor of each.
#[rstest]
#[case::doubled(Expansion::by("inner", 2.0), &[1., 2., 3., 4.], [4., 6.], [2., 3.])]
#[case::uneven(
    Expansion::by("inner", 1.5).with_scaling(Scaling::FunctionPreserving),
    &[1., 2., 3.], [4., 2.], [2., 2.]
)]
#[case::silent(
    Expansion::by("inner", 2.0)
        .with_init(InitPair::COPY_ZERO)
        .with_scaling(Scaling::FunctionPreserving),
    &[1., 2., 3., 4.], [4., 6.], [1., 2.]
)]
#[case::random(
    Expansion::by("inner", 2.0).with_init(InitPair::RANDOM_RANDOM).with_scaling(Scaling::None),
    &[1., 2., 3., 4.], [1., 2.], [1., 2.]
)]
fn a_gradient_is_carried_back_by_the_transpose_of_the_plan(
    #[case] expansion: Expansion,
    #[case] wide_gradient: &[f32],
    #[case] up: [f32; 2],
    #[case] down: [f32; 2],
) {
    let narrow = Mlp::of([1, 2, 1], 1, &Device::flex());
    let plan = expansion.plan(&narrow).unwrap();
    let wide = plan.apply(narrow.clone()).unwrap();
    let after = given(&wide, wide_gradient, wide_gradient);
    let found = |up: &[f32], down: &[f32]| {
        let before = given(&narrow, up, down);
        pullback(&plan, (&narrow, &before), (&wide, &after)).unwrap()
    };
    assert_eq!(found(&up, &down).worst(), 0.0);
    // A right triangle of 3, 4 and 5 away.
    let off = found(&[up[0] + 3.0, up[1] - 4.0], &down);
    assert_eq!(off.rows.len(), 2);
    assert_eq!(off.rows[0].path, "up.weight");
    assert_eq!((off.rows[0].difference, off.rows[1].difference), (5.0, 0.0));
}

#[test]
fn a_gradient_of_one_side_only_is_compared_with_zero() {
    let narrow = Mlp::of([1, 2, 1], 1, &Device::flex());
    let some = given(&narrow, &[3.0, 4.0], &[0.0, 0.0]);
    let none = Given(GradientsParams::new());
    let gone = gradient_change(&narrow, &some, &none).unwrap();
    assert_eq!((gone.rows[0].norm, gone.rows[0].difference), (5.0, 5.0));
    let come = gradient_change(&narrow, &none, &some).unwrap();
    assert_eq!((come.rows[0].norm, come.rows[0].difference), (0.0, 5.0));
    assert!(
        gradient_change(&narrow, &none, &none)
            .unwrap()
            .rows
            .is_empty()
    );
}

#[test]
fn a_wide_model_of_another_plan_is_an_error() {
    let narrow = Mlp::of([1, 2, 1], 1, &Device::flex());
    let plan = Expansion::by("inner", 2.0).plan(&narrow).unwrap();
    let gradients = given(&narrow, &[1.0, 2.0], &[1.0, 2.0]);
    let error = pullback(&plan, (&narrow, &gradients), (&narrow, &gradients)).unwrap_err();
    assert!(matches!(error, GrowError::Shape { .. }), "{error}");
}

fn doubled_keeps_the_gradients<P: Probe>() {
    let device = Device::flex().autodiff();
    let gradients = |model: &P| {
        let loss = model.output(3).square().mean();
        Given(GradientsParams::from_grads(loss.backward(), model))
    };
    let narrow = P::narrow(2, &device);
    let before = gradients(&narrow);
    let blueprint = Blueprint::of(&narrow).unwrap();
    for axis in P::axes() {
        let asked = Expansion::by(*axis, 3.0).plan(&narrow).unwrap();
        let plan = Doubling::of(&blueprint, &asked)
            .plan(&blueprint)
            .unwrap()
            .unwrap();
        let wide = plan.apply(narrow.clone()).unwrap();
        check_description(&wide, &blueprint.expanded(&plan)).unwrap();
        let after = gradients(&wide);
        let found = pullback(&plan, (&narrow, &before), (&wide, &after)).unwrap();
        assert!(
            found.rows.len() > 1 && found.worst() < 1e-3,
            "{axis}: {found:?}"
        );
    }
}

#[test]
fn a_doubling_keeps_the_gradients_of_every_small_model() {
    doubled_keeps_the_gradients::<Mlp>();
    doubled_keeps_the_gradients::<Normed>();
    doubled_keeps_the_gradients::<Tied>();
    doubled_keeps_the_gradients::<Fused>();
    doubled_keeps_the_gradients::<Heads>();
    doubled_keeps_the_gradients::<Nested>();
    doubled_keeps_the_gradients::<FusedHeads>();
    doubled_keeps_the_gradients::<GatedUnit>();
    doubled_keeps_the_gradients::<Stages>();
    doubled_keeps_the_gradients::<Stacked>();
}

#[test]
fn ratios_are_doubled_together_and_symbols_left_out() {
    let model = MoeConfig::default().init(&Device::flex());
    let blueprint = Blueprint::of(&model).unwrap();
    let names = |axes: &std::collections::BTreeSet<_>| -> Vec<String> {
        axes.iter().map(ToString::to_string).collect()
    };
    let doubling =
        |expansion: Expansion| Doubling::of(&blueprint, &expansion.plan(&model).unwrap());
    let experts = doubling(Expansion::by("experts", 2.0).and_by("vocab", 2.0));
    assert_eq!(names(&experts.axes), ["experts", "top_k"]);
    assert_eq!(experts.ratios, experts.axes);
    assert_eq!(names(&experts.left_out), ["vocab"]);
    assert_eq!(experts.apart(&blueprint).len(), 1);
    let symbols = doubling(Expansion::by("vocab", 2.0));
    assert!(symbols.plan(&blueprint).unwrap().is_none());
    let two = doubling(Expansion::by("inner", 1.5).and_by("hidden", 1.25));
    assert!(two.ratios.is_empty());
    assert_eq!(two.apart(&blueprint).len(), 2);
}
