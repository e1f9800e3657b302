//! Every mistake has a message that names what is at fault, and leaves everything as it was.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use burn::module::{Lora, Module, Param, ParamGroup, Quantizer};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, Linear,
    LinearConfig, RmsNorm, RmsNormConfig,
};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{Device, Tensor};
use burn_grow::baseline::Baseline;
use burn_grow::describe::{ActiveFraction, Constants, Describer, Layer as _, LayerRoles, Role};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::{
    AsymmetricExt, OptimError, RewarmupScope, StateRules, check_asymmetric, expand_optimizer,
};
use burn_grow::parametrization::Parametrization;
use burn_grow::plan::{AxisSetting, Blocks, Init, Method, Target};
use burn_grow::verify::{Activations, check_description, two_width_check, verify};
use burn_grow::{
    At, Blueprint, Expansion, GrowError, Growable, Growth, InitPair, Plan, Rewarmup, Scaling,
    StatePolicy, TrainError, WidthExpansionCallback,
};
use burn_grow_tests::data::gradients;
use burn_grow_tests::dump;
use burn_grow_tests::growth;
use burn_grow_tests::models::{Fused, Mlp, Probe, Tied};
use rstest::rstest;

mod models;
mod optimizers;
mod read;

use models::*;

fn mlp() -> Mlp {
    Mlp::of([3, 4, 2], 1, &Device::flex())
}

fn linear(d_in: usize, d_out: usize) -> Linear {
    LinearConfig::new(d_in, d_out)
        .with_bias(false)
        .init(&Device::flex())
}

/// The error of describing `model`, which it leaves alone.
fn described<G: Growable>(model: G) -> GrowError {
    let before = dump::model_bytes(&model);
    let error = Blueprint::of(&model).expect_err("a mistake");
    assert_eq!(dump::model_bytes(&model), before);
    error
}

/// The error of planning `expansion`.
fn planned<G: Growable>(model: G, expansion: Expansion) -> GrowError {
    let blueprint = Blueprint::of(&model).unwrap();
    Plan::new(&blueprint, &expansion).expect_err("a mistake")
}

/// The error of applying the plan of `planned` to `model`; a clone is what is consumed.
fn applied<G: Growable>(planned: G, model: G, expansion: Expansion) -> GrowError {
    let before = dump::model_bytes(&model);
    let plan = growth::plan(&planned, &expansion);
    let error = plan.apply(model.clone()).expect_err("a mistake");
    assert_eq!(plan.check(&model), Err(error.clone()));
    assert_eq!(dump::model_bytes(&model), before);
    error
}

