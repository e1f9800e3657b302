//! What a plan tells before anything is touched: the dry run, and what growing costs and saves.
#![allow(clippy::unwrap_used)]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn_grow::{Expansion, Growable, Scaling, saved_flops};
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Heads, Nested, Probe, Tied};
use rstest::rstest;

#[test]
fn the_dry_run_shows_every_parameter() {
    let device = Device::flex();
    let tied = Tied::narrow(0, &device);
    let both = plan(&tied, &Expansion::by("hidden", 1.5).and_by("inner", 2.0));
    insta::assert_snapshot!(both, @"
    parameter         old     new      roles                           factor
    embedding.weight  [7, 4]  [7, 6]   -, fan_out(hidden)
    up.weight         [4, 6]  [6, 12]  fan_in(hidden), fan_out(inner)  0.6325
    down.weight       [6, 4]  [12, 6]  fan_in(inner), fan_out(hidden)  0.5000
    logit_scale                        multiplier                      0.6325
    axis hidden: 4 -> 6, copy-copy, factor 0.6325
    axis inner: 6 -> 12, copy-copy, factor 0.5000
    parameters: 76 -> 186
    active parameters: 76 -> 186
    training FLOPs per token (6N): 4.560e2 -> 1.116e3
    ");
    let heads = Heads::narrow(0, &device);
    let uneven = Expansion::to("queries", 3).with_scaling(Scaling::FunctionPreserving);
    insta::assert_snapshot!(plan(&heads, &uneven), @"
    parameter     old      new      roles                                               factor
    query.weight  [4, 12]  [4, 18]  fan_in(hidden), fan_out(queries, groups=2, unit=3)
    query.bias    [12]     [18]     fan_out(queries, groups=2, unit=3)
    key.weight    [4, 6]   [4, 6]   fan_in(hidden), -
    key.bias      [6]      [6]      -
    value.weight  [4, 6]   [4, 6]   fan_in(hidden), -
    value.bias    [6]      [6]      -
    out.weight    [12, 2]  [18, 2]  fan_in(queries, groups=2, unit=3), -                0.5000..1.0000
    out.bias      [2]      [2]      -
    embed.weight  [3, 4]   [3, 4]   -, fan_out(hidden)
    embed.bias    [4]      [4]      fan_out(hidden)
    axis queries: 2 -> 3, factor 0.5000..1.0000
    parameters: 162 -> 204
    active parameters: 162 -> 204
    ");
    let nested = Nested::narrow(0, &device);
    insta::assert_snapshot!(plan(&nested, &Expansion::by("hidden", 2.0)), @"
    parameter             old     new     roles                            factor
    embed.weight          [3, 4]  [3, 8]  -, fan_out(hidden)
    embed.bias            [4]     [8]     fan_out(hidden)
    blocks.0.up.weight    [4, 6]  [8, 6]  fan_in(hidden), fan_out(inner)   0.5000
    blocks.0.up.bias      [6]     [6]     fan_out(inner)
    blocks.0.down.weight  [6, 4]  [6, 8]  fan_in(inner), fan_out(hidden)
    blocks.0.down.bias    [4]     [8]     fan_out(hidden)
    blocks.1.up.weight    [4, 6]  [8, 6]  fan_in(hidden), fan_out(inner)   0.5000
    blocks.1.up.bias      [6]     [6]     fan_out(inner)
    blocks.1.down.weight  [6, 4]  [6, 8]  fan_in(inner), fan_out(hidden)
    blocks.1.down.bias    [4]     [8]     fan_out(hidden)
    tuple.0.up.weight     [4, 6]  [8, 6]  fan_in(hidden), fan_out(inner)   0.5000
    tuple.0.up.bias       [6]     [6]     fan_out(inner)
    tuple.0.down.weight   [6, 4]  [6, 8]  fan_in(inner), fan_out(hidden)
    tuple.0.down.bias     [4]     [8]     fan_out(hidden)
    tuple.1.up.weight     [4, 6]  [8, 6]  fan_in(hidden), fan_out(inner)   0.5000
    tuple.1.up.bias       [6]     [6]     fan_out(inner)
    tuple.1.down.weight   [6, 4]  [6, 8]  fan_in(inner), fan_out(hidden)
    tuple.1.down.bias     [4]     [8]     fan_out(hidden)
    pair.0.weight         [4, 4]  [8, 8]  fan_in(hidden), fan_out(hidden)  0.5000
    pair.0.bias           [4]     [8]     fan_out(hidden)
    pair.1.weight         [4, 4]  [8, 8]  fan_in(hidden), fan_out(hidden)  0.5000
    pair.1.bias           [4]     [8]     fan_out(hidden)
    present.gamma         [4]     [8]     gain(hidden)
    head                  [2, 4]  [2, 8]  -, fan_in(hidden)                0.5000
    axis hidden: 4 -> 8, factor 0.5000
    parameters: 300 -> 640
    active parameters: 300 -> 640
    ");
}

#[derive(Module, Growable, Debug)]
struct Routed {
    #[grow(fan_in = "hidden", active = Self::fraction)]
    experts: Vec<Linear>,
    #[grow(fan_out = "hidden")]
    embed: Linear,
}

impl Routed {
    fn fraction(&self) -> f64 {
        0.25
    }
}

#[test]
fn only_the_active_fraction_of_routed_parts_counts() {
    let device = Device::flex();
    let routed = Routed {
        experts: (0..4)
            .map(|_| LinearConfig::new(8, 10).with_bias(false).init(&device))
            .collect(),
        embed: LinearConfig::new(3, 8).with_bias(false).init(&device),
    };
    let plan = plan(&routed, &Expansion::by("hidden", 2.0));
    assert_eq!(plan.num_params(), (4 * 80 + 24, 4 * 160 + 48));
    assert_eq!(plan.active_params(), (80.0 + 24.0, 160.0 + 48.0));
}

/// The paper's models: 24 layers, 16 heads of 96, 4 key heads, 8 of 64 experts, tied vocabulary.
fn olmoe(hidden: f64, inner: f64) -> f64 {
    let attention = 2.0 * hidden * 16.0 * 96.0 + 2.0 * hidden * 4.0 * 96.0;
    let experts = 8.0 * 3.0 * hidden * inner + 64.0 * hidden;
    24.0 * (attention + experts) + 50304.0 * hidden
}

#[rstest]
#[case::inner(1024.0, 1024.0, 0.20)]
#[case::hidden(2048.0, 512.0, 0.25)]
#[case::both(2048.0, 1024.0, 0.35)]
fn the_saved_flops_are_those_of_the_paper(
    #[case] hidden: f64,
    #[case] inner: f64,
    #[case] saved: f64,
) {
    let segments = [(olmoe(1024.0, 512.0), 100e9), (olmoe(hidden, inner), 100e9)];
    let found = saved_flops(&segments);
    assert!((found - saved).abs() < 0.005, "{found}");
}

#[test]
fn saved_flops_follow_every_stage() {
    assert_eq!(saved_flops(&[]), 0.0);
    assert_eq!(saved_flops(&[(5.0, 10.0)]), 0.0);
    assert_eq!(
        saved_flops(&[(1.0, 50.0), (2.0, 50.0), (4.0, 100.0)]),
        1.0 - 550.0 / 800.0
    );
}
