//! `#[derive(Growable)]`: what each attribute makes of a field, and what the compiler says about the
//! mistakes (`derive/`, one folder a kind of mistake).

use burn::module::{Initializer, Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Relu, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Int, Tensor};
use burn_grow_core::describe::{Constants, Describer, LayerRoles};
use burn_grow_core::{Blueprint, Expansion, Growable, Plan};
use burn_grow_derive::Growable;
use burn_grow_tests::growth::described;

use self::tuple::Pair;

mod tuple;

// The default crate of the derive is the facade; here it names the crate that it re-exports.

fn device() -> Device {
    Device::flex().autodiff()
}

fn linear(d_in: usize, d_out: usize) -> Linear {
    LinearConfig::new(d_in, d_out)
        .with_bias(false)
        .init(&device())
}

fn param<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Initializer::Ones.init(shape, &device())
}

fn blueprint<G: Growable>(model: &G) -> Blueprint {
    Blueprint::of(model).expect("a sound description")
}

/// Why a description is refused.
fn refusal<G: Growable>(model: &G) -> String {
    let error = Blueprint::of(model).expect_err("a wrong description");
    error.to_string()
}

fn expanded<G: Growable>(model: G, expansion: Expansion) -> G {
    let plan = Plan::new(&blueprint(&model), &expansion).expect("a sound expansion");
    plan.apply(model).expect("the plan was made for this model")
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Expert {
    #[grow(fan_in = "hidden", gate = "inner")]
    gate: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    #[grow(fan_out = "hidden")]
    down: Linear,
    activation: Relu,
}

impl Expert {
    fn new(hidden: usize, inner: usize) -> Self {
        Self {
            gate: linear(hidden, inner),
            up: linear(hidden, inner),
            down: linear(inner, hidden),
            activation: Relu::new(),
        }
    }
}

const EXPERT: [&str; 3] = [
    "gate.weight: fan_in(hidden), gate(inner)",
    "up.weight: fan_in(hidden), fan_out(inner)",
    "down.weight: fan_in(inner), fan_out(hidden)",
];

/// The description of an expert under a path.
fn expert(path: &str) -> Vec<String> {
    EXPERT.iter().map(|line| format!("{path}.{line}")).collect()
}

#[test]
fn layers_take_the_roles_of_their_fields() {
    assert_eq!(described(&Expert::new(4, 6)), EXPERT);
    let wide = expanded(Expert::new(4, 6), Expansion::by("inner", 2.0));
    assert_eq!(wide.gate.weight.dims(), [4, 12]);
    assert_eq!(wide.down.weight.dims(), [12, 4]);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Attention {
    n_groups: usize,
    head_dim: usize,
    #[grow(fan_in = "hidden", fan_out("heads", groups = self.n_groups, unit = self.head_dim))]
    query: Linear,
    #[grow(fan_out("inner", groups = 1 + 1), fan_in = "hidden")]
    fused: Linear,
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in("heads", unit = self.head_dim, groups = self.n_groups,))]
    output: Linear,
}