/// Each mistake once, with what its message has to name.
fn mistakes() -> Vec<(GrowError, &'static [&'static str])> {
    let up = linear(3, 4);
    vec![
        (
            planned(mlp(), Expansion::by("outer", 2.0)),
            &["`outer`", "`inner`"],
        ),
        (
            described(Misnamed {
                up: up.clone(),
                inner: 4,
            }),
            &["`iner`", "`inner`"],
        ),
        (
            described(Scaled {
                up: up.clone(),
                scale: 1.0,
            }),
            &["`iner`", "`inner`"],
        ),
        (
            planned(mlp(), Expansion::to("inner", 3)),
            &["`inner`", "4", "3"],
        ),
        (
            planned(mlp(), Expansion::by("inner", 0.5)),
            &["`inner`", "4", "2"],
        ),
        (
            planned(mlp(), Expansion::by("inner", 1.1)),
            &["`inner`", "4", "1.1"],
        ),
        (
            planned(mlp(), Expansion::by("inner", f64::NAN)),
            &["`inner`", "NaN"],
        ),
        (
            planned(mlp(), Expansion::by("inner", f64::INFINITY)),
            &["`inner`", "inf"],
        ),
        (
            planned(mlp(), Expansion::to("inner", usize::MAX)),
            &["`inner`", "18446744073709551615", "16777216"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0).with_baseline(Baseline::Net2Net { noise: f64::NAN }),
            ),
            &["Net2Net", "NaN"],
        ),
        (
            Blueprint::of_lazy(&vast()).unwrap_err(),
            &["`embedding.weight`", "[1099511627776, 1099511627776]"],
        ),
        (
            Parametrization::mup([("inner", 0)])
                .of(&Blueprint::of(&mlp()).unwrap())
                .unwrap_err(),
            &["`inner`", "above 0"],
        ),
        (planned(mlp(), Expansion::default()), &["no axis"]),
        (
            described(Laid { up: linear(3, 8) }),
            &[
                "`up.weight`",
                "dimension 1",
                "8",
                "`fan_out(2 x inner x 3)`",
            ],
        ),
        (
            described(Product { up: up.clone() }),
            &["`up.weight`", "`fan_out(outer x inner)`", "`outer`"],
        ),
        (
            planned(
                Frozen {
                    up: up.clone(),
                    head_dim: 4,
                },
                Expansion::by("head_dim", 2.0),
            ),
            &["`head_dim`", "the scores are divided by its root"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0).on("outer", Method::default()),
            ),
            &["`outer`"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0).with_blocks("inner", Blocks::copies()),
            ),
            &["`inner`", "`with_blocks`"],
        ),
        (
            planned(
                MoeConfig::default().init(&Device::flex()),
                Expansion::to("layers", 3)
                    .with_blocks("layers", Blocks::copies().in_order([0, 0, 2])),
            ),
            &["`blocks`", "`layers`", "block 2", "2 blocks"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0)
                    .with_baseline(Baseline::Net2Net { noise: 0.01 })
                    .with_init(InitPair::COPY_ZERO),
            ),
            &["`inner`", "`Net2Net, noise 0.01`", "`with_init`"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0)
                    .with_init(InitPair::RANDOM_COPY)
                    .with_scaling(Scaling::FunctionPreserving),
            ),
            &["`inner`", "random-copy"],
        ),
        (
            planned(
                mlp(),
                Expansion::by("inner", 2.0).with_init(InitPair::new(Init::Zero, Init::Zero)),
            ),
            &["`inner`", "zero-zero"],
        ),
        (
            planned(
                Routed {
                    experts: Param::from_tensor(Tensor::zeros([4, 2, 2], &Device::flex())),
                    top_k: 2,
                },
                Expansion::to("top_k", 5),
            ),
            &["`top_k`", "5", "4", "`experts`"],
        ),
        (
            planned(
                Routed {
                    experts: Param::from_tensor(Tensor::zeros([4, 2, 2], &Device::flex())),
                    top_k: 0,
                },
                Expansion::to("top_k", 1),
            ),
            &["`top_k`"],
        ),
        (
            two_width_check(&mlp(), &Mlp::of([5, 4, 2], 1, &Device::flex())).unwrap_err(),
            &["`up.weight`", "3 -> 5"],
        ),
        (
            verify(&Outputs(2), &Outputs(3), ()).unwrap_err(),
            &["2 outputs", "3 outputs"],
        ),
        (
            "copy-none".parse::<InitPair>().unwrap_err(),
            &["`copy-none`"],
        ),
        (
            "2x".parse::<AxisSetting<Target>>().unwrap_err(),
            &["`2x`", "`inner=2x`"],
        ),
        ("1.5".parse::<Target>().unwrap_err(), &["`1.5`", "`2x`"]),
        (
            "copies".parse::<Blocks>().unwrap_err(),
            &["`copies`", "`copy`"],
        ),
        (
            "fan_on(hidden)".parse::<Role>().unwrap_err(),
            &["`fan_on(hidden)`", "`fan_in(hidden)`"],
        ),
        (
            described(Pair {
                up: up.clone(),
                down: linear(5, 2),
            }),
            &["`inner`", "4", "5", "`up.weight`", "`down.weight`"],
        ),
        (
            described(Sized {
                up: up.clone(),
                inner: 6,
            }),
            &["`inner`", "4", "6", "`up.weight`", "`inner`"],
        ),
        (
            described(Silent {
                up: up.clone(),
                gain: RmsNormConfig::new(4).init(&Device::flex()),
            }),
            &["`gain.gamma`", "#[grow(skip)]"],
        ),
        (
            described({
                let square = linear(4, 4);
                Pair {
                    up: square.clone(),
                    down: square,
                }
            }),
            &["`up.weight`", "`down.weight`"],
        ),
        (described(Gained { up }), &["`up`", "Linear", "`gain`"]),
        (
            described(Consuming {
                embedding: EmbeddingConfig::new(4, 4).init(&Device::flex()),
            }),
            &["`embedding`", "Embedding", "`fan_in`"],
        ),
        (
            described(Grouped {
                norm: GroupNormConfig::new(2, 4).init(&Device::flex()),
            }),
            &["`norm`", "GroupNorm", "`gain(\"inner\", groups = 2)`"],
        ),
        (described(quantized()), &["`up.weight`", "Q8S"]),
        (
            described(Mlp::of([4, 4, 4], 1, &Device::flex()).apply_lora(Lora::new(2, 4.0))),
            &["`up.weight`", "lora", "`materialize`"],
        ),
        (
            planned(
                Tied::narrow(0, &Device::flex()),
                Expansion::to("hidden", 6).with_scaling(Scaling::FunctionPreserving),
            ),
            &["`logit_scale`", "`hidden`"],
        ),
        (
            applied(
                mlp(),
                Mlp::of([3, 6, 2], 1, &Device::flex()),
                Expansion::by("inner", 2.0),
            ),
            &["`up.weight`", "[3, 4]", "[3, 6]"],
        ),
        // The same plan a second time.
        (
            applied(
                mlp(),
                {
                    let by = Expansion::by("inner", 2.0);
                    let plan = growth::plan(&mlp(), &by);
                    plan.apply(mlp()).unwrap()
                },
                Expansion::by("inner", 2.0),
            ),
            &["`up.weight`", "[3, 4]", "[3, 8]"],
        ),
        (
            applied(
                Optional::new(true),
                Optional::new(false),
                Expansion::by("inner", 2.0),
            ),
            &["`norm.gamma`", "in the plan", "not in the model"],
        ),
        (
            applied(
                Optional::new(false),
                Optional::new(true),
                Expansion::by("inner", 2.0),
            ),
            &["`norm.gamma`", "in the model", "not in the plan"],
        ),
        (
            planned(constants(0.5, 4), Expansion::by("inner", 2.0)),
            &["`inner`", "`other`", "one reads the other"],
        ),
        (
            described(constants(0.25, 4)),
            &["`scale`", "0.25", "`inner`", "0.5"],
        ),
        (
            described(constants(0.5, 5)),
            &["`twice`", "5", "`inner x 2`"],
        ),
        (
            described(Half {
                fused: FusedProducts { up: linear(3, 8) },
            }),
            &["`fused.up`", "`_`"],
        ),
        (
            {
                let plan = growth::plan(&shared(), &Expansion::by("inner", 2.0));
                plan.apply(shared()).unwrap_err()
            },
            &["`norm.running_mean`", "`Constants::layer`"],
        ),
        (
            {
                let wide = Mlp::of([3, 8, 2], 1, &Device::flex());
                let expected = Blueprint::of(&wide).unwrap();
                check_description(&mlp(), &expected).unwrap_err()
            },
            &["`up.weight`", "[3, 8]", "[3, 4]"],
        ),
    ]
}

