//! Stacks of blocks: what a plan makes of them, and that a grown stack is one that was built deep.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig1d,
};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_grow::describe::{Axis, Constants, Describer, LayerRoles, Role};
use burn_grow::plan::{BlockContent, Blocks, ParamContent};
use burn_grow::verify::{check_description, grown_rms, two_width_check};
use burn_grow::{Blueprint, Expansion, GrowError, Growable, Plan, StackFault};
use burn_grow_tests::data::{assert_close, random, rms, seeded, values};
use burn_grow_tests::dump;
use burn_grow_tests::growth::{grown, plan};
use burn_grow_tests::models::{Stacked, StackedBlock};
use rstest::rstest;

mod nested;
mod rejected;

/// A residual CNN, each branch of which ends in a norm with running statistics.
#[derive(Module, Growable, Debug)]
struct Cnn {
    #[grow(fan_out = "channels")]
    stem: Conv1d,
    #[grow(depth = "layers")]
    blocks: Vec<CnnBlock>,
    #[grow(fan_in = "channels")]
    head: Linear,
}

#[derive(Module, Growable, Debug)]
struct CnnBlock {
    #[grow(fan_in = "channels", fan_out = "inner")]
    first: Conv1d,
    #[grow(gain = "inner")]
    first_norm: BatchNorm,
    #[grow(fan_in = "inner", fan_out = "channels")]
    second: Conv1d,
    #[grow(gain = "channels")]
    second_norm: BatchNorm,
}

fn conv(channels: [usize; 2], device: &Device) -> Conv1d {
    Conv1dConfig::new(channels[0], channels[1], 3)
        .with_padding(PaddingConfig1d::Same)
        .init(device)
}

impl Cnn {
    fn new(layers: usize, device: &Device) -> Self {
        let block = |_| CnnBlock {
            first: conv([4, 5], device),
            first_norm: BatchNormConfig::new(5).init(device),
            second: conv([5, 4], device),
            second_norm: BatchNormConfig::new(4).init(device),
        };
        Self {
            stem: conv([2, 4], device),
            blocks: (0..layers).map(block).collect(),
            head: LinearConfig::new(4, 3).init(device),
        }
    }

    /// `[batch, 2, length]` to `[batch, 3]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.stem.forward(x), |x, block| {
            let inner = relu(block.first_norm.forward(block.first.forward(x.clone())));
            relu(x + block.second_norm.forward(block.second.forward(inner)))
        });
        let [batch, channels, _] = x.dims();
        self.head.forward(x.mean_dim(2).reshape([batch, channels]))
    }
}

/// What an identity block of [`Cnn`] sets to zero: its last norm.
fn quiet_cnn() -> Blocks {
    Blocks::identity().zeroing(["second_norm.gamma", "second_norm.beta"])
}

fn to(layers: usize, blocks: Blocks) -> Expansion {
    Expansion::to("layers", layers).with_blocks("layers", blocks)
}

fn input(device: &Device) -> Tensor<2> {
    random([5, 3], 77, device)
}

/// The value of every parameter, by path.
fn params<M: Module>(model: &M) -> BTreeMap<String, Vec<f32>> {
    let params = dump::params(model).into_iter();
    params.map(|(path, param)| (path, param.values())).collect()
}

