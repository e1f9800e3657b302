//! What a plan tells before anything is touched: the dry run, and what growing costs and saves.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_grow::baseline::{Baseline, SplitRatio};
use burn_grow::cost::{Budget, Cost, CostChange, Forecast, StateSize, saved_flops};
use burn_grow::moe::MoeConfig;
use burn_grow::plan::{CopyMap, Init, Method};
use burn_grow::{Blueprint, Expansion, Growable, InitPair, Plan, Scaling};
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Fused, Heads, Mlp, Nested, Normed, Probe, Stacked, Tied};
use rstest::rstest;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    parameter     old      new      roles                                     factor
    query.weight  [4, 12]  [4, 18]  fan_in(hidden), fan_out(2 x queries x 3)
    query.bias    [12]     [18]     fan_out(2 x queries x 3)
    key.weight    [4, 6]   [4, 6]   fan_in(hidden), -
    key.bias      [6]      [6]      -
    value.weight  [4, 6]   [4, 6]   fan_in(hidden), -
    value.bias    [6]      [6]      -
    out.weight    [12, 2]  [18, 2]  fan_in(2 x queries x 3), -                0.5000..1.0000
    out.bias      [2]      [2]      -
    embed.weight  [3, 4]   [3, 4]   -, fan_out(hidden)
    embed.bias    [4]      [4]      fan_out(hidden)
    axis queries: 2 -> 3, copy-copy, factor 0.5000..1.0000
    parameters: 162 -> 204
    active parameters: 162 -> 204
    training FLOPs per token (6N): 9.720e2 -> 1.224e3
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
    axis hidden: 4 -> 8, copy-copy, factor 0.5000
    parameters: 300 -> 640
    active parameters: 300 -> 640
    training FLOPs per token (6N): 1.800e3 -> 3.840e3
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

#[test]
fn the_paper_saves_what_its_active_parameters_say() {
    let config = |hidden, inner| MoeConfig {
        vocab_size: 50304,
        n_layers: 24,
        hidden,
        inner,
        n_heads: 16,
        n_kv_heads: 4,
        head_dim: 96,
        n_experts: 64,
        top_k: 8,
        ..MoeConfig::default()
    };
    // Billions of parameters, of which none is made.
    let small = config(1024, 512).init(&Device::flex());
    let blueprint = Blueprint::of_lazy(&small).unwrap();
    for (expansion, saved) in [
        (Expansion::by("inner", 2.0), 0.20),
        (Expansion::by("hidden", 2.0), 0.25),
        (Expansion::by("hidden", 2.0).and_by("inner", 2.0), 0.35),
    ] {
        let plan = Plan::new(&blueprint, &expansion).unwrap();
        let (old, new) = plan.active_params();
        // Half way, Eq. 29 is half of what the small model is smaller by.
        let ratio = 1.0 - 2.0 * saved;
        assert!((old / new - ratio).abs() < 0.01, "{}", old / new);
        let forecast = Forecast::at(Budget::Tokens(200e9), (old, new), [0.5]);
        assert!((forecast.points[0].saved - saved).abs() < 0.005);
    }
    struct Untouched;
    impl ModuleVisitor for Untouched {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            assert!(!param.is_initialized());
        }
    }
    small.visit(&mut Untouched);
}

#[test]
fn a_lazy_blueprint_is_the_blueprint() {
    fn check<M: Probe>() {
        let model = M::narrow(0, &Device::flex());
        let lazy = Blueprint::of_lazy(&model).unwrap();
        assert_eq!(lazy, Blueprint::of(&model).unwrap());
    }
    check::<Mlp>();
    check::<Normed>();
    check::<Tied>();
    check::<Fused>();
    check::<Heads>();
    check::<Nested>();
    check::<Stacked>();
    let model = || MoeConfig::default().init(&Device::flex());
    let lazy = Blueprint::of_lazy(&model()).unwrap();
    assert_eq!(lazy, Blueprint::of(&model()).unwrap());
}

/// `value` survives being written and read in both formats.
#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let toml = toml::to_string(value).unwrap();
    assert_eq!(&toml::from_str::<T>(&toml).unwrap(), value, "{toml}");
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
}

