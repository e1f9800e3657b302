//! Modules that are used on several axes, and axes that grow together.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, GroupNorm, GroupNormConfig, Linear, LinearConfig, Relu,
};
use burn::tensor::{Device, Tensor};
use burn_grow::describe::{
    ActiveFraction, Axis, AxisMap, Constants, Describer, LayerRoles, Layout, Role,
};
use burn_grow::verify::{RoleWarning, two_width_check};
use burn_grow::{Blueprint, Expansion, GrowError, Growable, Plan};
use burn_grow_tests::data::{random, seeded};
use burn_grow_tests::growth::{described, grown};

mod stacks;
mod statistics;

fn device() -> Device {
    Device::flex()
}

fn linear(d_in: usize, d_out: usize) -> Linear {
    LinearConfig::new(d_in, d_out).init(&device())
}

fn widths<G: Growable>(model: &G) -> Vec<(String, usize)> {
    let blueprint = Blueprint::of(model).unwrap();
    let widths = blueprint.widths().iter();
    widths
        .map(|(axis, width)| (axis.to_string(), *width))
        .collect()
}

/// The largest difference of two outputs.
fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

/// The block of an image classifier, used once for each stage.
#[derive(Module, Growable, Debug)]
struct ConvBlock {
    #[grow(fan_in = "input", fan_out = "output")]
    conv: Conv2d,
    #[grow(gain = "output")]
    norm: BatchNorm,
    activation: Relu,
}

impl ConvBlock {
    fn new(input: usize, output: usize) -> Self {
        Self {
            conv: Conv2dConfig::new([input, output], [3, 3]).init(&device()),
            norm: BatchNormConfig::new(output).init(&device()),
            activation: Relu::new(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.norm.forward(self.conv.forward(x));
        self.activation.forward(x)
    }
}

#[derive(Module, Growable, Debug)]
struct Classifier {
    #[grow(axes(input = _, output = "c1"))]
    first: ConvBlock,
    #[grow(axes(input = "c1", output = "c2"))]
    second: ConvBlock,
    #[grow(fan_in("c2", unit = 16))]
    head: Linear,
}

impl Classifier {
    fn of(c1: usize, c2: usize) -> Self {
        Self {
            first: ConvBlock::new(1, c1),
            second: ConvBlock::new(c1, c2),
            head: linear(c2 * 16, 10),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.second.forward(self.first.forward(x));
        self.head.forward(x.flatten(1, 3))
    }
}

#[test]
fn one_block_lies_on_the_axes_of_each_place() {
    let model = Classifier::of(4, 6);
    let lines = described(&model);
    assert_eq!(lines[0], "first.conv.weight: fan_out(c1), -, -, -");
    assert_eq!(
        lines[6],
        "second.conv.weight: fan_out(c2), fan_in(c1), -, -"
    );
    assert_eq!(widths(&model), [("c1".into(), 4), ("c2".into(), 6)]);
    assert_eq!(two_width_check(&model, &Classifier::of(6, 11)), Ok(vec![]));
    let wide = grown(&model, &Expansion::by("c1", 2.0).and_by("c2", 2.0));
    assert_eq!(wide.second.conv.weight.dims(), [12, 8, 3, 3]);
    let x = random([2, 1, 8, 8], 2, &device());
    let largest = model.forward(x.clone()).abs().max().into_scalar::<f32>();
    assert!(difference(model.forward(x.clone()), wide.forward(x)) < 1e-5 * largest);
}

/// A block with a shortcut, whose first copy reads another width.
#[derive(Module, Growable, Debug)]
struct Residual {
    #[grow(fan_in = "input", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "output")]
    down: Linear,
    #[grow(fan_in = "input", fan_out = "output")]
    shortcut: Option<Linear>,
    #[grow(width = "inner")]
    inner: usize,
}

impl Residual {
    fn new(input: usize, inner: usize, output: usize) -> Self {
        Self {
            up: linear(input, inner),
            down: linear(inner, output),
            shortcut: (input != output).then(|| linear(input, output)),
            inner,
        }
    }
}

#[derive(Module, Growable, Debug)]
struct Stage {
    #[grow(axes(input = "output"), first(axes(input = "input")))]
    blocks: Vec<Residual>,
}

#[derive(Module, Growable, Debug)]
struct ResNet {
    #[grow(axes(input = _, output = "c1", inner = "i1"))]
    first: Stage,
    #[grow(axes(input = "c1", output("c2", unit = 2), inner = "i2"))]
    second: Stage,
    #[grow(fan_in("c2", unit = 2))]
    head: Linear,
}

impl ResNet {
    fn of(c1: usize, c2: usize) -> Self {
        let stage = |input, inner, output| Stage {
            blocks: vec![
                Residual::new(input, inner, output),
                Residual::new(output, inner, output),
            ],
        };
        Self {
            first: stage(3, 5 + c1, c1),
            second: stage(c1, 9 + 3 * c1, 2 * c2),
            head: linear(2 * c2, 10),
        }
    }
}

#[test]
fn maps_nest_and_the_first_of_a_stack_may_differ() {
    let model = ResNet::of(4, 6);
    let lines = described(&model);
    let of = |path: &str| {
        let line = lines.iter().find(|line| line.starts_with(path)).unwrap();
        line.split(": ").nth(1).unwrap().to_owned()
    };
    assert_eq!(of("first.blocks.0.up.weight"), "-, fan_out(i1)");
    assert_eq!(of("first.blocks.1.up.weight"), "fan_in(c1), fan_out(i1)");
    assert_eq!(
        of("second.blocks.0.shortcut.weight"),
        "fan_in(c1), fan_out(c2 x 2)"
    );
    assert_eq!(
        of("second.blocks.1.down.weight"),
        "fan_in(i2), fan_out(c2 x 2)"
    );
    let wide = grown(&model, &Expansion::by("c2", 2.0).and_by("i2", 2.0));
    assert_eq!(wide.second.blocks[0].down.weight.dims(), [42, 24]);
    assert_eq!(wide.second.blocks[1].up.weight.dims(), [24, 42]);
    // Constants go through the same maps.
    let inner = |stage: &Stage| {
        stage
            .blocks
            .iter()
            .map(|block| block.inner)
            .collect::<Vec<_>>()
    };
    assert_eq!(inner(&wide.first), [9, 9]);
    assert_eq!(inner(&wide.second), [42, 42]);
    assert_eq!(two_width_check(&model, &ResNet::of(5, 7)), Ok(vec![]));
}

/// Everything that a description can name.
#[derive(Module, Growable, Debug)]
#[grow(axes(stream("heads", unit = self.head_dim)))]
#[grow(together("experts", "top_k", "the router is trained for their ratio"))]
struct Everything {
    #[grow(fan_in = "stream", fan_out = "inner")]
    layer: Linear,
    #[grow(active = Self::active, fan_in = "experts")]
    experts: Linear,
    #[grow(gain = "stream")]
    norm: GroupNorm,
    #[grow(heads = "heads")]
    attention: MultiHeadAttention,
    #[grow(width = "stream")]
    d_model: usize,
    #[grow(width = "heads")]
    heads: usize,
    #[grow(count = "top_k")]
    top_k: usize,
    #[grow(multiplier = "stream")]
    multiplier: f64,
    #[grow(frozen("inner", "its reader is elsewhere"))]
    inner: usize,
    head_dim: usize,
}

impl Everything {
    fn of(heads: usize, experts: usize) -> Self {
        let d_model = 4 * heads;
        Self {
            layer: linear(d_model, 3),
            experts: linear(experts, 2),
            norm: GroupNormConfig::new(heads, d_model).init(&device()),
            attention: MultiHeadAttentionConfig::new(d_model, heads).init(&device()),
            d_model,
            heads,
            top_k: 2,
            multiplier: 1.0,
            inner: 3,
            head_dim: 4,
        }
    }

    fn active(&self) -> ActiveFraction {
        ActiveFraction::ratio("top_k", "experts")
    }
}

#[derive(Module, Growable, Debug)]
struct Uses {
    #[grow(axes(
        heads("groups", "queries"),
        inner("a", "b"),
        experts = "e",
        top_k = "k"
    ))]
    all: [Everything; 1],
    #[grow(axes(heads = _, inner = "c", experts = _, top_k = _))]
    fixed: Option<Everything>,
    #[grow(fan_in = "groups", fan_out("a", unit = 3))]
    groups: Linear,
}

