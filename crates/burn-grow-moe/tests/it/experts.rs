//! Growing experts, choices and symbols: routing and losses of the grown model.

use crate::common::{
    build, devices, grown, ids, largest, largest_difference, logits, naive, shapes, tiny, tokens,
    values, weights,
};
use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};
use burn_grow_core::plan::CopyMap;
use burn_grow_core::{Expansion, InitPair, Scaling};
use burn_grow_moe::{MoeConfig, Routing};

/// As many more choices as experts.
fn both(factor: f64) -> Expansion {
    Expansion::by("experts", factor).and_by("top_k", factor)
}

/// The experts of every token, in ascending order.
fn chosen(routing: &Routing) -> Vec<Vec<usize>> {
    let tokens = routing.experts().chunks(routing.top_k());
    tokens
        .map(|experts| {
            let mut experts = experts.to_vec();
            experts.sort_unstable();
            experts
        })
        .collect()
}

/// The outputs of a matrix product do not depend on the order of its columns, so copies of an
/// expert tie to the last bit.
#[test]
fn copies_of_an_expert_have_the_same_probability_bit_by_bit() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        for (hidden, n_experts, rows) in [
            (6, 3, 5),
            (32, 8, 48),
            (33, 5, 17),
            (64, 12, 1),
            (128, 60, 130),
        ] {
            for factor in [2, 3, 5] {
                device.seed(hidden as u64);
                let config = MoeConfig {
                    hidden,
                    n_experts,
                    ..MoeConfig::default()
                };
                let model = grown(&config.init(&device), &both(factor as f64));
                let normal = Distribution::Normal(0.0, 1.0);
                let x = Tensor::<2>::random([rows, hidden], normal, &device);
                let router = &model.blocks[0].feed_forward.router;
                for row in values(router.linear.forward(x)).chunks(n_experts * factor) {
                    for copies in row.chunks(n_experts) {
                        assert_eq!(copies, &row[..n_experts], "{hidden}, {n_experts}, {rows}");
                    }
                }
            }
        }
    }
}

#[test]
fn all_copies_of_a_chosen_expert_are_chosen() {
    for device in devices() {
        for (hidden, n_experts, top_k) in [(6, 4, 2), (32, 8, 2), (33, 5, 3), (64, 60, 7)] {
            let config = MoeConfig {
                hidden,
                n_experts,
                top_k,
                ..tiny()
            };
            let model = build(&config, 3, &device);
            let x = tokens(&ids(3, 96, 11), [4, 24], &device);
            let before = model.forward(x.clone());
            for (map, factor) in [(CopyMap::Block, 2), (CopyMap::Interleaved, 3)] {
                let wide = grown(&model, &both(factor as f64).with_map(map));
                for (old, new) in before.routed.iter().zip(wide.forward(x.clone()).routed) {
                    let copies = |expert: usize| -> Vec<usize> {
                        let copy = |copy| match map {
                            CopyMap::Block => expert + copy * n_experts,
                            _ => expert * factor + copy,
                        };
                        (0..factor).map(copy).collect()
                    };
                    for (old, new) in chosen(&old.routing).iter().zip(chosen(&new.routing)) {
                        let mut expected: Vec<_> =
                            old.iter().flat_map(|expert| copies(*expert)).collect();
                        expected.sort_unstable();
                        assert_eq!(new, expected);
                    }
                }
            }
        }
    }
}

/// All experts tie to the bit under a router of zeros. The lowest index wins, so copies that stand
/// side by side are chosen together.
#[test]
fn interleaved_copies_are_chosen_together_where_all_experts_tie() {
    let device = Device::flex();
    for config in shapes() {
        let mut model = build(&config, 1, &device);
        for block in &mut model.blocks {
            let shape = [config.hidden, config.n_experts];
            let zeros = Tensor::zeros(shape, &device);
            block.feed_forward.router.linear.weight = Param::from_tensor(zeros);
        }
        let before = logits(&model, &device);
        let distance = |map| {
            let after = logits(&grown(&model, &both(2.0).with_map(map)), &device);
            largest_difference(&before, &after) / largest(&before)
        };
        assert!(distance(CopyMap::Interleaved) <= 1e-5);
        assert!(distance(CopyMap::Block) > 1e-3);
    }
}

/// A token's choices are spent on copies, so it reaches fewer different experts.
#[test]
fn more_experts_alone_spend_choices_on_copies() {
    for device in devices() {
        for config in shapes() {
            let model = build(&config, 1, &device);
            let wide = grown(&model, &Expansion::by("experts", 2.0));
            let mut fewer = model.clone();
            for block in &mut fewer.blocks {
                block.feed_forward.router.top_k = config.top_k / 2;
            }
            let (expected, found) = (logits(&fewer, &device), logits(&wide, &device));
            let difference = largest_difference(&expected, &found);
            assert!(difference <= 1e-5 * largest(&expected), "{difference}");
            let before = logits(&model, &device);
            assert!(largest_difference(&before, &found) > 1e-3 * largest(&before));
        }
    }
}

#[test]
fn more_choices_alone_reach_the_next_experts() {
    for device in devices() {
        for config in shapes() {
            let model = build(&config, 1, &device);
            let wide = grown(&model, &Expansion::by("top_k", 2.0));
            let built = MoeConfig {
                top_k: 4,
                ..config.clone()
            };
            assert_eq!(wide.config(), built);
            let expected = naive(
                &built,
                &weights(&model),
                &ids(1, 24, 11),
                &ids(1, 24, 11),
                12,
            );
            let found = logits(&wide, &device);
            let difference = largest_difference(&expected.logits, &found);
            assert!(difference <= 1e-4 * largest(&found), "{difference}");
        }
    }
}