#[test]
fn blueprints_expansions_and_plans_survive_json_and_toml() {
    fn check<G: Growable>(model: &G, expansion: &Expansion) {
        let blueprint = Blueprint::of(model).unwrap();
        survives(&blueprint);
        survives(expansion);
        let plan = Plan::new(&blueprint, expansion).unwrap();
        survives(&plan);
        survives(&plan.cost(StateSize::AdamW));
    }
    let device = Device::flex();
    let by = Expansion::by("inner", 2.0);
    let tied = Tied::narrow(0, &device);
    check(&tied, &by.clone().and_to("hidden", 6).with_seed(7));
    let rivals = [
        Baseline::UnevenSplit(SplitRatio::Fixed(0.25)),
        Baseline::UnevenSplit(SplitRatio::Uniform(0.1, 0.5)),
        Baseline::Perturbation { size: 0.1 },
        Baseline::FunctionPreservingRandom,
        Baseline::Net2Net { noise: 0.01 },
        Baseline::HyperCloning { snr_db: 10.0 },
    ];
    for rival in rivals {
        check(&Mlp::narrow(0, &device), &by.clone().with_baseline(rival));
    }
    let random = Method::default()
        .with_init(InitPair::new(Init::Random, Init::Zero))
        .with_map(CopyMap::Random);
    let mixed = Expansion::by("hidden", 1.5)
        .and_by("inner", 3.0)
        .on("inner", random);
    check(&Fused::narrow(0, &device), &mixed);
    let uneven = Expansion::to("queries", 3).with_scaling(Scaling::FunctionPreserving);
    check(&Heads::narrow(0, &device), &uneven);
    check(&Nested::narrow(0, &device), &Expansion::by("hidden", 2.0));
    check(&MoeConfig::default().init(&device), &by);
    let optimizers = [StateSize::AdamW, StateSize::Sgd, StateSize::Momentum];
    for state in optimizers.into_iter().chain([StateSize::Bytes(2.5)]) {
        survives(&std::collections::BTreeMap::from(
            [("state", state)].map(|(k, v)| (k.to_owned(), v)),
        ));
    }
    survives(&Forecast::new(Budget::Flops(1e21), (3e8, 5e8)));
}

#[test]
fn an_expansion_can_be_written_by_hand() {
    let text = "
        seed = 7
        [targets]
        inner.factor = 2.0
        hidden.width = 2048
        [method.sparkling]
        init = 'copy-zero'
        [exceptions.hidden]
        rival.net2-net.noise = 0.01
    ";
    let expected = Expansion::by("inner", 2.0)
        .and_to("hidden", 2048)
        .with_init(InitPair::COPY_ZERO)
        .on(
            "hidden",
            Method::Baseline(Baseline::Net2Net { noise: 0.01 }),
        )
        .with_seed(7);
    assert_eq!(toml::from_str::<Expansion>(text).unwrap(), expected);
    let short: Expansion = toml::from_str("targets.inner.factor = 2.0").unwrap();
    assert_eq!(short, Expansion::by("inner", 2.0));
}

#[test]
fn costs_follow_from_the_parameters() {
    let cost = Cost::new(1000, 250.0, StateSize::AdamW);
    assert_eq!((cost.training_flops, cost.forward_flops), (1500.0, 500.0));
    assert_eq!((cost.param_bytes, cost.optimizer_bytes), (4000.0, 8000.0));
    let model = Mlp::narrow(0, &Device::flex());
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let blueprint = Blueprint::of(&model).unwrap();
    let change = plan.cost(StateSize::Momentum);
    assert_eq!(change.before, blueprint.cost(StateSize::Momentum));
    let after = blueprint.expanded(&plan).cost(StateSize::Momentum);
    assert_eq!(change.after, after);
}

#[test]
fn costs_and_forecasts_are_tables() {
    let change = CostChange {
        before: Cost::new(1 << 20, 500_000.0, StateSize::AdamW),
        after: Cost::new(1 << 21, 800_000.0, StateSize::AdamW),
    };
    insta::assert_snapshot!(change, @"
    cost                           before    after      ratio
    parameters                     1048576   2097152    2.00x
    active parameters              500000    800000     1.60x
    training FLOPs per token (6N)  3.000e6   4.800e6    1.60x
    forward FLOPs per token (2N)   1.000e6   1.600e6    1.60x
    parameter memory               4.00 MiB  8.00 MiB   2.00x
    optimizer memory               8.00 MiB  16.00 MiB  2.00x
    ");
    let points = [0.25, 0.5, 0.75];
    insta::assert_snapshot!(Forecast::at(Budget::Tokens(1e9), (5e5, 1e6), points), @"
    1.000e9 tokens, active parameters 500000 -> 1000000
    expand at  after tokens  tokens   FLOPs grown  from scratch  saved     saved %  from scratch, equal FLOPs
    25 %       2.500e8       1.000e9  5.250e15     6.000e15      7.500e14  12.5     8.750e8 tokens
    50 %       5.000e8       1.000e9  4.500e15     6.000e15      1.500e15  25.0     7.500e8 tokens
    75 %       7.500e8       1.000e9  3.750e15     6.000e15      2.250e15  37.5     6.250e8 tokens
    ");
    insta::assert_snapshot!(Forecast::at(Budget::Flops(6e15), (5e5, 1e6), points), @"
    6.000e15 FLOPs, active parameters 500000 -> 1000000
    expand at  after tokens  tokens   FLOPs grown  from scratch  saved     saved %  from scratch, equal FLOPs
    25 %       2.857e8       1.143e9  6.000e15     6.857e15      8.571e14  12.5     1.000e9 tokens
    50 %       6.667e8       1.333e9  6.000e15     8.000e15      2.000e15  25.0     1.000e9 tokens
    75 %       1.200e9       1.600e9  6.000e15     9.600e15      3.600e15  37.5     1.000e9 tokens
    ");
}
