//! Experts out of a feed-forward, against formulas, element by element.

use burn_grow_cli::Error;
use burn_grow_cli::expand::{Job, Written};
use burn_grow_cli::upcycle::{Kept, Router, RoutingWeights, Upcycling};
use serde_json::{Value, json};

use crate::common::{Array, Arrays, Dir, array, assert_same, config, llama, read};

fn write(folder: &Dir, upcycling: &Upcycling) -> Result<(Written, Kept), Error> {
    let model = folder.open()?;
    let upcycled = model.upcycle(upcycling)?;
    let written = Job::new(&upcycled.folder, &folder.out()).write(&mut ())?;
    Ok((written, upcycled.kept.clone()))
}

fn upcycled(folder: &Dir, upcycling: &Upcycling) -> (Value, Arrays, Kept) {
    if folder.out().exists() {
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    let (_, kept) = write(folder, upcycling).expect("upcycled");
    (config(&folder.out()), read(&folder.out()), kept)
}

/// A small Qwen 3: as the small Llama, with norms in its heads.
fn qwen3() -> Dir {
    let mut folder = llama();
    folder.config["model_type"] = json!("qwen3");
    folder.config["architectures"] = json!(["Qwen3ForCausalLM"]);
    folder.config["head_dim"] = json!(2);
    for layer in 0..2 {
        for head in ["q", "k"] {
            let name = format!("model.layers.{layer}.self_attn.{head}_norm.weight");
            let norm = array(&name, &[2]);
            folder.arrays.insert(name, norm);
        }
    }
    folder.write();
    folder
}

/// A small OLMo 2: as the small Llama, with norms elsewhere.
fn olmo2() -> Dir {
    let mut folder = llama();
    folder.config["model_type"] = json!("olmo2");
    folder.config["architectures"] = json!(["Olmo2ForCausalLM"]);
    for layer in 0..2 {
        let block = format!("model.layers.{layer}");
        let norm = folder
            .arrays
            .remove(&format!("{block}.input_layernorm.weight"));
        let name = format!("{block}.post_feedforward_layernorm.weight");
        folder.arrays.insert(name, norm.expect("a norm"));
        for (head, width) in [("q", 8), ("k", 4)] {
            let name = format!("{block}.self_attn.{head}_norm.weight");
            let norm = array(&name, &[width]);
            folder.arrays.insert(name, norm);
        }
    }
    folder.write();
    folder
}

const MATRICES: [(&str, &str); 3] = [("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2")];

/// The names of a matrix of the feed-forward and of an expert.
fn names(to: &str, layer: usize, expert: usize, matrix: usize) -> (String, String) {
    let (dense, short) = MATRICES[matrix];
    let new = match to {
        "mixtral" => format!("block_sparse_moe.experts.{expert}.{short}"),
        _ => format!("mlp.experts.{expert}.{dense}"),
    };
    (
        format!("model.layers.{layer}.mlp.{dense}.weight"),
        format!("model.layers.{layer}.{new}.weight"),
    )
}

fn router(to: &str, layer: usize) -> String {
    let block = if to == "mixtral" {
        "block_sparse_moe"
    } else {
        "mlp"
    };
    format!("model.layers.{layer}.{block}.gate.weight")
}

/// Part `part` of `parts` of a matrix of the feed-forward, times `factor`: rows of those that make
/// the inner width, columns of the one that reads it.
fn part(old: &Array, matrix: usize, part: usize, parts: usize, factor: f32) -> Array {
    let (rows, columns) = (old.shape[0], old.shape[1]);
    let (new_rows, new_columns) = match matrix {
        2 => (rows, columns / parts),
        _ => (rows / parts, columns),
    };
    let values = old.values();
    let mut new = Vec::new();
    for row in 0..new_rows {
        for column in 0..new_columns {
            let (row, column) = match matrix {
                2 => (row, part * new_columns + column),
                _ => (part * new_rows + row, column),
            };
            new.push(values[row * columns + column] * factor);
        }
    }
    Array::f32(&[new_rows, new_columns], &new)
}

/// What there should be, but for routers.
fn expected(folder: &Dir, upcycling: &Upcycling, factor: f32) -> Arrays {
    let mut arrays = folder.arrays.clone();
    let parts = upcycling.granularity;
    for layer in 0..2 {
        for (matrix, (dense, _)) in MATRICES.iter().enumerate() {
            let dense = format!("model.layers.{layer}.mlp.{dense}.weight");
            let old = arrays.remove(&dense).expect("a matrix");
            for expert in 0..upcycling.experts * parts {
                let factor = if matrix == 2 { factor } else { 1.0 };
                let new = part(&old, matrix, expert % parts, parts, factor);
                arrays.insert(names(&upcycling.to, layer, expert, matrix).1, new);
            }
        }
    }
    arrays
}

/// Takes the routers out.
fn routers(arrays: &mut Arrays, to: &str) -> Vec<Array> {
    let layers = (0..2).map(|layer| arrays.remove(&router(to, layer)).expect("a router"));
    layers.collect()
}

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
    let wanted = json!({
        "model_type": "mixtral",
        "architectures": ["MixtralForCausalLM"],
        "vocab_size": 7,
        "hidden_size": 8,
        "intermediate_size": 6,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
        "tie_word_embeddings": false,
    });
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

#[test]
fn noise_is_on_all_copies_but_the_first() {
    let mut folder = llama();
    // Enough numbers for a standard deviation, and far from 1 in size.
    for layer in 0..2 {
        for (name, shape) in [("gate", [96, 8]), ("up", [96, 8]), ("down", [8, 96])] {
            let name = format!("model.layers.{layer}.mlp.{name}_proj.weight");
            let matrix = array(&name, &shape);
            folder.arrays.insert(name, matrix);
        }
    }
    folder.config["intermediate_size"] = json!(96);
    folder.write();
    let upcycling = Upcycling::new("mixtral", 3, 2)
        .with_granularity(2)
        .with_noise(0.25);
    let (_, mut found, kept) = upcycled(&folder, &upcycling);
    assert_eq!(kept, Kept::UpToNoise { noise: 0.25 });
    routers(&mut found, "mixtral");
    let alike = expected(&folder, &upcycling, 2.0);
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for layer in 0..2 {
        for expert in 0..6 {
            for matrix in 0..3 {
                let name = names("mixtral", layer, expert, matrix).1;
                let (found, alike) = (found[&name].values(), alike[&name].values());
                if expert < 2 {
                    assert!(found == alike, "{name}");
                    continue;
                }
                let pairs = found.iter().zip(&alike);
                let noise: Vec<f32> = pairs.map(|(found, alike)| found - alike).collect();
                let rms = |values: &[f32]| {
                    let squares = values.iter().map(|value| f64::from(*value).powi(2));
                    (squares.sum::<f64>() / values.len() as f64).sqrt()
                };
                let relative = rms(&noise) / rms(&alike);
                assert!((relative / 0.25 - 1.0).abs() < 0.15, "{name}: {relative}");
                let mean = noise.iter().sum::<f32>() / noise.len() as f32;
                assert!(f64::from(mean).abs() < 0.2 * rms(&noise), "{name}: {mean}");
                assert!(!seen.contains(&noise), "{name}");
                seen.push(noise);
            }
        }
    }
    let (_, again, _) = upcycled(&folder, &upcycling);
    let (_, other, _) = upcycled(&folder, &upcycling.clone().with_seed(1));
    let name = names("mixtral", 0, 2, 0).1;
    assert!(again[&name] == found[&name] && other[&name] != found[&name]);
}

#[test]
fn a_router_is_drawn_by_the_initializer_range() {
    let mut folder = llama();
    for (range, expected) in [(None, 0.02), (Some(json!(0.5)), 0.5)] {
        if let Some(range) = range {
            folder.config["initializer_range"] = range;
            folder.write();
        }
        let (_, mut found, _) = upcycled(&folder, &Upcycling::new("mixtral", 64, 2));
        for router in routers(&mut found, "mixtral") {
            let values = router.values();
            let squares = values.iter().map(|value| f64::from(*value).powi(2));
            let deviation = (squares.sum::<f64>() / values.len() as f64).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.15, "{deviation}");
        }
    }
    folder.config["initializer_range"] = json!("small");
    folder.write();
    let error = write(&folder, &Upcycling::new("mixtral", 4, 2)).expect_err("rejected");
    assert!(
        error
            .to_string()
            .contains("`initializer_range` is \"small\""),
        "{error}"
    );
}