#[rstest]
#[case::stacked(3, 6, Blocks::copies(), &[0, 1, 2, 0, 1, 2])]
#[case::uneven(3, 5, Blocks::copies(), &[0, 1, 2, 0, 1])]
#[case::interleaved(3, 6, Blocks::copies().interleaved(), &[0, 0, 1, 1, 2, 2])]
#[case::last(3, 5, Blocks::copies().from_last(), &[0, 1, 2, 2, 2])]
#[case::listed(3, 5, Blocks::copies().in_order([0, 1, 0, 1, 2]), &[0, 1, 0, 1, 2])]
#[case::one(1, 3, Blocks::copies(), &[0, 0, 0])]
fn new_blocks_come_from_where_the_plan_says(
    #[case] old: usize,
    #[case] new: usize,
    #[case] blocks: Blocks,
    #[case] sources: &[usize],
) {
    let device = Device::flex().autodiff();
    let shallow = Stacked::of(old, 1, &device);
    let deep = grown(&shallow, &to(new, blocks));
    assert_eq!((deep.blocks.len(), deep.n_layers), (new, new));
    let (before, after) = (dump::params(&shallow), dump::params(&deep));
    let mut seen = Vec::new();
    for (block, source) in sources.iter().enumerate() {
        let kept = !seen.contains(source);
        seen.push(*source);
        for inside in [
            "norm.gamma",
            "norm.beta",
            "up.weight",
            "up.bias",
            "down.weight",
        ] {
            let found = &after[&format!("blocks.{block}.{inside}")];
            let expected = &before[&format!("blocks.{source}.{inside}")];
            assert_eq!(found.bytes, expected.bytes, "{block} {inside}");
            // What stays is the same parameter, what is new is another one.
            assert_eq!(found.id == expected.id, kept, "{block} {inside}");
            assert!(found.require_grad);
        }
    }
    let mut ids: Vec<u64> = after.values().map(|param| param.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), after.len());
    for path in ["embed.weight", "norm.gamma", "head.bias"] {
        assert_eq!(after[path], before[path]);
    }
}

#[test]
fn a_plan_says_it_all_before_anything_is_touched() {
    let device = Device::flex();
    let shallow = Stacked::of(2, 1, &device);
    let expansion = to(4, Blocks::identity().interleaved()).and_by("hidden", 2.0);
    let plan = plan(&shallow, &expansion);
    let blueprint = Blueprint::of(&shallow).unwrap();
    let deep = plan.apply(shallow.clone()).unwrap();
    check_description(&deep, &blueprint.expanded(&plan)).unwrap();
    assert_eq!(Blueprint::of(&deep).unwrap(), blueprint.expanded(&plan));
    assert_eq!(plan.num_params(), (shallow.num_params(), deep.num_params()));
    let param = |path| plan.param(path).unwrap();
    assert_eq!(
        param("blocks.1.down.weight").content(),
        Some(ParamContent::Zero)
    );
    assert_eq!(
        param("blocks.1.down.bias").content(),
        Some(ParamContent::Zero)
    );
    assert_eq!(
        param("blocks.1.up.weight").content(),
        Some(ParamContent::Copy)
    );
    assert_eq!(
        param("blocks.2.up.weight").source_path(),
        Some("blocks.1.up.weight")
    );
    assert!(!param("blocks.2.up.weight").is_new());
    let axis = plan.axis(&Axis::from("layers")).unwrap();
    assert_eq!(axis.blocks(), Some(BlockContent::Identity));
    let table = plan.to_string();
    assert!(
        table.contains("axis layers: 2 -> 4, identity: 0 +0 1 +1"),
        "{table}"
    );
    let read: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(read, plan);
    assert_eq!(
        read.apply(shallow).map(|deep| params(&deep)),
        Ok(params(&deep))
    );
    let written = serde_json::to_string(&blueprint).unwrap();
    assert_eq!(
        serde_json::from_str::<Blueprint>(&written).unwrap(),
        blueprint
    );
    let written = toml::to_string(&expansion).unwrap();
    assert_eq!(toml::from_str::<Expansion>(&written).unwrap(), expansion);
}

#[rstest]
fn identity_blocks_keep_the_function(
    #[values((1, 2), (1, 8), (3, 5))] layers: (usize, usize),
    #[values(false, true)] interleaved: bool,
) {
    let device = Device::flex().autodiff();
    let ordered = |blocks: Blocks| match interleaved {
        true => blocks.interleaved(),
        false => blocks,
    };
    let shallow = Stacked::of(layers.0, 1, &device);
    let deep = grown(&shallow, &to(layers.1, ordered(Blocks::identity())));
    let outputs = |model: &Stacked| values(model.forward(input(&device)));
    assert_eq!(outputs(&deep), outputs(&shallow));

    let mut shallow = Cnn::new(layers.0, &device);
    let x = random([6, 2, 7], 5, &device);
    // A few steps, so that statistics are not those of the initialization.
    let mut optim = ModuleOptimizer::from(SgdConfig::new().build());
    for _ in 0..3 {
        let loss = shallow.forward(x.clone()).square().mean().backward();
        let grads = GradientsParams::from_grads(loss, &shallow);
        shallow = optim.step(0.05, shallow, grads);
    }
    let deep = grown(&shallow, &to(layers.1, ordered(quiet_cnn())));
    for valid in [true, false] {
        let output = |model: &Cnn| match valid {
            true => values(model.valid().forward(x.clone().inner())),
            false => values(model.forward(x.clone())),
        };
        assert_close(&output(&deep), &output(&shallow), 1e-6, "the residual CNN");
    }
}