#[test]
fn every_mistake_names_what_is_at_fault() {
    for (error, names) in mistakes() {
        let message = error.to_string();
        for name in names {
            assert!(message.contains(name), "`{name}` in: {message}");
        }
    }
}

#[test]
fn every_variant_is_produced() {
    let mut produced: BTreeSet<String> = mistakes()
        .into_iter()
        .map(|(error, _)| {
            let debug = format!("{error:?}");
            let name: String = debug.chars().take_while(|c| c.is_alphanumeric()).collect();
            name
        })
        .collect();
    // Comes as a text, from whatever reads: see `read`.
    produced.insert("Inconsistent".into());
    // The enum is non-exhaustive, so it is its source that says what is missing here.
    let source = include_str!("../../../crates/burn-grow-core/src/error.rs");
    let body = source.split_once("pub enum GrowError {").unwrap().1;
    let declared: BTreeSet<String> = body[..body.find("\n}").unwrap()]
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([' ', '{', ',']).to_owned())
        .collect();
    assert!(declared.len() >= 14, "{declared:?}");
    assert_eq!(produced, declared);
}

#[test]
fn the_messages_read_well() {
    let messages: Vec<_> = mistakes()
        .into_iter()
        .map(|(error, _)| error.to_string())
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r##"
    unknown axis `outer`: the model has `inner`
    unknown axis `iner`: the model has `inner`
    unknown axis `iner`: the model has `inner`
    axis `inner` has width 4 and cannot shrink to 3
    axis `inner` has width 4 and cannot shrink to 2
    axis `inner` has width 4: a factor of 1.1 does not give a whole width
    axis `inner` has width 4: a factor of NaN does not give a whole width
    axis `inner` has width 4: a factor of inf does not give a whole width
    axis `inner` cannot have 18446744073709551615 units: a plan lists at most 16777216
    Net2Net, noise NaN: NaN is not a finite number
    parameter `embedding.weight` of shape [1099511627776, 1099511627776] makes the model too large for any memory
    axis `inner` has no base width: give it one above 0, best that of the tuned model
    the expansion names no axis
    parameter `up.weight`: dimension 1 has 8 coordinates, which does not fit `fan_out(2 x inner x 3)`
    parameter `up.weight`: dimension 1 is `fan_out(outer x inner)`, but the width of `outer` does not follow from any other dimension: store it in a field with `#[grow(width = "outer")]`
    axis `head_dim` cannot grow: the scores are divided by its root
    a method is given for axis `outer`, which the expansion does not name
    axis `inner` is no stack of blocks, which `with_blocks` is for
    stack `blocks` along axis `layers`: block 2 is listed as a source, and there are 2 blocks
    axis `inner` grows by the baseline `Net2Net, noise 0.01`, but `with_init` is a setting of the paper's method: remove one of the two
    axis `inner`: random-copy cannot preserve the function; copy-copy can, and so can a pair with a zero side
    axis `inner`: zero-zero leaves new units dead: producers get no gradient through consumers that are zero, and consumers get none from producers that are zero
    axis `top_k` would be 5 wide, but there are only 4 of `experts`
    axis `top_k` has no units to grow from
    parameter `up.weight`: dimension 0 has no role but changes 3 -> 5 as no axis does
    the models cannot be compared: 2 outputs before, 3 outputs after
    `copy-none` is not an init pair: write producer-consumer, each `copy`, `random` or `zero`, as in `copy-zero`
    `2x` names no axis: write it in front, as in `inner=2x`
    `1.5` is not a target: write a factor, as in `2x`, or a width, as in `1536`
    `copies` does not say what new blocks are: write what they hold (`copy`, `identity`, `drawn` or `fresh`), their order (`stacked`, `interleaved` or `last`) or the source of every block, as in `identity,interleaved` or `0,1,1,2`
    `fan_on(hidden)` is not a role: write `fan_out`, `fan_in`, `gate`, `gain` or `vocab` and a product of axes and numbers, as in `fan_in(hidden)`, `gate(inner) + fan_out(inner)` or `fan_out(heads x 64)`
    axis `inner` has width 4 in `up.weight` but 5 in `down.weight`
    axis `inner` has width 4 in `up.weight` but 6 in `inner`
    parameter `gain.gamma` is not described: give its field a `#[grow(..)]` attribute, or `#[grow(skip)]` if it never grows
    parameter `down.weight` is the same as `up.weight`: shared parameters cannot grow. Build each block by itself instead of cloning one; tie an embedding to the output in `forward` and scale its logits by a field with `#[grow(multiplier = "..")]`
    layer `up`: Linear has no `gain`, it takes `fan_in`, `fan_out`, `vocab`
    layer `embedding`: Embedding has no `fan_in`, it takes `vocab`, `fan_out`
    layer `norm`: GroupNorm cannot grow this way: `gain` would copy channels of one of its 2 groups into another: lay them out group by group, `gain("inner", groups = 2)`, here and wherever these channels are made or read
    parameter `up.weight` is quantized (QFloat(QuantScheme { value: Q8S, store: Native, mode: Symmetric, tensor: None, block: None })): grow the model before quantizing it
    parameter `up.weight` is reparameterized (lora): call `materialize` before growing the model
    multiplier `logit_scale` holds one number, but this expansion of axis `hidden` scales its units differently: use RMS-preserving scaling or a whole multiple
    parameter `up.weight`: the plan expects shape [3, 4], found [3, 6]
    parameter `up.weight`: the plan expects shape [3, 4], found [3, 8]
    parameter `norm.gamma` is in the plan but not in the model
    parameter `norm.gamma` is in the model but not in the plan
    axis `inner` grows together with `other`, which the expansion does not grow: one reads the other
    constant `scale` is 0.25, but its function of `inner`, 2 wide, gives 0.5
    constant `twice` is 5, which does not fit `inner x 2`
    `fused.up` lies on a product of an axis that grows and of one that `axes(..)` makes `_`, and its size does not tell the two: name an axis instead of `_`
    statistic `norm.running_mean` is shared with clones of the model, and expanding it would break them: the `update_constants` of what holds it has to call `Constants::layer` on the norm
    parameter `up.weight`: the plan makes it [3, 8], but the wide model says [3, 4]: a role or a constant depends on a width that it does not follow
    "##);
}

