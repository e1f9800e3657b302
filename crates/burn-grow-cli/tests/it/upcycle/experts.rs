//! The experts: copies of the feed-forward, or parts of them, that compute what it did.

use burn_grow_cli::upcycle::{Kept, Router, RoutingWeights, Upcycling};
use serde_json::{Value, json};

use super::{expected, names, olmo2, qwen3, router, routers, upcycled};
use crate::common::{Array, Arrays, assert_same, llama};

#[test]
fn every_expert_is_the_feed_forward() {
    let folder = llama();
    let upcycling = Upcycling::new("mixtral", 4, 2);
    let (config, mut found, kept) = upcycled(&folder, &upcycling);
    let routers = routers(&mut found, "mixtral");
    assert_same(&found, &expected(&folder, &upcycling, 1.0));
    assert_eq!(kept, Kept::Exactly);
    assert!(routers.iter().all(|router| router.shape == [4, 8]));
    assert_ne!(routers[0], routers[1]);
    let mut wanted = folder.config.clone();
    for (key, value) in [
        ("model_type", json!("mixtral")),
        ("architectures", json!(["MixtralForCausalLM"])),
        ("head_dim", json!(2)),
        ("num_local_experts", json!(4)),
        ("num_experts_per_tok", json!(2)),
        ("max_position_embeddings", json!(2048)),
        ("rope_theta", json!(10000.0)),
    ] {
        wanted[key] = value;
    }
    assert_eq!(config, wanted);
}

#[test]
fn an_expert_may_be_a_part_of_the_feed_forward() {
    let folder = llama();
    for parts in [2, 3, 6] {
        let upcycling = Upcycling::new("mixtral", 4, 2).with_granularity(parts);
        let (config, mut found, kept) = upcycled(&folder, &upcycling);
        assert_eq!(kept, Kept::Exactly);
        for router in routers(&mut found, "mixtral") {
            assert_eq!(router.shape, [4 * parts, 8]);
            let rows = router.values();
            let rows: Vec<&[f32]> = rows.chunks(8).collect();
            for (index, row) in rows.iter().enumerate() {
                let copy = index / parts;
                assert!(*row == rows[copy * parts], "a token takes whole copies");
                assert!(
                    copy == 0 || *row != rows[0],
                    "copies have scores of their own"
                );
            }
        }
        assert_same(&found, &expected(&folder, &upcycling, parts as f32));
        assert_eq!(config["intermediate_size"], json!(6 / parts));
        assert_eq!(config["num_local_experts"], json!(4 * parts));
        assert_eq!(config["num_experts_per_tok"], json!(2 * parts));
    }
}

#[test]
fn the_last_matrix_makes_up_for_weights_that_sum_to_less() {
    let folder = qwen3();
    for (experts, top_k, parts, kept) in [(4, 2, 1, true), (3, 2, 1, true), (4, 2, 2, false)] {
        let upcycling = Upcycling::new("qwen3_moe", experts, top_k)
            .with_granularity(parts)
            .with_router(Router::Zero)
            .with_weights(RoutingWeights::Softmax);
        let (config, mut found, found_kept) = upcycled(&folder, &upcycling);
        // Of the equal weights of all, a token has those of its experts.
        let factor = (experts * parts) as f64 / top_k as f64;
        for router in routers(&mut found, "qwen3_moe") {
            assert!(router.values().iter().all(|value| *value == 0.0));
        }
        assert_same(&found, &expected(&folder, &upcycling, factor as f32));
        assert_eq!(found_kept == Kept::Exactly, kept);
        assert_eq!(config["norm_topk_prob"], json!(false));
    }
}

/// What a feed-forward makes of `input`, in double precision.
fn feed_forward(matrices: [&Array; 3], input: &[f64]) -> Vec<f64> {
    let times = |matrix: &Array, input: &[f64]| -> Vec<f64> {
        let values = matrix.values();
        let rows = values.chunks(matrix.shape[1]);
        let dot = |row: &[f32]| {
            row.iter()
                .zip(input)
                .map(|(one, two)| f64::from(*one) * two)
                .sum()
        };
        rows.map(dot).collect()
    };
    let [gate, up] = [times(matrices[0], input), times(matrices[1], input)];
    let units = gate.iter().zip(&up);
    let units: Vec<f64> = units
        .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
        .collect();
    times(matrices[2], &units)
}

/// What the experts of one layer make of `input`: the first of those whose scores are equal.
fn experts(arrays: &Arrays, config: &Value, layer: usize, input: &[f64]) -> Vec<f64> {
    let to = config["model_type"].as_str().expect("a name");
    let top_k = config["num_experts_per_tok"].as_u64().expect("a number") as usize;
    let rows = arrays[&router(to, layer)].values();
    let rows = rows.chunks(input.len());
    let scores = rows.map(|row| {
        row.iter()
            .zip(input)
            .map(|(one, two)| f64::from(*one) * two)
    });
    let scores: Vec<f64> = scores.map(|products| products.sum::<f64>().exp()).collect();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    order.truncate(top_k);
    let normalized = config
        .get("norm_topk_prob")
        .is_none_or(|it| it == &json!(true));
    let total: f64 = match normalized {
        true => order.iter().map(|expert| scores[*expert]).sum(),
        false => scores.iter().sum(),
    };
    let mut output = vec![0.0; input.len()];
    for expert in order {
        let matrices = [0, 1, 2].map(|matrix| &arrays[&names(to, layer, expert, matrix).1]);
        for (sum, value) in output.iter_mut().zip(feed_forward(matrices, input)) {
            *sum += value * scores[expert] / total;
        }
    }
    output
}

#[test]
fn experts_compute_what_the_feed_forward_did() {
    let input: Vec<f64> = (0..8)
        .map(|place| f64::from(place * place % 7) - 2.5)
        .collect();
    for (folder, to) in [
        (llama(), "mixtral"),
        (qwen3(), "qwen3_moe"),
        (olmo2(), "flex_olmo"),
    ] {
        for (experts_of, top_k) in [(1, 1), (4, 1), (4, 2), (4, 4), (5, 3)] {
            for parts in [1, 2, 3] {
                for router in [Router::Drawn, Router::Zero] {
                    for weights in [RoutingWeights::Normalized, RoutingWeights::Softmax] {
                        if to == "mixtral" && weights == RoutingWeights::Softmax {
                            continue;
                        }
                        let upcycling = Upcycling::new(to, experts_of, top_k)
                            .with_granularity(parts)
                            .with_router(router)
                            .with_weights(weights);
                        let (config, arrays, kept) = upcycled(&folder, &upcycling);
                        for layer in 0..2 {
                            let matrices = [0, 1, 2]
                                .map(|matrix| &folder.arrays[&names(to, layer, 0, matrix).0]);
                            let wanted = feed_forward(matrices, &input);
                            let found = experts(&arrays, &config, layer, &input);
                            let pairs = wanted.iter().zip(&found);
                            let worst = pairs.map(|(one, two)| (one - two).abs());
                            let worst = worst.fold(0.0, f64::max);
                            if kept == Kept::Exactly {
                                assert!(worst < 1e-6, "{upcycling:?}: {worst}");
                            } else if router == Router::Drawn {
                                assert!(worst > 1e-6, "{upcycling:?}: {worst}");
                            }
                        }
                    }
                }
            }
        }
    }
}
