//! The grown model: its outputs, its parameters and its configuration.

use crate::common::{
    build, gradients, grown, ids, largest, largest_difference, logits, shapes, tiny, tokens, values,
};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::Device;
use burn_grow_core::plan::Blocks;
use burn_grow_core::{Blueprint, Expansion, Scaling};
use burn_grow_moe::{HfExport, MoeConfig, MoeTransformer, RmsHook, Site};

#[test]
fn doubling_by_copies_keeps_the_logits() {
    let device = Device::flex();
    for config in shapes() {
        let model = build(&config, 1, &device);
        let before = logits(&model, &device);
        for expansion in [
            Expansion::by("inner", 2.0),
            Expansion::by("hidden", 2.0),
            Expansion::by("inner", 2.0).and_by("hidden", 2.0),
            Expansion::by("inner", 3.0).and_by("hidden", 4.0),
            Expansion::by("inner", 1.8).with_scaling(Scaling::FunctionPreserving),
        ] {
            let after = logits(&grown(&model, &expansion), &device);
            let difference = largest_difference(&before, &after);
            assert!(
                difference <= 1e-4 * largest(&before),
                "{expansion:?}: {difference}"
            );
        }
    }
}

#[test]
fn growing_by_nothing_changes_nothing() {
    let device = Device::flex().autodiff();
    let model = build(&tiny(), 1, &device);
    let same = grown(&model, &Expansion::by("inner", 1.0).and_by("hidden", 1.0));
    assert_eq!(logits(&model, &device), logits(&same, &device));
    assert_eq!(same.config(), tiny());
}

#[test]
fn a_grown_model_is_rebuilt_from_its_configuration_and_its_record() {
    let device = Device::flex().autodiff();
    for config in shapes() {
        let model = build(&config, 1, &device);
        let model = grown(&model, &Expansion::by("inner", 2.0).and_by("hidden", 1.5));
        let config = model.config();
        assert_eq!((config.hidden, config.inner), (9, 10));
        let written = serde_json::to_string(&config).expect("written");
        let read: MoeConfig = serde_json::from_str(&written).expect("read");
        assert_eq!(read, config);
        let before = logits(&model, &device);
        let rebuilt = read.init(&device).load_record(model.into_record());
        assert_eq!(logits(&rebuilt, &device), before);
    }
}

#[test]
fn a_fresh_model_returns_the_configuration_it_was_built_from() {
    for config in shapes() {
        assert_eq!(config.init(&Device::flex().autodiff()).config(), config);
    }
}

#[test]
fn the_blueprint_counts_the_active_parameters_of_the_known_models() {
    let device = Device::flex().autodiff();
    for (hidden, inner, matrices) in [
        (32, 16, 31_232),
        (64, 32, 74_752),
        (64, 64, 99_328),
        (128, 32, 149_504),
        (128, 64, 198_656),
    ] {
        let config = MoeConfig {
            hidden,
            inner,
            ..MoeConfig::default()
        };
        let blueprint = Blueprint::of(&config.init(&device)).expect("described");
        let gains = 5 * hidden + 4 * config.head_dim;
        assert_eq!(blueprint.active_params(), (matrices + gains) as f64);
    }
}

#[test]
fn every_parameter_of_a_grown_model_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let model = build(&tiny(), 1, &device);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    let model = grown(&model, &both);
    let x = tokens(&ids(1, 24, 11), [2, 12], &device);
    let loss = model.loss(x.clone(), x);
    let grads = gradients(&model, &loss.total.backward());
    for (path, grad) in grads {
        assert!(largest(&grad) > 0.0, "{path}");
    }
}

#[test]
fn the_hook_sees_every_site_without_changing_the_logits() {
    let device = Device::flex().autodiff();
    let model = build(&tiny(), 1, &device);
    let x = tokens(&ids(1, 24, 11), [2, 12], &device);
    let mut hook = RmsHook::default();
    let probed = values(model.forward_hooked(x, &mut hook).logits);
    assert_eq!(probed, logits(&model, &device));
    let seen = hook.values();
    let sites: Vec<Site> = seen.iter().map(|(site, _)| *site).collect();
    let of = |layer| {
        [
            Site::Attention(layer),
            Site::Experts(layer),
            Site::Block(layer),
        ]
    };
    let expected: Vec<Site> = [Site::Embedding]
        .into_iter()
        .chain((0..2).flat_map(of))
        .chain([Site::Logits])
        .collect();
    assert_eq!(sites, expected);
    let rms = (probed.iter().map(|v| v * v).sum::<f64>() / probed.len() as f64).sqrt();
    assert!((seen[seen.len() - 1].1 - rms).abs() < 1e-5);
}

/// A model without layers guesses by the last token alone. It trains, grows layers, also together
/// with every width, and trains on.
#[test]
fn layers_grow_from_none() {
    let device = Device::flex().autodiff();
    for config in shapes() {
        let none = MoeConfig {
            n_layers: 0,
            ..config.clone()
        };
        let model = build(&none, 1, &device);
        let x = tokens(&ids(1, 24, 11), [2, 12], &device);
        let train = |mut model: MoeTransformer| {
            let mut optim = AdamWConfig::new().init();
            let mut losses = Vec::new();
            for _ in 0..4 {
                let loss = model.loss(x.clone(), x.clone()).total;
                losses.extend(values(loss.clone()));
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                model = optim.step(0.01, model, grads);
            }
            assert!(losses[3] < losses[0], "{losses:?}");
            model
        };
        let model = train(model);
        let layers = Expansion::to("layers", 3).with_blocks("layers", Blocks::fresh());
        let wider = layers.clone().and_by("hidden", 2.0).and_by("inner", 2.0);
        let wider = wider.and_by("experts", 2.0).and_by("top_k", 2.0);
        for expansion in [layers, wider] {
            let deep = grown(&model, &expansion);
            assert_eq!(deep.config().n_layers, 3);
            assert_eq!(deep.config().validate(), Ok(()));
            let built = deep
                .config()
                .init(&device)
                .load_record(deep.clone().into_record());
            assert_eq!(logits(&built, &device), logits(&deep, &device));
            let before = gradients(&deep, &deep.loss(x.clone(), x.clone()).total.backward());
            assert!(before.values().all(|grad| largest(grad) > 0.0));
            train(deep);
        }
    }
}

/// The exported configuration says how many layers there are.
#[test]
fn an_export_has_the_new_layers() {
    let device = Device::flex();
    let config = tiny();
    let model = build(&config, 1, &device);
    let deep = grown(&model, &Expansion::to("layers", 5));
    let directory = tempfile::tempdir().expect("a directory");
    deep.to_hf(directory.path(), &HfExport::default())
        .expect("exported");
    let written = std::fs::read_to_string(directory.path().join("config.json")).expect("read");
    assert!(written.contains("\"num_hidden_layers\": 5"), "{written}");
    let read = MoeTransformer::from_hf(directory.path(), &device).expect("imported");
    assert_eq!(logits(&read, &device), logits(&deep, &device));
}