impl Uses {
    fn of(groups: usize, experts: usize) -> Self {
        Self {
            all: [Everything::of(3 * groups, experts)],
            fixed: Some(Everything::of(5, 7)),
            groups: linear(groups, 3),
        }
    }
}

#[test]
fn a_map_holds_for_everything_that_a_description_names() {
    let model = Uses::of(2, 4);
    assert_eq!(
        widths(&model),
        [
            ("a", 1),
            ("b", 3),
            ("c", 3),
            ("e", 4),
            ("groups", 2),
            ("k", 2),
            ("queries", 3)
        ]
        .map(|(axis, width)| (axis.to_owned(), width))
    );
    let lines = described(&model);
    assert!(
        lines.contains(&"all.0.norm.gamma: gain(groups x queries x 4)".into()),
        "{lines:?}"
    );
    assert!(lines.contains(&"fixed.norm.gamma: -".into()), "{lines:?}");
    assert!(
        lines.contains(&"fixed.layer.weight: -, fan_out(c)".into()),
        "{lines:?}"
    );

    let wide = grown(
        &model,
        &Expansion::by("groups", 2.0)
            .and_by("e", 2.0)
            .and_by("k", 2.0),
    );
    let all = &wide.all[0];
    assert_eq!((all.d_model, all.heads, all.top_k), (48, 12, 4));
    assert_eq!((all.attention.n_heads, all.attention.d_model), (12, 48));
    assert_eq!((all.norm.num_groups, all.norm.num_channels), (12, 48));
    assert_eq!((all.multiplier, all.head_dim), (0.5, 4));
    let fixed = wide.fixed.as_ref().unwrap();
    assert_eq!((fixed.d_model, fixed.heads, fixed.top_k), (20, 5, 2));
    assert_eq!((fixed.multiplier, fixed.attention.n_heads), (1.0, 5));

    let blueprint = Blueprint::of(&model).unwrap();
    let param = |path: &str| {
        let params = blueprint.params().iter();
        params.clone().find(|param| param.path == path).unwrap()
    };
    let active = |path: &str| param(path).active.fraction(blueprint.widths());
    assert_eq!(active("all.0.experts.weight"), 0.5);
    assert_eq!(active("fixed.experts.weight"), 2.0 / 7.0);

    // The frozen axis is a product here, and none of it can grow.
    for axis in ["a", "b", "c"] {
        let error = Expansion::by(axis, 2.0).plan(&model).unwrap_err();
        assert!(matches!(error, GrowError::FrozenAxis { .. }), "{error}");
    }
    let text = serde_json::to_string(&blueprint).unwrap();
    assert_eq!(serde_json::from_str::<Blueprint>(&text).unwrap(), blueprint);
}