#[test]
fn a_model_adapted_after_planning_is_rejected() {
    let model = Mlp::of([4, 4, 4], 1, &Device::flex());
    let expansion = Expansion::by("inner", 2.0);
    let plan = growth::plan(&model, &expansion);
    let adapted = model.apply_lora(Lora::new(2, 4.0));
    let error = plan.apply(adapted).unwrap_err().to_string();
    assert!(error.contains("`up.weight` is reparameterized"), "{error}");
}

#[test]
fn a_model_quantized_after_planning_is_rejected() {
    let model = Mlp::of([32, 32, 32], 1, &Device::flex());
    let expansion = Expansion::by("inner", 2.0);
    let plan = growth::plan(&model, &expansion);
    let error = plan.apply(quantized()).unwrap_err();
    assert!(matches!(error, GrowError::Quantized { .. }), "{error}");
}

#[test]
fn a_bare_parameter_may_be_described_by_hand() {
    #[derive(Module, Debug)]
    struct ByHand {
        table: Param<Tensor<2>>,
    }
    impl Growable for ByHand {
        fn describe(&self, describe: &mut Describer) {
            describe.fixed(self);
        }

        fn update_constants(&mut self, _constants: &Constants<'_>) {}
    }
    let by_hand = ByHand {
        table: Param::from_tensor(Tensor::zeros([2, 2], &Device::flex())),
    };
    assert_eq!(
        planned(by_hand, Expansion::by("inner", 2.0)).to_string(),
        "unknown axis `inner`: the model has none"
    );
}
