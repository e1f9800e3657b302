//! Every axis, alone and with the others: the function, the constants, and the configuration.

use crate::common::{
    build, devices, full_width, gradients, grown, ids, largest, largest_difference, logits, plan,
    shapes, tiny, tokens,
};
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::Device;
use burn_grow_core::plan::{Blocks, CopyMap};
use burn_grow_core::verify::two_width_check;
use burn_grow_core::{Blueprint, Expansion, GrowError, InitPair, Plan, Scaling};
use burn_grow_moe::{MoeConfig, MoeTransformer, QkNorm};

/// The axes that copies grow without changing the logits; experts do together with as many choices.
const AXES: [&[&str]; 7] = [
    &["hidden"],
    &["inner"],
    &["kv_heads"],
    &["queries"],
    &["experts", "top_k"],
    &["vocab"],
    &["layers"],
];

/// Every combination of them. New layers add nothing to the stream.
fn combinations(factor: f64) -> impl Iterator<Item = Expansion> {
    combinations_with(factor, Blocks::identity())
}

/// Every combination of them, with these new layers.
fn combinations_with(factor: f64, layers: Blocks) -> impl Iterator<Item = Expansion> {
    (1..1 << AXES.len()).map(move |chosen: usize| {
        let axes = AXES.iter().enumerate();
        let axes = axes.filter(|(index, _)| chosen >> index & 1 == 1);
        axes.flat_map(|(_, axes)| *axes)
            .fold(Expansion::default(), |expansion, axis| {
                let expansion = expansion.and_by(*axis, factor);
                match *axis {
                    "layers" => expansion.with_blocks("layers", layers.clone()),
                    _ => expansion,
                }
            })
    })
}

/// The logits of the tokens that were there before.
fn old_logits(model: &MoeTransformer, device: &Device) -> Vec<f64> {
    let vocab = model.config().vocab_size;
    let logits = logits(model, device);
    let rows = logits.chunks(vocab);
    rows.flat_map(|row| &row[..11]).copied().collect()
}

/// The width of every axis, as the configuration says it.
fn widths(config: &MoeConfig) -> Vec<(&'static str, usize)> {
    vec![
        ("experts", config.n_experts),
        ("hidden", config.hidden),
        ("inner", config.inner),
        ("kv_heads", config.n_kv_heads),
        ("layers", config.n_layers),
        ("queries", config.n_heads / config.n_kv_heads),
        ("top_k", config.top_k),
        ("vocab", config.vocab_size),
    ]
}

#[test]
fn copies_along_any_axes_keep_the_logits() {
    for device in devices() {
        for config in shapes() {
            let model = build(&config, 1, &device);
            let before = logits(&model, &device);
            for expansion in combinations(2.0).chain(combinations(3.0).step_by(7)) {
                let after = old_logits(&grown(&model, &expansion), &device);
                let difference = largest_difference(&before, &after);
                assert!(
                    difference <= 1e-5 * largest(&before),
                    "{expansion:?}: {difference}"
                );
            }
        }
    }
}

/// The shapes whose heads are normed one by one.
fn per_head() -> impl Iterator<Item = MoeConfig> {
    let shapes = shapes().into_iter();
    shapes.filter(|config| config.qk_norm == QkNorm::PerHead)
}

#[test]
fn copying_heads_any_number_of_times_keeps_the_logits() {
    let device = Device::flex();
    for config in per_head() {
        let model = build(&config, 1, &device);
        let before = logits(&model, &device);
        for map in [CopyMap::Block, CopyMap::Interleaved, CopyMap::Random] {
            let expansion = Expansion::to("kv_heads", 5)
                .and_to("queries", 3)
                .with_map(map)
                .with_scaling(Scaling::FunctionPreserving);
            let after = logits(&grown(&model, &expansion), &device);
            let difference = largest_difference(&before, &after);
            assert!(
                difference <= 1e-5 * largest(&before),
                "{map:?}: {difference}"
            );
        }
    }
}

/// The mean square over all heads changes when some are copied more often than others.
#[test]
fn a_norm_over_all_heads_needs_equally_many_copies_of_each() {
    let device = Device::flex();
    let model = build(&full_width(), 1, &device);
    let before = logits(&model, &device);
    let moved = |width| {
        let expansion = Expansion::to("kv_heads", width).with_scaling(Scaling::FunctionPreserving);
        let after = logits(&grown(&model, &expansion), &device);
        largest_difference(&before, &after) / largest(&before)
    };
    assert!(moved(4) <= 1e-5 && moved(6) <= 1e-5);
    assert!(moved(3) > 1e-3 && moved(5) > 1e-3);
}