/// Whole experts are copies under every init pair, and they have no consumer that a factor could
/// scale.
#[test]
fn experts_are_copied_under_every_init_pair() {
    let device = Device::flex();
    let model = build(&tiny(), 1, &device);
    let copies = weights(&grown(&model, &both(2.0)));
    for init in InitPair::ALL {
        for scaling in [Scaling::RmsPreserving, Scaling::None] {
            let expansion = both(2.0).with_init(init).with_scaling(scaling);
            assert_eq!(weights(&grown(&model, &expansion)), copies, "{init}");
        }
    }
}

/// With `m` times the experts and choices, `n_experts sum f_e P_e` is `m` times what it was, as its
/// bounds `top_k` and `n_experts` are, and the log-partition grows by `ln m`.
#[test]
fn the_losses_of_copied_experts_equal_their_closed_forms() {
    for device in devices() {
        for config in shapes() {
            let model = build(&config, 1, &device);
            let (x, y) = (ids(1, 24, 11), ids(2, 24, 11));
            let [input, target] = [&x, &y].map(|ids| tokens(ids, [2, 12], &device));
            let before = naive(&config, &weights(&model), &x, &y, 12);
            for factor in [2.0, 3.0] {
                let wide = grown(&model, &both(factor));
                let loss = wide.loss(input.clone(), target.clone());
                let expected = naive(&wide.config(), &weights(&wide), &x, &y, 12);
                for (name, found, expected) in [
                    ("cross entropy", &loss.cross_entropy, before.cross_entropy),
                    (
                        "load balancing",
                        &loss.load_balancing,
                        factor * before.load_balancing,
                    ),
                    ("z", &loss.z_loss, expected.z_loss),
                    ("total", &loss.total, expected.total),
                ] {
                    let found = values(found.clone())[0];
                    let difference = (found - expected).abs();
                    assert!(difference <= 1e-5 * expected.abs(), "{name}: {difference}");
                }
            }
        }
    }
}

#[test]
fn the_z_loss_of_an_even_router_grows_by_the_logarithm() {
    let device = Device::flex();
    let config = MoeConfig {
        init_std: 0.0,
        ..tiny()
    };
    let x = tokens(&ids(1, 24, 11), [2, 12], &device);
    let wide = grown(&config.init(&device), &both(2.0));
    let loss = wide.loss(x.clone(), x);
    let found = values(loss.z_loss)[0];
    assert!((found - 8f64.ln().powi(2)).abs() < 1e-5, "{found}");
    let found = values(loss.load_balancing)[0];
    assert!((found - 4.0).abs() < 1e-5, "{found}");
}

/// Column by column, so that a gain that a column has learned is kept.
#[test]
fn new_symbols_look_like_the_old_ones() {
    let device = Device::flex();
    let config = MoeConfig {
        vocab_size: 400,
        tied_embeddings: false,
        ..tiny()
    };
    let mut model = build(&config, 1, &device);
    // Columns of different mean and spread.
    let (hidden, old, new) = (config.hidden, 400, 2000);
    let column = |i: usize| (i as f32 - 2.0, 0.1 + i as f32);
    let moments: Vec<_> = (0..hidden).map(column).collect();
    let [means, spreads] = [0, 1].map(|which| {
        let values: Vec<f32> = moments.iter().map(|m| [m.0, m.1][which]).collect();
        Tensor::<1>::from_floats(values.as_slice(), &device).reshape([1, hidden])
    });
    model.embedding.weight = model
        .embedding
        .weight
        .map(|weight| weight * spreads.clone() + means.clone());
    let head = model.lm_head.take();
    model.lm_head = head.map(|mut head| {
        head.weight = head
            .weight
            .map(|weight| weight * spreads.transpose() + means.transpose());
        head
    });
    let wide = grown(&model, &Expansion::to("vocab", new));
    let (before, after) = (weights(&model), weights(&wide));
    let columns = |values: &[f64], path: &str, symbols: core::ops::Range<usize>| -> Vec<Vec<f64>> {
        let total = values.len() / hidden;
        let at = |i: usize, symbol: usize| match path {
            "embedding.weight" => values[symbol * hidden + i],
            _ => values[i * total + symbol],
        };
        let column = |i| symbols.clone().map(|symbol| at(i, symbol)).collect();
        (0..hidden).map(column).collect()
    };
    for path in ["embedding.weight", "lm_head.weight"] {
        let kept = columns(&after[path], path, 0..old);
        let source = columns(&before[path], path, 0..old);
        assert_eq!(kept, source, "{path}");
        let fresh = columns(&after[path], path, old..new);
        for (source, fresh) in source.iter().zip(&fresh) {
            let [(mean, spread), (found, found_spread)] = [source, fresh].map(|c| moments_of(c));
            // Five standard errors of 1,600 samples.
            assert!(
                (found - mean).abs() < 5.0 * spread / 40.0,
                "{path}: {found} {mean}"
            );
            assert!((found_spread / spread - 1.0).abs() < 5.0 / 56.0, "{path}");
        }
        // No two symbols are alike.
        assert!(fresh[0].windows(2).all(|pair| pair[0] != pair[1]), "{path}");
    }
    let x = tokens(&ids(5, 24, new), [2, 12], &device);
    let logits = values(wide.forward(x.clone()).logits);
    assert_eq!(logits.len(), 24 * new);
    assert!(logits.iter().all(|logit| logit.is_finite()));
    assert!(values(wide.loss(x.clone(), x).total)[0].is_finite());
}

fn moments_of(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / count).sqrt())
}
