//! The model against plain loops: logits, losses, routing and gradients, with the kernels of Flex
//! and with the tensor API, which gradient checkpointing keeps to.

use crate::common::{
    build, devices, full_width, gradients, ids, largest, largest_difference, naive, tiny, tokens,
    values, weights,
};
use burn::tensor::Device;
use burn_grow_moe::MoeConfig;

const SHAPE: [usize; 2] = [2, 7];

fn cases() -> Vec<(&'static str, MoeConfig)> {
    let grouped = MoeConfig {
        n_heads: 4,
        n_kv_heads: 2,
        ..tiny()
    };
    let one_key = MoeConfig {
        n_heads: 3,
        n_kv_heads: 1,
        head_dim: 2,
        ..tiny()
    };
    vec![
        ("as many key heads as query heads", tiny()),
        ("grouped queries", grouped),
        ("one key head", one_key),
        (
            "untied",
            MoeConfig {
                tied_embeddings: false,
                ..tiny()
            },
        ),
        (
            "normed weights",
            MoeConfig {
                norm_topk_prob: true,
                ..tiny()
            },
        ),
        (
            "a logit multiplier",
            MoeConfig {
                logit_multiplier: 0.5,
                ..tiny()
            },
        ),
        ("a norm over all heads, clamped", full_width()),
        (
            "a norm over all heads",
            MoeConfig {
                clip_qkv: None,
                ..full_width()
            },
        ),
        (
            "a norm on every head, clamped",
            MoeConfig {
                clip_qkv: Some(0.9),
                ..tiny()
            },
        ),
        ("one choice", MoeConfig { top_k: 1, ..tiny() }),
        ("every expert", MoeConfig { top_k: 4, ..tiny() }),
        (
            "few of many experts",
            MoeConfig {
                n_experts: 40,
                top_k: 3,
                ..tiny()
            },
        ),
        (
            "one layer, one expert",
            MoeConfig {
                n_layers: 1,
                n_experts: 1,
                top_k: 1,
                ..tiny()
            },
        ),
    ]
}

fn on_devices<T: Clone>(case: T) -> impl Iterator<Item = (T, Device)> {
    devices()
        .into_iter()
        .map(move |device| (case.clone(), device))
}

#[test]
fn the_forward_pass_equals_plain_loops() {
    for ((name, config), device) in cases().into_iter().flat_map(on_devices) {
        let model = build(&config, 1, &device);
        let (x, y) = (ids(1, 14, 11), ids(2, 14, 11));
        let expected = naive(&config, &weights(&model), &x, &y, SHAPE[1]);
        let output = model.forward(tokens(&x, SHAPE, &device));
        let loss = model.loss_of(&output, tokens(&y, SHAPE, &device));

        let load: Vec<_> = output
            .routed
            .iter()
            .map(|layer| layer.routing.read_load())
            .collect();
        assert_eq!(load, expected.load, "{name}");
        let difference = largest_difference(&values(output.logits), &expected.logits);
        assert!(
            difference <= 1e-4 * largest(&expected.logits),
            "{name}: {difference}"
        );
        for (part, found, expected) in [
            ("cross entropy", loss.cross_entropy, expected.cross_entropy),
            (
                "load balancing",
                loss.load_balancing,
                expected.load_balancing,
            ),
            ("z-loss", loss.z_loss, expected.z_loss),
            ("total", loss.total, expected.total),
        ] {
            let found = values(found)[0];
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs(),
                "{name}, {part}: {found} {expected}"
            );
        }
    }
}

/// Central differences of the `f64` loops: every gain, and a spread of coordinates of every matrix.
#[test]
fn the_gradients_equal_finite_differences_of_the_plain_loops() {
    for ((name, config), device) in cases().into_iter().flat_map(on_devices) {
        let model = build(&config, 3, &device);
        let (x, y) = (ids(3, 14, 11), ids(4, 14, 11));
        let loss = model.loss(tokens(&x, SHAPE, &device), tokens(&y, SHAPE, &device));
        let found = gradients(&model, &loss.total.backward());
        let mut at = weights(&model);
        let paths: Vec<String> = at.keys().cloned().collect();
        for path in paths {
            let scale = largest(&found[&path]).max(1e-3);
            let size = found[&path].len();
            for index in (0..size).step_by(size.div_ceil(12)) {
                let mut loss = |shift: f64| {
                    at.get_mut(&path).expect("a path")[index] += shift;
                    naive(&config, &at, &x, &y, SHAPE[1]).total
                };
                let step = 1e-5;
                let (above, below) = (loss(step), loss(-2.0 * step));
                loss(step);
                let expected = (above - below) / (2.0 * step);
                let found = found[&path][index];
                assert!(
                    (found - expected).abs() <= 1e-3 * scale,
                    "{name}, {path}[{index}]: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn a_token_does_not_see_its_future() {
    let device = Device::flex();
    let model = build(&tiny(), 5, &device);
    let x = ids(5, 7, 11);
    let mut changed = x.clone();
    changed[6] = (changed[6] + 1) % 11;
    let logits = |x: &[usize]| values(model.forward(tokens(x, [1, 7], &device)).logits);
    let (before, after) = (logits(&x), logits(&changed));
    // Another batch of rows may round otherwise, so this is close, not equal.
    assert!(largest_difference(&before[..66], &after[..66]) < 1e-5);
    assert!(largest_difference(&before[66..], &after[66..]) > 1e-3);
}
