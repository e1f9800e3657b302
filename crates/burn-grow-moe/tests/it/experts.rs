//! Growing experts, choices and symbols: routing and losses of the grown model.

use crate::common::{
    build, devices, grown, ids, largest, largest_difference, logits, naive, plan, shapes, tiny,
    tokens, values, weights,
};
use burn::module::Param;
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Device, Distribution, Tensor};
use burn_grow_core::plan::CopyMap;
use burn_grow_core::{Expansion, InitPair, Scaling};
use burn_grow_moe::{InitStd, MoeConfig, MoeFeedForward, MoeTransformer, Routing};

/// As many more choices as experts.
fn both(factor: f64) -> Expansion {
    Expansion::by("experts", factor).and_by("top_k", factor)
}

/// The experts of every token, in ascending order.
fn chosen(routing: &Routing) -> Vec<Vec<usize>> {
    let experts = routing.read_experts();
    experts
        .chunks(routing.top_k())
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

/// What experts of which there are `counts` copies answer to each row of `x` with `top_k` choices:
/// choices fall on copies in the order of the probabilities.
fn answers(layer: &MoeFeedForward, x: &Tensor<2>, counts: &[usize], top_k: usize) -> Vec<f64> {
    let [_, hidden] = x.dims();
    let probabilities = softmax(layer.router.linear.forward(x.clone()), 1);
    let experts: Vec<Vec<f64>> = (0..counts.len())
        .map(|expert| {
            let matrix = |stack: &Param<Tensor<3>>| {
                let stack = stack.val().narrow(0, expert, 1);
                stack.squeeze_dim::<2>(0)
            };
            let gate = silu(x.clone().matmul(matrix(&layer.gate_proj)));
            let up = x.clone().matmul(matrix(&layer.up_proj));
            values((gate * up).matmul(matrix(&layer.down_proj)))
        })
        .collect();
    let rows = values(probabilities);
    let rows = rows.chunks(counts.len()).enumerate();
    rows.flat_map(|(row, p)| {
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
        let mut left = top_k;
        let chosen: Vec<(usize, f64)> = order
            .into_iter()
            .map(|expert| {
                let copies = left.min(counts[expert]);
                left -= copies;
                (expert, copies as f64 * p[expert])
            })
            .collect();
        let total: f64 = if layer.router.norm_topk_prob {
            chosen.iter().map(|(_, weight)| weight).sum()
        } else {
            p.iter()
                .zip(counts)
                .map(|(p, count)| p * *count as f64)
                .sum()
        };
        let answer = |i: usize| {
            let terms = chosen.iter();
            let sum: f64 = terms
                .map(|(e, weight)| weight * experts[*e][row * hidden + i])
                .sum();
            sum / total
        };
        (0..hidden).map(answer).collect::<Vec<f64>>()
    })
    .collect()
}

/// With one choice and no normalization the output is multiplied by `k' / m`. With more, different
/// experts lose different fractions.
#[test]
fn choices_that_do_not_follow_the_experts_answer_by_the_closed_form() {
    let device = Device::flex();
    for norm_topk_prob in [false, true] {
        for (experts, top_k) in [([4, 32], [1, 2]), ([4, 32], [2, 4]), ([8, 12], [2, 3])] {
            let config = MoeConfig {
                n_experts: experts[0],
                top_k: top_k[0],
                norm_topk_prob,
                ..tiny()
            };
            let model = build(&config, 3, &device);
            let normal = Distribution::Normal(0.0, 1.0);
            let x = Tensor::<2>::random([40, config.hidden], normal, &device);
            let expansion = Expansion::to("experts", experts[1]).and_to("top_k", top_k[1]);
            let wide = grown(&model, &expansion);
            let found = |model: &MoeTransformer| {
                let layer = &model.blocks[0].feed_forward;
                values(layer.forward(x.clone().unsqueeze()).0)
            };
            let (before, after) = (found(&model), found(&wide));
            let layer = &model.blocks[0].feed_forward;
            let close = |expected: &[f64], found: &[f64]| {
                let difference = largest_difference(expected, found);
                assert!(
                    difference <= 1e-5 * largest(expected),
                    "{expansion:?}: {difference}"
                );
            };
            close(&answers(layer, &x, &vec![1; experts[0]], top_k[0]), &before);
            // Whole blocks are copied, and the last one from its beginning.
            let copies = |expert| (expert..experts[1]).step_by(experts[0]).count();
            let counts: Vec<usize> = (0..experts[0]).map(copies).collect();
            close(&answers(layer, &x, &counts, top_k[1]), &after);
            if top_k[0] == 1 {
                let factor = if norm_topk_prob { 1.0 } else { 2.0 / 8.0 };
                let scaled: Vec<f64> = before.iter().map(|it| it * factor).collect();
                close(&scaled, &after);
            } else {
                assert!(largest_difference(&before, &after) > 1e-2 * largest(&before));
            }
            let plan = plan(&model, &expansion);
            let [change] = &plan.routing_changes()[..] else {
                panic!("{plan}");
            };
            assert_eq!(
                (change.whole.as_str(), change.part.as_str()),
                ("experts", "top_k")
            );
            assert_eq!(change.old, (top_k[0], experts[0]));
            assert_eq!(change.new, (top_k[1], experts[1]));
            assert!(plan.to_string().contains(&change.to_string()), "{plan}");
        }
    }
}

#[test]
fn a_plan_warns_of_routing_only_where_it_changes() {
    let model = build(&tiny(), 1, &Device::flex());
    let changes = |expansion: &Expansion| plan(&model, expansion).routing_changes().len();
    for expansion in [
        both(2.0),
        both(3.0).with_map(CopyMap::Interleaved),
        both(1.0),
        Expansion::by("inner", 2.0),
    ] {
        assert_eq!(changes(&expansion), 0, "{expansion:?}");
    }
    for expansion in [
        Expansion::by("experts", 2.0),
        Expansion::by("top_k", 2.0),
        both(1.5),
        both(2.0).with_map(CopyMap::Random).with_seed(1),
    ] {
        assert_eq!(changes(&expansion), 1, "{expansion:?}");
    }
}

#[test]
fn a_plan_prints_only_factors_that_something_is_multiplied_with() {
    let model = build(&tiny(), 1, &Device::flex());
    let expansion = both(2.0).and_by("inner", 2.0).and_by("vocab", 2.0);
    let text = plan(&model, &expansion).to_string();
    let axes: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("axis"))
        .collect();
    assert_eq!(
        axes,
        [
            "axis experts: 4 -> 8, copied",
            "axis inner: 5 -> 10, copy-copy, factor 0.5000",
            "axis top_k: 2 -> 4",
            "axis vocab: 11 -> 22, random",
        ]
    );
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
        init_std: InitStd::Constant(0.0),
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