#[test]
fn layouts_are_expressions_over_the_module() {
    let attention = Attention {
        n_groups: 2,
        head_dim: 3,
        query: linear(4, 2 * 5 * 3),
        fused: linear(4, 2 * 6),
        norm: RmsNormConfig::new(4).init(&device()),
        output: linear(2 * 5 * 3, 7),
    };
    assert_eq!(
        described(&attention),
        [
            "query.weight: fan_in(hidden), fan_out(2 x heads x 3)",
            "fused.weight: fan_in(hidden), fan_out(2 x inner)",
            "norm.gamma: gain(hidden)",
            "output.weight: fan_in(2 x heads x 3), -",
        ]
    );
    let wide = expanded(attention, Expansion::to("heads", 6));
    assert_eq!(wide.query.weight.dims(), [4, 36]);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Stacked {
    #[grow(dims(_, fan_in = "hidden", fan_out("inner", groups = 2)))]
    weight: Param<Tensor<3>>,
    #[grow(dims(_, gain = "inner"))]
    bias: Option<Param<Tensor<2>>>,
    #[grow(dims(gate = "inner"))]
    scale: std::option::Option<Param<Tensor<1>>>,
    #[grow(skip)]
    fixed: Param<Tensor<1>>,
    #[grow(skip)]
    head: Linear,
    counts: Param<Tensor<1, Int>>,
}

#[test]
fn parameters_take_one_role_a_dimension() {
    let stacked = Stacked {
        weight: param([5, 4, 6]),
        bias: Some(param([5, 3])),
        scale: None,
        fixed: param([2]),
        head: linear(4, 2),
        counts: Param::initialized(Default::default(), Tensor::zeros([5], &device())),
    };
    assert_eq!(
        described(&stacked),
        [
            "weight: -, fan_in(hidden), fan_out(2 x inner)",
            "bias: -, gain(inner)",
            "fixed: -",
            "head.weight: -, -",
        ]
    );
    let wide = expanded(stacked, Expansion::to("inner", 5));
    assert_eq!(wide.weight.dims(), [5, 4, 10]);
    assert_eq!(wide.bias.map(|bias| bias.dims()), Some([5, 5]));
    assert_eq!(wide.head.weight.dims(), [4, 2]);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct TiedLm {
    #[grow(fan_out = "hidden")]
    embedding: Embedding,
    expert: Expert,
    #[grow(width = "hidden")]
    d_model: usize,
    #[grow(multiplier = "hidden")]
    logit_multiplier: f64,
    n_vocab: usize,
    dropout: f64,
    #[module(skip)]
    note: &'static str,
}

#[test]
fn constants_follow_the_axis_they_depend_on() {
    let tied = TiedLm {
        embedding: EmbeddingConfig::new(9, 4).init(&device()),
        expert: Expert::new(4, 6),
        d_model: 4,
        logit_multiplier: 3.0,
        n_vocab: 9,
        dropout: 0.5,
        note: "tied",
    };
    let mut lines = vec!["embedding.weight: -, fan_out(hidden)".to_owned()];
    lines.extend(expert("expert"));
    assert_eq!(described(&tied), lines);
    let blueprint = blueprint(&tied);
    assert_eq!(blueprint.multipliers().len(), 1);
    assert_eq!(blueprint.multipliers()[0].path, "logit_multiplier");
    assert_eq!(blueprint.multipliers()[0].value, 3.0);

    let inner = expanded(tied.clone(), Expansion::by("inner", 2.0));
    assert_eq!((inner.d_model, inner.logit_multiplier), (4, 3.0));
    let wide = expanded(tied, Expansion::by("hidden", 2.0));
    assert_eq!(wide.embedding.weight.dims(), [9, 8]);
    // Twice the width: the fan-in factor of doubling is one half.
    assert_eq!((wide.d_model, wide.logit_multiplier), (8, 1.5));
    assert_eq!((wide.n_vocab, wide.dropout, wide.note), (9, 0.5, "tied"));
}

#[test]
fn a_width_that_contradicts_the_parameters_is_named_by_its_path() {
    #[derive(Module, Growable, Debug)]
    #[grow(crate = burn_grow_core)]
    struct Outer {
        r#type: Inner,
    }
    #[derive(Module, Growable, Debug)]
    #[grow(crate = burn_grow_core)]
    struct Inner {
        #[grow(fan_out = "hidden")]
        layer: Linear,
        #[grow(width = "hidden")]
        r#move: usize,
    }
    let wrong = Outer {
        r#type: Inner {
            layer: linear(2, 4),
            r#move: 5,
        },
    };
    let message = refusal(&wrong);
    assert!(message.contains("but 5 in `type.move`"), "{message}");
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Children {
    all: Vec<Expert>,
    pair: [Expert; 2],
    maybe: Option<Expert>,
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    layers: Vec<Linear>,
    #[grow(fan_in = "hidden")]
    optional: Option<[Linear; 1]>,
}

#[test]
fn containers_are_descended_into() {
    let children = Children {
        all: vec![Expert::new(4, 6), Expert::new(4, 6)],
        pair: [Expert::new(4, 6), Expert::new(4, 6)],
        maybe: Some(Expert::new(4, 6)),
        layers: vec![linear(4, 4)],
        optional: Some([linear(4, 3)]),
    };
    let mut lines = Vec::new();
    for path in ["all.0", "all.1", "pair.0", "pair.1", "maybe"] {
        lines.extend(expert(path));
    }
    lines.push("layers.0.weight: fan_in(hidden), fan_out(hidden)".into());
    lines.push("optional.0.weight: fan_in(hidden), -".into());
    assert_eq!(described(&children), lines);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
#[allow(clippy::large_enum_variant)]
enum FeedForward {
    Gated(Expert),
    Dense(#[grow(fan_in = "hidden", fan_out = "hidden")] Linear),
    Bare(#[grow(dims(fan_in = "hidden", _))] Param<Tensor<2>>),
    Frozen(#[grow(skip)] Linear),
    Width(#[grow(width = "hidden")] usize),
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Blocks {
    blocks: Vec<FeedForward>,
}

#[test]
fn a_variant_is_one_segment_of_the_path() {
    let blocks = Blocks {
        blocks: vec![
            FeedForward::Gated(Expert::new(4, 6)),
            FeedForward::Dense(linear(4, 4)),
            FeedForward::Bare(param([4, 2])),
            FeedForward::Frozen(linear(4, 4)),
            FeedForward::Width(4),
        ],
    };
    let mut lines = expert("blocks.0.Gated");
    lines.push("blocks.1.Dense.weight: fan_in(hidden), fan_out(hidden)".into());
    lines.push("blocks.2.Bare: fan_in(hidden), -".into());
    lines.push("blocks.3.Frozen.weight: -, -".into());
    assert_eq!(described(&blocks), lines);

    let wide = expanded(blocks, Expansion::to("hidden", 6));
    let [_, _, FeedForward::Bare(bare), _, FeedForward::Width(width)] = &wide.blocks[..] else {
        panic!("the variants stay what they are");
    };
    assert_eq!((bare.dims(), *width), ([6, 2], 6));
}

/// A layout may look at all of the module, in a variant too.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
enum Laid {
    Heads(#[grow(fan_in = "hidden", fan_out("heads", unit = self.unit()))] Linear),
}

impl Laid {
    fn unit(&self) -> usize {
        3
    }
}

#[test]
fn a_layout_in_a_variant_may_look_at_the_module() {
    let wide = expanded(Laid::Heads(linear(4, 6)), Expansion::by("heads", 2.0));
    let Laid::Heads(heads) = wide;
    assert_eq!(heads.weight.dims(), [4, 12]);
}

#[test]
fn a_wrong_width_in_a_variant_is_named_by_the_variant() {
    let blocks = Blocks {
        blocks: vec![FeedForward::Dense(linear(4, 4)), FeedForward::Width(3)],
    };
    let message = refusal(&blocks);
    assert!(message.contains("`blocks.1.Width`"), "{message}");
}

/// `S` is no module, `M` is one and `L` a layer.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Generic<M, L: Clone, S, const N: usize>
where
    S: Default,
{
    children: Vec<M>,
    again: Vec<M>,
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    layers: [L; N],
    #[grow(skip)]
    fixed: M,
    #[module(skip)]
    _state: S,
}

#[test]
fn generic_modules_grow_when_their_parameters_do() {
    let generic = Generic::<_, _, String, 2> {
        children: vec![Expert::new(4, 6)],
        again: vec![],
        layers: [linear(4, 4), linear(4, 4)],
        fixed: Expert::new(4, 6),
        _state: String::new(),
    };
    let mut lines = expert("children.0");
    for index in 0..2 {
        lines.push(format!(
            "layers.{index}.weight: fan_in(hidden), fan_out(hidden)"
        ));
    }
    for layer in ["gate", "up", "down"] {
        lines.push(format!("fixed.{layer}.weight: -, -"));
    }
    assert_eq!(described(&generic), lines);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
enum GenericEnum<A, B: Module> {
    First(A),
    Second(Vec<B>),
}

#[test]
fn generic_enums_grow_when_their_parameters_do() {
    let first = GenericEnum::<Expert, Relu>::First(Expert::new(4, 6));
    assert_eq!(described(&first), expert("First"));
    let second = GenericEnum::<Relu, Expert>::Second(vec![Expert::new(4, 6)]);
    assert_eq!(described(&second), expert("Second.0"));
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Sized<const N: usize> {
    experts: [Expert; N],
}

#[test]
fn constants_alone_need_no_bound() {
    let sized = Sized {
        experts: [Expert::new(4, 6)],
    };
    assert_eq!(described(&sized), expert("experts.0"));
}

/// A module of another crate, which has no attributes.
#[derive(Module, Debug)]
struct Foreign {
    projection: Linear,
    width: usize,
}

mod foreign {
    use burn_grow_core::describe::Role;

    use super::*;

    pub(crate) fn describe(module: &Foreign, describe: &mut Describer) {
        let roles = LayerRoles {
            fan_out: Some(Role::fan_out("hidden")),
            ..Default::default()
        };
        describe.layer("projection", &module.projection, &roles);
        describe.width("width", "hidden", module.width);
    }

    pub(crate) fn update_constants(module: &mut Foreign, constants: &Constants<'_>) {
        constants.width("hidden", &mut module.width);
    }
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Adopts {
    #[grow(with = self::foreign)]
    child: Foreign,
}

#[test]
fn a_foreign_module_is_described_by_functions() {
    let adopts = |width| Adopts {
        child: Foreign {
            projection: linear(3, 4),
            width,
        },
    };
    assert_eq!(
        described(&adopts(4)),
        ["child.projection.weight: -, fan_out(hidden)"]
    );
    let wide = expanded(adopts(4), Expansion::by("hidden", 1.5));
    assert_eq!(wide.child.width, 6);
    assert_eq!(wide.child.projection.weight.dims(), [3, 6]);
    let message = refusal(&adopts(5));
    assert!(message.contains("`child.width`"), "{message}");
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Routed {
    top_k: usize,
    n_experts: usize,
    #[grow(fan_in = "hidden")]
    router: Linear,
    #[grow(active = Routed::fraction)]
    experts: Vec<Expert>,
    #[grow(active = Self::fraction, dims(_, fan_in = "hidden", fan_out = "inner"))]
    stacked: Param<Tensor<3>>,
    #[grow(fan_in = "hidden", active = half)]
    layer: Linear,
    #[grow(skip, active = half)]
    fixed: Linear,
}

impl Routed {
    fn fraction(&self) -> f64 {
        self.top_k as f64 / self.n_experts as f64
    }
}

fn half<T>(_: &T) -> f64 {
    0.5
}

#[test]
fn routed_parameters_count_by_the_fraction_that_is_active() {
    let routed = Routed {
        top_k: 1,
        n_experts: 4,
        router: linear(4, 4),
        experts: (0..4).map(|_| Expert::new(4, 6)).collect(),
        stacked: param([4, 4, 6]),
        layer: linear(4, 2),
        fixed: linear(4, 2),
    };
    let blueprint = blueprint(&routed);
    for param in blueprint.params() {
        let expected = match param.path.split('.').next() {
            Some("router") => 1.0,
            Some("layer" | "fixed") => 0.5,
            _ => 0.25,
        };
        assert_eq!(param.active, expected.into(), "{}", param.path);
    }
    let active = 16.0 + 0.25 * (4.0 * 72.0 + 96.0) + 0.5 * 16.0;
    assert_eq!(blueprint.active_params(), active);
}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Nothing {}

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Unit;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Empty {
    nothing: Nothing,
    unit: Unit,
}

#[test]
fn modules_without_parameters_say_nothing() {
    let empty = Empty {
        nothing: Nothing {},
        unit: Unit,
    };
    assert!(described(&empty).is_empty());
}

#[test]
fn the_fields_of_a_tuple_struct_are_named_by_their_index() {
    let pair = |width| Pair(Expert::new(4, 6), linear(4, 2), width);
    let mut lines = expert("0");
    lines.push("1.weight: fan_in(hidden), -".into());
    assert_eq!(described(&pair(4)), lines);
    let wide = expanded(pair(4), Expansion::to("hidden", 5));
    assert_eq!((wide.1.weight.dims(), wide.2), ([5, 2], 5));
    let message = refusal(&pair(3));
    assert!(message.contains("3 in `2`"), "{message}");
}

/// The generated code must not depend on what names mean where it stands, nor warn under the strictest lints.
mod hostile {
    #![deny(warnings, clippy::pedantic)]
    #![allow(dead_code)]

    use super::{Embedding, Linear, Module, Param, Tensor};

    struct Role;
    struct Describer;

    /// Its bounds name a type that is more private than it is.
    #[derive(Module, burn_grow_derive::Growable, Debug)]
    #[grow(crate = burn_grow_core)]
    pub(crate) struct Public<M> {
        #[grow(fan_in = "hidden", fan_out = "hidden")]
        layer: Linear,
        #[grow(fan_out = "hidden")]
        embedding: Option<Embedding>,
        #[grow(dims(fan_in = "hidden"))]
        param: Option<Param<Tensor<1>>>,
        private: Private<M>,
        #[grow(width = "hidden")]
        describe: usize,
    }

    #[derive(Module, burn_grow_derive::Growable, Debug)]
    #[grow(crate = burn_grow_core)]
    struct Private<M> {
        child: M,
    }
}