#[test]
fn axes_that_grow_together_grow_all_or_not_at_all() {
    let model = Uses::of(2, 4);
    let error = Expansion::by("e", 2.0).plan(&model).unwrap_err();
    insta::assert_snapshot!(error, @"axis `e` grows together with `k`, which the expansion does not grow: the router is trained for their ratio");
    let one_stays = Expansion::by("e", 2.0).and_by("k", 1.0);
    assert!(matches!(
        one_stays.plan(&model),
        Err(GrowError::Together { missing, .. }) if missing == [Axis::from("k")]
    ));
    assert!(Expansion::by("groups", 2.0).plan(&model).is_ok());
    // Where one of them never grows, neither does the other.
    #[derive(Module, Growable, Debug)]
    struct Half {
        #[grow(axes(top_k = _))]
        all: Everything,
    }
    let half = Half {
        all: Everything::of(2, 4),
    };
    let error = Expansion::by("experts", 2.0).plan(&half).unwrap_err();
    assert!(matches!(error, GrowError::FrozenAxis { .. }), "{error}");
}

#[test]
fn an_attention_under_a_layout_named_once_computes_the_same() {
    let model = seeded(Everything::of(2, 4), 3);
    let wide = grown(&model, &Expansion::by("heads", 2.0));
    let x = random([2, 5, 8], 4, &device());
    let twice = Tensor::cat(vec![x.clone(), x.clone()], 2);
    let output = |model: &Everything, x| model.attention.forward(MhaInput::self_attn(x)).context;
    let expected = output(&model, x);
    let found = output(&wide, twice).narrow(2, 0, 8);
    assert!(difference(expected, found) < 1e-5);
}

/// The same by hand.
#[derive(Module, Debug)]
struct ByHand {
    first: Residual,
    layers: Vec<Linear>,
    norm: BatchNorm,
}

impl ByHand {
    fn axes() -> AxisMap {
        AxisMap::new()
            .with("input", Layout::of("a").and("b"))
            .with("inner", "i")
            .without("output")
    }
}

impl Growable for ByHand {
    fn describe(&self, describer: &mut Describer) {
        describer.axes(&Self::axes(), |describer| {
            describer.child("first", &self.first)
        });
        let roles = LayerRoles {
            fan_in: Some(Role::fan_in("a")),
            ..LayerRoles::default()
        };
        describer.layer("layers", &self.layers, &roles);
        describer.layer("norm", &self.norm, &LayerRoles::default());
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        constants.axes(&Self::axes(), |constants| {
            self.first.update_constants(constants)
        });
        constants.layer(&mut self.norm, &LayerRoles::default());
    }
}

#[test]
fn maps_of_axes_work_by_hand() {
    let model = ByHand {
        first: Residual::new(6, 5, 4),
        layers: vec![linear(2, 3)],
        norm: BatchNormConfig::new(3).init(&device()),
    };
    let lines = described(&model);
    assert_eq!(lines[0], "first.up.weight: fan_in(a x b), fan_out(i)");
    let wide = grown(&model, &Expansion::by("b", 2.0).and_by("i", 3.0));
    assert_eq!(
        (wide.first.up.weight.dims(), wide.first.inner),
        ([12, 15], 15)
    );
}

#[test]
fn a_name_that_nothing_uses_is_a_warning() {
    #[derive(Module, Growable, Debug)]
    struct Misspelled {
        #[grow(axes(inptu = "hidden", output = "c1"))]
        block: ConvBlock,
    }
    let of = |width| Misspelled {
        block: ConvBlock::new(width, 2 * width + 1),
    };
    let warnings = two_width_check(&of(3), &of(5)).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(
        matches!(&warnings[0], RoleWarning::Unused { unused, .. } if unused == &["inptu".into()])
    );
    insta::assert_snapshot!(
        warnings[0],
        @"`axes(..)` of `block` names `inptu`, but what it describes has `input`, `output`"
    );
}

#[test]
fn plans_of_a_mapped_model_are_data() {
    let plan = Expansion::by("c1", 2.0)
        .plan(&Classifier::of(4, 6))
        .unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("kept") && !text.contains("_ "), "{text}");
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}