#[test]
fn a_grown_configuration_builds_a_model_that_takes_the_record() {
    let device = Device::flex();
    for narrow in shapes() {
        let model = build(&narrow, 1, &device);
        for expansion in combinations(2.0) {
            let wide = grown(&model, &expansion);
            let config = wide.config();
            assert_eq!(config.validate(), Ok(()));
            for ((axis, old), (_, new)) in widths(&narrow).into_iter().zip(widths(&config)) {
                let factor = if expansion.targets.contains_key(&axis.into()) {
                    2
                } else {
                    1
                };
                assert_eq!(new, factor * old, "{axis}, {expansion:?}");
            }
            let before = logits(&wide, &device);
            let rebuilt = config.init(&device).load_record(wide.into_record());
            assert_eq!(logits(&rebuilt, &device), before, "{expansion:?}");
        }
    }
}

/// Models built at two widths: the description has to fit the shapes of both.
#[test]
fn the_description_fits_two_widths_of_every_axis() {
    let device = Device::flex();
    for narrow in shapes() {
        let queries = narrow.n_heads / narrow.n_kv_heads;
        let wide = |change: &dyn Fn(&mut MoeConfig)| {
            let mut config = narrow.clone();
            change(&mut config);
            config
        };
        let second = [
            wide(&|config| config.hidden = 10),
            wide(&|config| config.inner = 7),
            wide(&|config| config.n_heads *= 2),
            wide(&|config| (config.n_kv_heads, config.n_heads) = (3, 3 * queries)),
            wide(&|config| config.n_experts = 7),
            wide(&|config| config.top_k = 3),
            wide(&|config| config.vocab_size = 13),
            wide(&|config| config.n_layers = 3),
            wide(&|config| {
                (config.hidden, config.inner, config.vocab_size) = (8, 9, 12);
                (config.n_kv_heads, config.n_heads) = (5, 35);
                (config.n_experts, config.top_k) = (6, 4);
            }),
        ];
        let model = narrow.init(&device);
        for config in second {
            let wide = config.init(&device);
            two_width_check(&model, &wide).expect("the same axes");
            let blueprint = Blueprint::of(&wide).expect("described");
            let found: Vec<_> = blueprint
                .widths()
                .iter()
                .map(|(a, w)| (a.as_str(), *w))
                .collect();
            assert_eq!(found, widths(&config));

            // Grown to the same widths it is the same model, but for the multiplier.
            let expansion = widths(&config)
                .into_iter()
                .fold(Expansion::default(), |expansion, (axis, width)| {
                    expansion.and_to(axis, width)
                });
            let grown = grown(&model, &expansion);
            let found = MoeConfig {
                logit_multiplier: 1.0,
                ..grown.config()
            };
            assert_eq!(found, config);
            let grown = Blueprint::of(&grown).expect("described");
            assert_eq!(grown.params(), blueprint.params());
            assert_eq!(grown.active_params(), blueprint.active_params());
        }
    }
}

#[test]
fn every_parameter_and_every_head_of_a_grown_model_gets_a_gradient() {
    for device in devices() {
        for config in shapes() {
            let model = build(&config, 1, &device);
            let copies = || combinations_with(2.0, Blocks::copies());
            for expansion in copies().step_by(3).chain(copies().last()) {
                let model = grown(&model, &expansion);
                let MoeConfig {
                    hidden, head_dim, ..
                } = model.config();
                let x = tokens(&ids(1, 24, 11), [2, 12], &device);
                let loss = model.loss(x.clone(), x);
                let grads = gradients(&model, &loss.total.backward());
                for (path, grad) in &grads {
                    assert!(largest(grad) > 0.0, "{path}, {expansion:?}");
                    // The projections of the attention, head by head.
                    if !path.ends_with("_proj.weight") {
                        continue;
                    }
                    let size = grad.len() / hidden;
                    let mut heads = vec![0f64; size / head_dim];
                    for (flat, value) in grad.iter().enumerate() {
                        let at = if path.ends_with("o_proj.weight") {
                            flat / hidden
                        } else {
                            flat % size
                        };
                        let most = &mut heads[at / head_dim];
                        *most = most.max(value.abs());
                    }
                    assert!(
                        heads.iter().all(|most| *most > 0.0),
                        "{path}, {expansion:?}"
                    );
                }
            }
        }
    }
}

