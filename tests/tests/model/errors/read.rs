//! What is read from a file may say anything: a blueprint or a plan that disagrees with itself is
//! rejected there, and an expansion that asks for the impossible is rejected when it is planned.

use burn::tensor::Device;
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::plan::Blocks;
use burn_grow::{Blueprint, Expansion, Plan};
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Mlp, Probe, Stacked, Tied};
use rstest::rstest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The error of reading `value` once the entry at `pointer` says something else.
#[track_caller]
fn read<T>(value: &T, pointer: &str, other: Value) -> String
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut document = serde_json::to_value(value).unwrap();
    assert_eq!(&T::deserialize(&document).unwrap(), value);
    let entry = document.pointer_mut(pointer).expect(pointer);
    assert_ne!(entry, &other);
    *entry = other;
    T::deserialize(document).expect_err(pointer).to_string()
}

#[rstest]
#[case("/widths/inner", json!(5), "axis `inner` has width 5 in `the widths` but 4 in `its plan`")]
#[case("/widths", json!({}), "unknown axis `inner`: the model has none")]
#[case("/axes/inner/old_width", json!(0), "found 0 -> 8")]
#[case("/axes/inner/old_width", json!(u64::MAX), "found 18446744073709551615 -> 8")]
#[case("/axes/inner/source/4", json!(4), "needs sources below 4, found 4")]
#[case("/axes/inner/source", json!([1, 1, 2, 3, 1, 1, 2, 3]), "found a plan without unit 0")]
#[case("/axes/inner/source", json!([0, 1, 2, 3]), "dimension 1 has 8 coordinates, which does not fit `fan_out(inner)`")]
#[case("/axes/inner/factor", json!([0.5]), "needs 8 factors, found 1")]
#[case("/params/0/old_shape", json!([3]), "parameter `up.weight` needs 2 dimensions, one for each role, found [3]")]
#[case("/params/0/old_shape/1", json!(5), "dimension 1 has 5 coordinates")]
#[case("/params/0/new_shape/0", json!(4), "expects shape [3, 4], found [4, 8]")]
#[case("/params/0/new_shape/1", json!(u64::MAX), "has 18446744073709551615 coordinates")]
#[case("/params/0/roles/0", json!([{"kind": "gain", "terms": [4]}]), "dimension 0 has 3 coordinates, which does not fit `4`")]
#[case("/params/0/roles/1/0/terms", json!(["inner", u64::MAX]), "which does not fit")]
#[case("/params/0/roles/1/0/terms/0", json!("outer"), "unknown axis `outer`")]
#[case("/multipliers", json!([{"path": "scale", "axis": "outer", "value": 1.0}]), "unknown axis `outer`")]
fn a_plan_that_disagrees_with_itself_is_not_read(
    #[case] pointer: &str,
    #[case] other: Value,
    #[case] expected: &str,
) {
    let mlp = Mlp::narrow(0, &Device::flex());
    let plan = plan(&mlp, &Expansion::by("inner", 2.0));
    let error = read(&plan, pointer, other);
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case("/stacks", json!({}), "needs blocks.1.norm.gamma, found blocks.0.norm.gamma")]
#[case("/stacks", json!({"stack": "layers"}), "needs blocks.1.norm.gamma, found blocks.0.norm.gamma")]
#[case("/axes/layers/source", json!([0, 1, 1]), "needs blocks.1.norm.gamma, found blocks.0.norm.gamma")]
#[case("/axes/layers/source", json!([0, 1, 0, 1]), "needs blocks.1.norm.gamma, found blocks.0.norm.gamma")]
#[case("/axes/layers/source", json!([0, 0, 1, 1]), "parameter `blocks.3.down.bias` needs a plan, found none")]
#[case("/axes/layers/blocks", json!("thin"), "unknown variant `thin`")]
#[case("/params/8/origin", json!({"moved": {"from": "blocks.0.norm.gamma"}}), "parameter `blocks.")]
#[case("/params/8/origin/new/from", json!(null), "a place in an empty stack")]
#[case("/params/8/origin/new/blocks/0/block", json!(7), "parameter `blocks.1.norm.gamma`")]
#[case("/params/8/path", json!("blocks.2.norm.gamma"), "parameter `blocks.2.norm.gamma`")]
fn a_plan_whose_blocks_are_not_those_of_its_stacks_is_not_read(
    #[case] pointer: &str,
    #[case] other: Value,
    #[case] expected: &str,
) {
    let stacked = Stacked::of(2, 0, &Device::flex());
    let middle = Blocks::copies().in_order([0, 0, 1]);
    let plan = plan(
        &stacked,
        &Expansion::to("layers", 3).with_blocks("layers", middle),
    );
    let error = read(&plan, pointer, other);
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case("/stacks/0/blocks", json!(1), "axis `layers` has width 0 in `the widths` but 1 in `blocks`")]
#[case("/stacks/0/fresh", json!(false), "the fresh block of stack `blocks` needs an empty stack")]
#[case("/stacks/0/prototype/at", json!(100), "the fresh block of stack `blocks`")]
#[case("/stacks/0/prototype/params/0/path", json!("blocks.1.norm.gamma"), "the fresh block of stack `blocks`")]
#[case("/stacks/0/prototype/params/0/shape/0", json!(5), "dimension 0 has 5 coordinates")]
#[case("/stacks/0/axis", json!("hidden"), "axis `hidden` has width 4 in `the widths` but 0 in `blocks`")]
#[case("/params/0/path", json!("blocks.0.x"), "stack `blocks` needs blocks below 0, found 0")]
fn a_blueprint_whose_stacks_are_not_what_it_says_is_not_read(
    #[case] pointer: &str,
    #[case] other: Value,
    #[case] expected: &str,
) {
    let blueprint = Blueprint::of(&Stacked::of(0, 0, &Device::flex())).unwrap();
    let error = read(&blueprint, pointer, other);
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case("/widths/inner", json!(7), "dimension 1 has 6 coordinates, which does not fit `fan_out(inner)`")]
#[case("/widths", json!({}), "unknown axis `hidden`: the model has none")]
#[case("/params/0/shape", json!([7]), "needs 2 dimensions, one for each role, found [7]")]
#[case("/params/0/shape/0", json!(u64::MAX), "of shape [18446744073709551615, 4] makes the model too large")]
#[case("/params/1/roles/0/0/terms", json!([0, "hidden"]), "dimension 0 has 4 coordinates")]
#[case("/params/0/active/ratios", json!([["top_k", "hidden"]]), "unknown axis `top_k`")]
#[case("/multipliers/0/axis", json!("width"), "unknown axis `width`")]
fn a_blueprint_that_disagrees_with_itself_is_not_read(
    #[case] pointer: &str,
    #[case] other: Value,
    #[case] expected: &str,
) {
    let blueprint = Blueprint::of(&Tied::narrow(0, &Device::flex())).unwrap();
    let error = read(&blueprint, pointer, other);
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case(
    Expansion::to("inner", usize::MAX),
    "axis `inner` cannot have 18446744073709551615 units"
)]
#[case(Expansion::by("inner", 1e300), "a plan lists at most 16777216")]
#[case(
    Expansion::by("inner", f64::NAN),
    "a factor of NaN does not give a whole width"
)]
#[case(Expansion::by("inner", 2.0).with_baseline(Baseline::Perturbation { size: f64::NAN }), "perturbation NaN: NaN is not a finite number")]
#[case(Expansion::by("inner", 2.0).with_baseline(Baseline::HyperCloning { snr_db: -1e9 }), "inf is not a finite number")]
#[case(Expansion::by("inner", 2.0).with_baseline(Baseline::UnevenSplit(SplitRatio::Uniform(-1e308, 1e308))), "is not a finite number")]
fn an_expansion_that_asks_for_the_impossible_is_not_planned(
    #[case] expansion: Expansion,
    #[case] expected: &str,
) {
    let blueprint = Blueprint::of(&Mlp::narrow(0, &Device::flex())).unwrap();
    let error = Plan::new(&blueprint, &expansion).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}