/// Statistics of a new block are its own: training one leaves those of its source alone.
#[test]
fn the_statistics_of_a_new_block_are_its_own() {
    let device = Device::flex().autodiff();
    let shallow = Cnn::new(1, &device);
    let deep = grown(&shallow, &to(2, Blocks::copies()));
    let mean =
        |model: &Cnn, block: usize| values(model.blocks[block].first_norm.running_mean.value());
    let before = mean(&shallow, 0);
    assert_eq!(mean(&deep, 1), before);
    deep.forward(random([6, 2, 7], 5, &device) * 3.0);
    let _ = deep.valid();
    assert_ne!(mean(&deep, 0), mean(&deep, 1));
    assert_eq!(mean(&shallow, 0), before);
}

/// A stack that grew is the one that is built deep and holds the same weights: forward, gradients,
/// steps.
#[rstest]
#[case(Blocks::copies())]
#[case(Blocks::identity().interleaved())]
#[case(Blocks::drawn())]
fn a_grown_stack_is_one_that_was_built_deep(#[case] blocks: Blocks) {
    let device = Device::flex().autodiff();
    let grown = grown(&Stacked::of(2, 1, &device), &to(4, blocks));
    let built = Stacked::of(4, 9, &device).load_record(grown.clone().into_record());
    let train = |mut model: Stacked| {
        let mut optim = ModuleOptimizer::from(AdamWConfig::new().build());
        let mut outputs = Vec::new();
        for _ in 0..3 {
            let output = model.forward(input(&device));
            outputs.extend(values(output.clone()));
            let grads = GradientsParams::from_grads(output.square().mean().backward(), &model);
            model = optim.step(0.01, model, grads);
        }
        (outputs, params(&model))
    };
    assert_eq!(train(grown), train(built));
}

#[test]
fn every_block_gets_its_own_gradient() {
    let device = Device::flex().autodiff();
    let deep = grown(&Stacked::of(1, 1, &device), &to(3, Blocks::copies()));
    let grads = deep.forward(input(&device)).square().mean().backward();
    let grads = GradientsParams::from_grads(grads, &deep);
    let of = |block: usize| values(grads.get::<2>(deep.blocks[block].up.weight.id).unwrap());
    assert_ne!(of(0), of(1));
    assert_ne!(of(1), of(2));
}

/// Depth and width at once, or one after the other in any order, are the same model.
#[rstest]
#[case(Blocks::copies())]
#[case(Blocks::identity())]
#[case(Blocks::copies().interleaved())]
fn depth_and_width_commute(#[case] blocks: Blocks) {
    let device = Device::flex();
    let shallow = Stacked::of(2, 1, &device);
    let depth = to(4, blocks);
    let width = Expansion::by("hidden", 2.0).and_by("inner", 3.0);
    let both = depth.clone().and_by("hidden", 2.0).and_by("inner", 3.0);
    let at_once = grown(&shallow, &both);
    assert_eq!(
        dump::params(&grown(&grown(&shallow, &depth), &width)),
        dump::params(&at_once)
    );
    assert_eq!(
        dump::params(&grown(&grown(&shallow, &width), &depth)),
        dump::params(&at_once)
    );
    assert_eq!(
        (at_once.hidden, at_once.inner, at_once.n_layers),
        (8, 18, 4)
    );
}