#[test]
fn bfloat16_is_computed_in_single_precision_and_rounded_once() {
    let mut folder = qwen3();
    let single = folder.arrays.clone();
    for array in folder.arrays.values_mut() {
        *array = array.halved();
    }
    folder.write();
    let upcycling = Upcycling::new("qwen3_moe", 3, 2)
        .with_router(Router::Zero)
        .with_weights(RoutingWeights::Softmax);
    let (_, mut found, _) = upcycled(&folder, &upcycling);
    let routers = routers(&mut found, "qwen3_moe");
    assert!(
        routers
            .iter()
            .all(|it| it.dtype == "BF16" && it.bytes.len() == 3 * 8 * 2)
    );
    let (dense, name) = names("qwen3_moe", 1, 2, 2);
    let bits = |half: &[u8]| u32::from(u16::from_le_bytes([half[0], half[1]])) << 16;
    let halves = single[&dense].halved();
    let wanted = halves.bytes.chunks(2).map(|half| {
        let product = (f32::from_bits(bits(half)) * 1.5_f32).to_bits();
        // To the nearest, ties to even.
        let rounded = (product + 0x7FFF + (product >> 16 & 1)) >> 16;
        u16::try_from(rounded).expect("two bytes").to_le_bytes()
    });
    assert_eq!(found[&name].bytes, wanted.flatten().collect::<Vec<u8>>());
    let (dense, name) = names("qwen3_moe", 1, 2, 0);
    assert_eq!(found[&name], folder.arrays[&dense]);
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

#[test]
fn what_a_missing_key_meant_is_written() {
    let mut folder = llama();
    let upcycling = Upcycling::new("mixtral", 4, 2);
    folder.config["model_type"] = json!("mistral");
    folder.config["architectures"] = json!(["MistralModel"]);
    let keys = folder.config.as_object_mut().expect("an object");
    keys.remove("num_key_value_heads");
    keys.remove("rms_norm_eps");
    for layer in 0..2 {
        for head in ["k", "v"] {
            let name = format!("model.layers.{layer}.self_attn.{head}_proj.weight");
            let matrix = array(&name, &[8, 8]);
            folder.arrays.insert(name, matrix);
        }
    }
    folder.write();
    let (config, ..) = upcycled(&folder, &upcycling);
    assert_eq!(config["architectures"], json!(["MixtralModel"]));
    assert_eq!(config["num_key_value_heads"], json!(4));
    assert_eq!(config["rms_norm_eps"], json!(1e-6));
    assert_eq!(config["sliding_window"], json!(4096));
    // A window of `null` is none.
    folder.config["sliding_window"] = Value::Null;
    folder.config["rope_parameters"] = json!({ "rope_theta": 5e5, "rope_type": "default" });
    folder.write();
    let (config, ..) = upcycled(&folder, &upcycling);
    assert_eq!(config["sliding_window"], Value::Null);
    assert!(config.get("rope_theta").is_none());
    assert_eq!(config["rope_parameters"], folder.config["rope_parameters"]);
}

#[test]
fn keys_that_only_the_dense_model_has_or_ignores_go() {
    let mut folder = llama();
    folder.config["sliding_window"] = json!(16);
    folder.config["mlp_bias"] = json!(false);
    folder.config["quantization_config"] = json!({ "bits": 4 });
    folder.config["something"] = json!("else");
    folder.write();
    let (config, ..) = upcycled(&folder, &Upcycling::new("mixtral", 4, 2));
    for key in ["sliding_window", "mlp_bias", "quantization_config"] {
        assert!(config.get(key).is_none(), "{key}");
    }
    assert_eq!(config["something"], json!("else"));
}

#[test]
fn what_is_tied_stays_tied() {
    let mut folder = llama();
    let upcycling = Upcycling::new("mixtral", 2, 1);
    folder.config["tie_word_embeddings"] = json!(true);
    folder.write();
    let (config, arrays, _) = upcycled(&folder, &upcycling);
    // The head in the file is another one.
    assert_eq!(config["tie_word_embeddings"], json!(false));
    assert_eq!(arrays["lm_head.weight"], folder.arrays["lm_head.weight"]);
    let equal = folder.arrays["model.embed_tokens.weight"].clone();
    folder.arrays.insert("lm_head.weight".into(), equal);
    folder.write();
    let (config, arrays, _) = upcycled(&folder, &upcycling);
    assert_eq!(config["tie_word_embeddings"], json!(true));
    assert!(!arrays.contains_key("lm_head.weight"));
}

#[test]
fn an_upcycled_model_is_one_of_its_family() {
    let folder = qwen3();
    let upcycling = Upcycling::new("qwen3_moe", 3, 2).with_granularity(2);
    upcycled(&folder, &upcycling);
    let model = burn_grow_cli::Model::open(&folder.out(), None, &[]).expect("a model");
    let found = model.inspect().expect("described");
    assert_eq!(found.family, "qwen3_moe");
    let width = |name: &str| {
        found
            .axes
            .iter()
            .find(|axis| axis.name == name)
            .map(|it| it.width)
    };
    for (axis, expected) in [("experts", 6), ("top_k", 4), ("inner", 3), ("hidden", 8)] {
        assert_eq!(width(axis), Some(expected), "{axis}");
    }
    let dense = folder
        .open()
        .expect("a model")
        .inspect()
        .expect("described");
    // Two more copies of three matrices, and a router, in each of two layers.
    assert_eq!(found.parameters, dense.parameters + 2 * (2 * 144 + 6 * 8));
}

#[test]
fn what_cannot_be_is_rejected_with_the_reason() {
    let error = |folder: &Dir, upcycling: Upcycling| {
        let error = write(folder, &upcycling).expect_err("rejected").to_string();
        assert!(!folder.out().exists() && !folder.out().with_extension("partial").exists());
        error
    };
    let mixtral = |experts, top_k| Upcycling::new("mixtral", experts, top_k);
    let folder = llama();
    for (upcycling, part) in [
        (mixtral(0, 1), "the number of experts is 0"),
        (mixtral(4, 5), "the top k is 5, expected 1 to 4"),
        (mixtral(4, 0), "the top k is 0"),
        (
            mixtral(4, 2).with_granularity(4),
            "a divisor of 6, the width of the feed-forward",
        ),
        (mixtral(4, 2).with_granularity(0), "one part at least"),
        (mixtral(4, 2).with_noise(f64::NAN), "the noise is NaN"),
        (mixtral(4, 2).with_noise(-1.0), "the noise is -1"),
        (
            mixtral(4, 2).with_weights(RoutingWeights::Softmax),
            "expected one, as a `mixtral` always makes it",
        ),
        (Upcycling::new("mixtrl", 4, 2), "did you mean `mixtral`?"),
        (
            Upcycling::new("qwen3_moe", 4, 2),
            "Known: `llama` to `mixtral`",
        ),
    ] {
        let text = error(&folder, upcycling);
        assert!(text.contains(part), "{text}");
    }
    let mut biased = llama();
    let bias = "model.layers.0.self_attn.q_proj.bias";
    for layer in 0..2 {
        let bias = bias.replace('0', &layer.to_string());
        let values = array(&bias, &[8]);
        biased.arrays.insert(bias, values);
    }
    biased.write();
    let text = error(&biased, mixtral(4, 2));
    assert!(
        text.contains(&format!("has no place for tensor `{bias}` of shape [8]")),
        "{text}"
    );
    let mut window = qwen3();
    window.config["use_sliding_window"] = json!(true);
    window.write();
    let text = error(&window, Upcycling::new("qwen3_moe", 4, 2));
    assert!(
        text.contains("`use_sliding_window` is true, expected false: a Qwen 3 MoE"),
        "{text}"
    );
    let mut classes = llama();
    classes.config["architectures"] = json!(["AlpacaForCausalLM"]);
    classes.write();
    let text = error(&classes, mixtral(4, 2));
    assert!(
        text.contains("AlpacaForCausalLM, expected LlamaModel, LlamaForCausalLM"),
        "{text}"
    );
}

#[test]
fn an_olmo_2_becomes_a_flex_olmo_and_no_olmoe() {
    let mut folder = olmo2();
    let error = write(&folder, &Upcycling::new("olmoe", 4, 2)).expect_err("rejected");
    assert!(matches!(error, Error::Impossible { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("no `olmoe` computes what a model of `olmo2` does: OLMo 2 normalizes")
            && text.contains("a `flex_olmo` has its norms where OLMo 2 has them"),
        "{text}"
    );
    let upcycling = Upcycling::new("flex_olmo", 4, 2).with_granularity(2);
    let (config, mut found, kept) = upcycled(&folder, &upcycling);
    assert_eq!(kept, Kept::Exactly);
    routers(&mut found, "flex_olmo");
    assert_same(&found, &expected(&folder, &upcycling, 2.0));
    assert_eq!(config["architectures"], json!(["FlexOlmoForCausalLM"]));
    assert_eq!(config["pad_token_id"], json!(1));
    // A class that FlexOlmo does not have.
    std::fs::remove_dir_all(folder.out()).expect("removed");
    folder.config["architectures"] = json!(["Olmo2ForSequenceClassification"]);
    folder.write();
    let error = write(&folder, &upcycling)
        .expect_err("rejected")
        .to_string();
    assert!(
        error.contains("expected Olmo2Model, Olmo2ForCausalLM"),
        "{error}"
    );
}
