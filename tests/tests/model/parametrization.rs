//! Numbers that follow widths: the factors are those of Microsoft's `mup`, and what they promise holds.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Device;
use burn_grow::describe::Axis;
use burn_grow::moe::MoeConfig;
use burn_grow::parametrization::{
    Drawn, Factors, Parametrization, Parametrized, Readout, Rule, ShapeFactor, Update,
};
use burn_grow::plan::Blocks;
use burn_grow::{Blueprint, Expansion, GrowError, Growable};
use burn_grow_tests::book::Sine;
use burn_grow_tests::dump;
use burn_grow_tests::growth::plan;
use burn_grow_tests::models::{Fused, Heads, Mlp, Probe, Stacked};
use serde::Deserialize;

const INPUTS: usize = 5;
const OUTPUTS: usize = 7;
const HEAD: usize = 4;

/// What `golden/make_mup.py` writes.
#[derive(Deserialize, PartialEq, Debug)]
struct Golden {
    base: BTreeMap<Axis, usize>,
    wide: BTreeMap<Axis, usize>,
    models: BTreeMap<String, GoldenModel>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct GoldenModel {
    params: BTreeMap<String, GoldenFactors>,
    multipliers: BTreeMap<String, f64>,
}

#[derive(Deserialize, PartialEq, Debug)]
struct GoldenFactors {
    adam: GoldenRate,
    sgd: GoldenRate,
    initialization: f64,
    rescaled: f64,
    multiplier: f64,
}

#[derive(Deserialize, PartialEq, Debug)]
struct GoldenRate {
    rate: f64,
    decay: f64,
}

#[derive(Module, Growable, Debug)]
struct MupMlp {
    #[grow(fan_out = "hidden")]
    up: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    middle: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

#[derive(Module, Growable, Debug)]
struct Block {
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    #[grow(fan_in = "hidden", fan_out("heads", unit = HEAD))]
    queries: Linear,
    #[grow(fan_in = "hidden", gate("heads", unit = HEAD))]
    keys: Linear,
    #[grow(fan_in = "hidden", fan_out("heads", unit = HEAD))]
    values: Linear,
    #[grow(fan_in("heads", unit = HEAD), fan_out = "hidden")]
    output: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

#[derive(Module, Growable, Debug)]
struct Output {
    #[grow(multiplier = "hidden")]
    multiplier: f64,
}

#[derive(Module, Growable, Debug)]
struct Transformer {
    #[grow(vocab = "vocab", fan_out = "hidden")]
    embedding: Embedding,
    #[grow(depth = "layers")]
    blocks: Vec<Block>,
    #[grow(gain = "hidden")]
    norm: LayerNorm,
    #[grow(fan_in = "hidden", vocab = "vocab")]
    head: Option<Linear>,
    tied: Option<Output>,
}

fn mup_mlp(width: impl Fn(&str) -> usize, device: &Device) -> MupMlp {
    let (hidden, inner) = (width("hidden"), width("inner"));
    MupMlp {
        up: LinearConfig::new(INPUTS, hidden).init(device),
        middle: LinearConfig::new(hidden, inner).init(device),
        down: LinearConfig::new(inner, OUTPUTS).init(device),
    }
}

fn transformer(tied: bool, width: impl Fn(&str) -> usize, device: &Device) -> Transformer {
    let (hidden, inner, heads) = (width("hidden"), width("inner"), width("heads") * HEAD);
    let linear = |d_in, d_out| LinearConfig::new(d_in, d_out).init(device);
    let block = Block {
        norm: LayerNormConfig::new(hidden).init(device),
        queries: linear(hidden, heads),
        keys: linear(hidden, heads),
        values: linear(hidden, heads),
        output: linear(heads, hidden),
        up: linear(hidden, inner),
        down: linear(inner, hidden),
    };
    Transformer {
        embedding: EmbeddingConfig::new(OUTPUTS, hidden).init(device),
        blocks: vec![block],
        norm: LayerNormConfig::new(hidden).init(device),
        head: (!tied).then(|| linear(hidden, OUTPUTS)),
        tied: tied.then_some(Output { multiplier: 1.0 }),
    }
}

fn golden() -> Golden {
    let path = format!("{}/golden/mup.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_reader(File::open(path).unwrap()).unwrap()
}

/// `mup` calls what norms hold weights and biases.
fn mup_path(path: &str) -> String {
    path.replace("norm.gamma", "norm.weight")
        .replace("norm.beta", "norm.bias")
}

fn close(found: f64, expected: f64, what: &str) {
    let off = (found - expected).abs();
    assert!(
        off < 1e-6 * expected.abs(),
        "{what}: {found} for {expected}"
    );
}

fn check_against_mup<M: Growable>(
    golden: &Golden,
    name: &str,
    make: impl Fn(&BTreeMap<Axis, usize>) -> M,
) {
    let expected = &golden.models[name];
    let mut base = golden.base.clone();
    base.retain(|axis, _| {
        Blueprint::of(&make(&golden.base))
            .unwrap()
            .widths()
            .contains_key(axis)
    });
    let rule = Rule::Mup(Readout::Multiplier);
    let model = make(&golden.wide);
    let blueprint = Blueprint::of(&model).unwrap();
    let wide = Parametrization::new(rule, base).of(&blueprint).unwrap();

    assert_eq!(wide.params().len(), expected.params.len(), "{name}");
    for param in wide.params() {
        let what = format!("{name}, {}", param.path);
        let expected = &expected.params[&mup_path(&param.path)];
        for (update, like) in [
            (Update::Elementwise, &expected.adam),
            (Update::Gradient, &expected.sgd),
        ] {
            let factors = param.factors(update);
            close(factors.rate, like.rate, &what);
            close(factors.decay, like.decay, &what);
            close(factors.initialization, expected.initialization, &what);
            close(factors.multiplier, expected.multiplier, &what);
        }
    }
    let multipliers = wide.multipliers().iter();
    let multipliers = multipliers.map(|it| (it.path.clone(), it.value)).collect();
    assert_eq!(expected.multipliers, multipliers, "{name}");

    let before = dump::params(&model);
    let scaled = wide.initialize(model, Drawn::ByFanIn).unwrap();
    for (path, after) in dump::params(&scaled) {
        let expected = match (name, path.as_str()) {
            // `mup` takes the shared weights for those of a linear layer, which shrink with the width,
            // and enlarges them. They are those of an embedding, which do not.
            ("tied", "embedding.weight") => 1.0,
            _ => expected.params[&mup_path(&path)].rescaled,
        };
        for (before, after) in before[&path].values().iter().zip(after.values()) {
            let off = (f64::from(after) - f64::from(*before) * expected).abs();
            assert!(off < 1e-5, "{name}, {path}: {before} became {after}");
        }
    }
}

#[test]
fn factors_are_those_of_mup() {
    let device = Device::flex();
    let golden = golden();
    let width = |widths: &BTreeMap<Axis, usize>| {
        let widths = widths.clone();
        move |axis: &str| widths[&Axis::from(axis)]
    };
    check_against_mup(&golden, "mlp", |widths| mup_mlp(width(widths), &device));
    for (name, tied) in [("transformer", false), ("tied", true)] {
        check_against_mup(&golden, name, |widths| {
            transformer(tied, width(widths), &device)
        });
    }
}

/// `BURN_GROW_PYTHON` is an interpreter that has `mup`; without it the test does nothing.
#[test]
fn mup_parity_the_committed_factors_are_what_mup_makes() {
    let python = std::env::var("BURN_GROW_PYTHON").unwrap_or_default();
    if python.is_empty() {
        println!("skipped: BURN_GROW_PYTHON names no interpreter");
        return;
    }
    let script = format!("{}/golden/make_mup.py", env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(python)
        .arg(script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(made.status.success());
    let made: Golden = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(made, golden());
}

fn of<M: Growable>(parametrization: &Parametrization, model: &M) -> Parametrized {
    let blueprint = Blueprint::of(model).unwrap();
    parametrization.of(&blueprint).unwrap()
}

fn factors(model: &Parametrized, path: &str, update: Update) -> Factors {
    model.param(path).unwrap().factors(update)
}

#[test]
fn sums_and_products_of_axes_count_as_they_lie() {
    let device = Device::flex();
    // Two groups of 12 and 18 inner units, one after another, make one width of 1.5 times the base.
    let fused = Fused::narrow(0, &device);
    let mup = Parametrization::mup([("hidden", 2), ("inner", 4)]);
    let fused = of(&mup, &fused);
    let gate_up = factors(&fused, "gate_up.weight", Update::Gradient);
    close(gate_up.rate, 1.5 / 2.0, "gate and up");
    close(
        factors(&fused, "down.weight", Update::Elementwise).rate,
        1.0 / 1.5,
        "down",
    );
    // Query heads: groups x queries x unit.
    let heads = of(
        &Parametrization::mup([("hidden", 4), ("queries", 1)]),
        &Heads::narrow(0, &device),
    );
    close(
        factors(&heads, "query.weight", Update::Gradient).rate,
        2.0,
        "queries",
    );
    close(
        factors(&heads, "out.weight", Update::Elementwise).rate,
        0.5,
        "out",
    );
    // Keys read a width and make none that is on an axis.
    close(
        factors(&heads, "key.weight", Update::Elementwise).initialization,
        1.0,
        "keys",
    );
}

#[test]
fn a_stretch_that_never_grows_is_part_of_the_width() {
    let (hidden, image) = (8, 6);
    let device = Device::flex();
    let model = Concatenated {
        make: LinearConfig::new(3, hidden).init(&device),
        read: LinearConfig::new(hidden + image, 2).init(&device),
    };
    let found = of(&Parametrization::mup([("hidden", 2)]), &model);
    let rate = factors(&found, "read.weight", Update::Elementwise).rate;
    close(rate, 8.0 / 14.0, "2 + 6 became 8 + 6");
}

#[derive(Module, Growable, Debug)]
struct Concatenated {
    #[grow(fan_out = "hidden")]
    make: Linear,
    #[grow(with = beside)]
    read: Linear,
}

mod beside {
    use burn::nn::Linear;
    use burn_grow::describe::{Constants, Describer, Role};

    pub(super) fn describe(linear: &Linear, describe: &mut Describer) {
        let both = Role::fan_in("hidden").then(Role::fixed(6));
        describe.param(&linear.weight, [Some(both), None]);
        if let Some(bias) = &linear.bias {
            describe.param(bias, [None]);
        }
    }

    pub(super) fn update_constants(_linear: &mut Linear, _constants: &Constants<'_>) {}
}

#[test]
fn experts_have_the_factors_of_their_matrices_and_the_router_those_of_a_readout() {
    let config = MoeConfig {
        tied_embeddings: false,
        ..MoeConfig::default()
    };
    let model = config.init(&Device::flex());
    let base = [("hidden", 8), ("inner", 8), ("kv_heads", 1), ("queries", 1)];
    let found = of(&Parametrization::mup(base), &model);
    let (hidden, inner, heads) = (4.0, 2.0, 4.0);
    for (path, rate, initialization, by_gradient) in [
        ("embedding.weight", 1.0, 1.0, hidden),
        (
            "blocks.0.attention.q_proj.weight",
            1.0 / hidden,
            0.5,
            heads / hidden,
        ),
        (
            "blocks.0.attention.o_proj.weight",
            1.0 / heads,
            0.5,
            hidden / heads,
        ),
        ("blocks.0.attention.q_norm.gamma", 1.0, 1.0, 1.0),
        ("blocks.1.attention_norm.gamma", 1.0, 1.0, hidden),
        (
            "blocks.1.feed_forward.gate_proj",
            1.0 / hidden,
            0.5,
            inner / hidden,
        ),
        (
            "blocks.1.feed_forward.down_proj",
            1.0 / inner,
            0.5_f64.sqrt(),
            hidden / inner,
        ),
        (
            "blocks.1.feed_forward.router.linear.weight",
            1.0 / hidden,
            1.0 / hidden,
            1.0 / hidden,
        ),
        ("lm_head.weight", 1.0 / hidden, 1.0 / hidden, 1.0 / hidden),
    ] {
        let adam = factors(&found, path, Update::Elementwise);
        close(adam.rate, rate, path);
        close(adam.decay, 1.0 / rate, path);
        close(adam.initialization, initialization, path);
        close(adam.multiplier, 1.0, path);
        close(
            factors(&found, path, Update::Gradient).rate,
            by_gradient,
            path,
        );
    }
}

#[test]
fn other_updates_follow_widths_by_the_size_of_a_change() {
    let golden = golden();
    let model = mup_mlp(|axis| golden.wide[&axis.into()], &Device::flex());
    let mut base = golden.base;
    base.remove(&Axis::from("heads"));
    let (hidden, inner) = (4.0_f64, 3.0_f64);
    let found = of(&Parametrization::mup(base.clone()), &model);
    // As large as the weights: those of a matrix shrink with the square root of the width only.
    for (path, rate) in [
        ("up.weight", 1.0),
        ("middle.weight", 1.0 / hidden.sqrt()),
        ("down.weight", 1.0),
    ] {
        close(factors(&found, path, Update::Relative).rate, rate, path);
    }
    // The spectral norm of a change is to follow `sqrt(fan_out / fan_in)`. `[8, 16]` and `[32, 48]`
    // have more columns than rows, so Muon's own factor is 1 at both.
    let muon = Update::Orthogonal(ShapeFactor::Aspect);
    close(
        factors(&found, "middle.weight", muon).rate,
        (inner / hidden).sqrt(),
        "Muon",
    );
    let matched = Update::Orthogonal(ShapeFactor::LargerSide);
    let rate = factors(&found, "middle.weight", matched).rate;
    close(
        rate,
        (inner / hidden).sqrt() / inner.sqrt(),
        "as large as AdamW's",
    );
    // All widths together: Muon needs nothing.
    let together = Parametrization::mup([("hidden", 8), ("inner", 12)]);
    close(
        factors(&of(&together, &model), "middle.weight", muon).rate,
        1.0,
        "Muon",
    );

    let standard = of(&Parametrization::standard(base), &model);
    for update in [
        Update::Elementwise,
        Update::Gradient,
        Update::Relative,
        muon,
    ] {
        let middle = factors(&standard, "middle.weight", update);
        let expected = Factors {
            initialization: 0.5,
            ..Factors::ONE
        };
        assert_eq!(middle, expected);
    }
}

#[test]
fn depth_has_no_factor_and_new_blocks_belong_to_their_siblings() {
    let device = Device::flex();
    let mup = Parametrization::mup([("hidden", 2), ("inner", 2)]);
    let family = |model: &Stacked| {
        let found = of(&mup, model);
        let params = found.params().iter();
        let params = params.map(|param| (param.family.clone(), param.factors(Update::Gradient)));
        params.collect::<Vec<_>>()
    };
    let (two, mut four) = (Stacked::of(2, 0, &device), Stacked::of(4, 0, &device));
    let (narrow, deep) = (family(&two), family(&four));
    assert!(
        narrow
            .iter()
            .any(|(family, _)| family == "blocks.*.up.weight")
    );
    assert!(deep.iter().all(|param| narrow.contains(param)));
    // Of an empty stack, the fresh block.
    four.blocks.clear();
    four.n_layers = 0;
    assert_eq!(family(&four).len(), narrow.len() / 2 + 3);
    assert!(family(&four).iter().all(|param| narrow.contains(param)));
}

#[test]
fn the_factors_after_an_expansion_are_those_of_the_expanded_blueprint() {
    let model = Stacked::of(1, 0, &Device::flex());
    let mup = Parametrization::mup([("hidden", 4), ("inner", 6)]);
    let before = of(&mup, &model);
    let expansion = Expansion::by("hidden", 2.0)
        .and_by("inner", 3.0)
        .and_to("layers", 2)
        .with_blocks("layers", Blocks::copies());
    let plan = plan(&model, &expansion);
    let planned = Blueprint::of(&model).unwrap().expanded(&plan);
    let after = mup.of(&planned).unwrap();
    let wide = plan.apply(model).unwrap();
    assert_eq!(of(&mup, &wide), after);
    for param in after.params() {
        let sibling = before.params().iter().find(|it| it.family == param.family);
        let at_new_shape = sibling
            .unwrap()
            .widths
            .factors(&param.shape, Update::Elementwise);
        assert_eq!(
            at_new_shape,
            param.factors(Update::Elementwise),
            "{}",
            param.path
        );
    }
    let up = factors(&after, "blocks.1.down.weight", Update::Elementwise);
    close(up.rate, 1.0 / 3.0, "a third");
}

#[test]
fn a_base_width_that_is_missing_or_wrong_is_named() {
    let blueprint = Blueprint::of(&Mlp::narrow(0, &Device::flex())).unwrap();
    let error = |base: &[(&str, usize)]| {
        let mup = Parametrization::mup(base.iter().copied());
        mup.of(&blueprint).unwrap_err()
    };
    let no_base = GrowError::NoBaseWidth {
        axis: "inner".into(),
    };
    assert_eq!(error(&[]), no_base);
    assert_eq!(error(&[("inner", 0)]), no_base);
    let unknown = error(&[("inner", 2), ("iner", 2)]).to_string();
    assert_eq!(unknown, "unknown axis `iner`: the model has `inner`");
    let mup = Parametrization::mup([("inner", 2)]);
    let written = serde_json::to_string(&mup).unwrap();
    assert_eq!(written, r#"{"rule":{"mup":"weights"},"base":{"inner":2}}"#);
    assert_eq!(
        serde_json::from_str::<Parametrization>(&written).unwrap(),
        mup
    );
}

#[test]
fn another_model_than_the_described_one_is_rejected_and_named() {
    let device = Device::flex();
    let mup = Parametrization::mup([("inner", 2)]);
    let described = of(&mup, &Mlp::of([3, 4, 2], 0, &device));
    let other = Mlp::of([3, 8, 2], 0, &device);
    let error = described.initialize(other, Drawn::Alike).unwrap_err();
    let text = "parameter `up.weight` needs shape [3, 4], as in the blueprint, found shape [3, 8]";
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_is_drawn_alike_ends_with_the_standard_deviation_of_the_rule() {
    let device = Device::flex().autodiff();
    let model = Mlp::of([3, 8, 2], 0, &device);
    let before = dump::params(&model);
    let mup = of(&Parametrization::mup([("inner", 2)]), &model);
    let scaled = mup.initialize(model, Drawn::Alike).unwrap();
    for (path, after) in dump::params(&scaled) {
        let factor = if path == "down.weight" { 0.25 } else { 1.0 };
        let expected: Vec<f32> = before[&path]
            .values()
            .iter()
            .map(|it| it * factor)
            .collect();
        assert_eq!(after.values(), expected, "{path}");
        assert_eq!(after.id, before[&path].id);
        assert!(after.require_grad);
        assert_eq!(after.checkpointing, before[&path].checkpointing);
    }
}

#[test]
fn the_table_of_the_guide_is_what_is_printed() {
    let guide = include_str!("../../../docs/src/guide/rates-that-follow-widths.md");
    let model = Sine::of_width(64, &Device::flex());
    let printed = of(&Parametrization::mup([("inner", 16)]), &model).to_string();
    assert!(guide.contains(&printed), "{printed}");
}