#[test]
fn an_empty_stack_grows_from_fresh_blocks() {
    let device = Device::flex().autodiff();
    let none = Stacked::of(0, 1, &device);
    let blueprint = Blueprint::of(&none).unwrap();
    assert_eq!(blueprint.num_params(), none.num_params());
    let widths = blueprint.widths();
    assert_eq!((widths[&"layers".into()], widths[&"inner".into()]), (0, 6));
    for expansion in [
        to(3, Blocks::fresh()),
        to(3, Blocks::fresh())
            .and_by("hidden", 2.0)
            .and_by("inner", 2.0),
    ] {
        let plan = plan(&none, &expansion);
        let deep = plan.apply(none.clone()).unwrap();
        check_description(&deep, &blueprint.expanded(&plan)).unwrap();
        assert_eq!(plan.num_params().1, deep.num_params());
        let before = values(deep.forward(input(&device)));
        assert!(before.iter().all(|value| value.is_finite()));
        let loss = deep.forward(input(&device)).square().mean();
        let grads = GradientsParams::from_grads(loss.backward(), &deep);
        let mut optim = ModuleOptimizer::from(AdamWConfig::new().build());
        let after = optim.step(0.01, deep.clone(), grads);
        let (before, after) = (params(&deep), params(&after));
        for (path, value) in &before {
            assert_ne!(value, &after[path], "{path} trains");
        }
        assert!(deep.blocks.iter().all(|block| {
            block
                .norm
                .gamma
                .val()
                .into_data()
                .iter::<f32>()
                .all(|gain| gain == 1.0)
        }));
    }
    // An empty stack that stays empty widens.
    let plan = plan(&none, &Expansion::by("hidden", 2.0));
    let wide = plan.apply(none).unwrap();
    check_description(&wide, &blueprint.expanded(&plan)).unwrap();
    let deep = grown(&wide, &to(2, Blocks::fresh()));
    assert_eq!(deep.blocks[1].up.weight.dims(), [8, 6]);
}

#[test]
fn drawn_blocks_have_the_moments_of_their_sources() {
    let device = Device::flex();
    let shallow = seeded(Stacked::of(1, 1, &device), 1);
    let wide = grown(
        &shallow,
        &Expansion::by("hidden", 16.0).and_by("inner", 16.0),
    );
    let deep = grown(&wide, &to(3, Blocks::drawn()));
    let weight = |model: &Stacked, block: usize| values(model.blocks[block].up.weight.val());
    let (source, one, two) = (weight(&wide, 0), weight(&deep, 1), weight(&deep, 2));
    assert_eq!(weight(&deep, 0), source);
    assert_ne!(one, source);
    assert_ne!(one, two);
    assert!((rms(&one) / rms(&source) - 1.0).abs() < 0.03);
    let gain = |block: usize| values(deep.blocks[block].norm.gamma.val());
    assert_eq!(gain(1), gain(0));
    let found = grown_rms(&deep, &plan(&wide, &to(3, Blocks::drawn())))
        .unwrap()
        .unwrap();
    assert!((found.new / found.old - 1.0).abs() < 0.03, "{found:?}");
}

#[test]
fn a_second_length_checks_a_description() {
    #[derive(Module, Growable, Debug)]
    struct Forgetful {
        #[grow(fan_out = "hidden")]
        embed: Linear,
        #[grow(depth = "layers")]
        blocks: Vec<StackedBlock>,
        layers: usize,
    }
    let device = Device::flex();
    let model = |layers| Forgetful {
        embed: LinearConfig::new(3, 4).init(&device),
        blocks: (0..layers)
            .map(|_| StackedBlock::new(4, 6, &device))
            .collect(),
        layers,
    };
    let error = two_width_check(&model(2), &model(5)).expect_err("a number that stays");
    assert_eq!(
        error.to_string(),
        "`layers` changes 2 -> 5 as axis layers does and is not declared: \
         `#[grow(width = \"layers\")]`"
    );
    two_width_check(&Stacked::of(2, 1, &device), &Stacked::of(3, 1, &device)).unwrap();
    two_width_check(&Stacked::of(0, 1, &device), &Stacked::of(3, 1, &device)).unwrap();
    two_width_check(&Cnn::new(2, &device), &Cnn::new(3, &device)).unwrap();
}