/// The values of new key heads are zero, so nothing is heard, and the keys are copied, so all of it
/// learns.
#[test]
fn silent_key_heads_keep_the_logits_and_learn() {
    let device = Device::flex().autodiff();
    for config in per_head() {
        let model = build(&config, 1, &device);
        let expansion = Expansion::by("kv_heads", 2.0)
            .with_init(InitPair::ZERO_COPY)
            .with_scaling(Scaling::FunctionPreserving);
        let mut wide = grown(&model, &expansion);
        let (before, after) = (logits(&model, &device), logits(&wide, &device));
        assert!(largest_difference(&before, &after) <= 1e-5 * largest(&before));

        let x = tokens(&ids(1, 24, 11), [2, 12], &device);
        let mut optimizer = SgdConfig::new().init();
        let mut grads = gradients_of(&wide, &x);
        for _ in 0..2 {
            let loss = wide.loss(x.clone(), x.clone()).total.backward();
            let step = burn::optim::GradientsParams::from_grads(loss, &wide);
            wide = optimizer.step(0.1, wide, step);
            grads = gradients_of(&wide, &x);
        }
        for name in ["q_proj", "k_proj", "v_proj"] {
            let grad = &grads[&format!("blocks.0.attention.{name}.weight")];
            let columns = grad.len() / config.hidden;
            let new: Vec<f64> = grad
                .iter()
                .enumerate()
                .filter(|(flat, _)| flat % columns >= columns / 2)
                .map(|(_, value)| *value)
                .collect();
            assert!(largest(&new) > 1e-6, "{name}: {}", largest(&new));
        }
    }
}

fn gradients_of(
    model: &MoeTransformer,
    x: &burn::tensor::Tensor<2, burn::tensor::Int>,
) -> crate::common::Weights {
    let loss = model.loss(x.clone(), x.clone());
    gradients(model, &loss.total.backward())
}

#[test]
fn rejected_expansions_say_why() {
    let device = Device::flex();
    let model = tiny().init(&device);
    let blueprint = Blueprint::of(&model).expect("described");
    let rejected = |expansion: Expansion| {
        let error = Plan::new(&blueprint, &expansion).expect_err("rejected");
        (error.to_string(), error)
    };
    let (message, error) = rejected(Expansion::by("head_dim", 2.0));
    assert!(matches!(error, GrowError::FrozenAxis { .. }), "{message}");
    assert!(message.contains("rotary frequencies"), "{message}");
    let (message, error) = rejected(Expansion::by("top_k", 4.0));
    assert!(
        matches!(error, GrowError::PartExceedsWhole { .. }),
        "{message}"
    );
    assert_eq!(
        message,
        "axis `top_k` would be 8 wide, but there are only 4 of `experts`"
    );
    let (message, error) = rejected(Expansion::by("top_k", 8.0).and_by("experts", 2.0));
    assert!(
        matches!(error, GrowError::PartExceedsWhole { .. }),
        "{message}"
    );
    // As many as there are is fine.
    let all = Expansion::by("top_k", 4.0).and_by("experts", 2.0);
    let config = grown(&model, &all).config();
    assert_eq!((config.top_k, config.n_experts), (8, 8));
    let (message, error) = rejected(Expansion::by("heads", 2.0));
    assert!(matches!(error, GrowError::UnknownAxis { .. }), "{message}");
}

#[test]
fn the_active_parameters_follow_experts_and_choices() {
    let device = Device::flex();
    let model = tiny().init(&device);
    let counts = |expansion: Expansion| plan(&model, &expansion).active_params();
    let config = tiny();
    let expert = (3 * config.hidden * config.inner * config.n_layers) as f64;
    let router = (config.hidden * config.n_experts * config.n_layers) as f64;
    let (old, more_experts) = counts(Expansion::by("experts", 2.0));
    assert_eq!(more_experts, old + router);
    let (old, more_choices) = counts(Expansion::by("top_k", 2.0));
    assert_eq!(more_choices, old + 2.0 * expert);
    let (old, both) = counts(Expansion::by("top_k", 2.0).and_by("experts", 2.0));
    assert_eq!(both, old + 2.0 * expert + router);
}
