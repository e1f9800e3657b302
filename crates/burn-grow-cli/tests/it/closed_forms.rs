//! Expanded tensors against formulas, element by element.

use burn_grow_core::plan::Blocks;
use burn_grow_core::{Expansion, InitPair, Scaling};
use serde_json::json;

use crate::common::{Array, array, assert_same, llama, mapped};

#[test]
fn inner_twice_is_hypercloning_rule_tensor_by_tensor() {
    let folder = llama();
    let (config, found) = folder.expanded(&Expansion::by("inner", 2.0));
    let mut expected = folder.arrays.clone();
    for (name, array) in &mut expected {
        if name.contains("gate_proj") || name.contains("up_proj") {
            // Both blocks are the old matrix.
            *array = mapped(array, [12, 8], |row, column| (row % 6, column), 1.0);
        } else if name.contains("down_proj") {
            // And those who read them have each column twice, halved.
            *array = mapped(array, [8, 12], |row, column| (row, column % 6), 0.5);
        }
    }
    assert_same(&found, &expected);
    let mut wanted = folder.config.clone();
    wanted["intermediate_size"] = json!(12);
    assert_eq!(config, wanted);
}

#[test]
fn heads_stay_with_the_key_head_they_read() {
    let folder = llama();
    let expansion = Expansion::by("kv_heads", 2.0).and_by("queries", 2.0);
    let (config, found) = folder.expanded(&expansion);
    // A coordinate of a query is (key head, query of it, place in the head): copies of a key head
    // stand behind all of them, copies of a query within its key head.
    let query = |at: usize| {
        let (head, query, place) = (at / 8, at / 2 % 4, at % 2);
        (head % 2) * 4 + (query % 2) * 2 + place
    };
    let mut expected = folder.arrays.clone();
    for (name, array) in &mut expected {
        if name.contains("q_proj") {
            *array = mapped(array, [32, 8], |row, column| (query(row), column), 1.0);
        } else if name.contains("k_proj") || name.contains("v_proj") {
            *array = mapped(array, [8, 8], |row, column| (row % 4, column), 1.0);
        } else if name.contains("o_proj") {
            *array = mapped(array, [8, 32], |row, column| (row, query(column)), 0.25);
        }
    }
    assert_same(&found, &expected);
    let keys = [
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_size",
    ];
    let numbers = keys.map(|key| config[key].clone());
    // Heads no longer divide hidden: their size is written.
    assert_eq!(numbers, [json!(16), json!(4), json!(2), json!(8)]);
}

#[test]
fn the_root_that_a_model_multiplies_by_is_made_up_for() {
    let mut folder = llama();
    folder.config["model_type"] = json!("gemma2");
    folder.config["architectures"] = json!(["Gemma2ForCausalLM"]);
    folder.config["head_dim"] = json!(2);
    folder.config["tie_word_embeddings"] = json!(true);
    folder.arrays.remove("lm_head.weight");
    for layer in 0..2 {
        for norm in ["pre_feedforward_layernorm", "post_feedforward_layernorm"] {
            let name = format!("model.layers.{layer}.{norm}.weight");
            folder.arrays.insert(name.clone(), array(&name, &[8]));
        }
    }
    folder.write();
    let embedding = folder.arrays["model.embed_tokens.weight"].clone();
    let norm = folder.arrays["model.norm.weight"].clone();
    let (config, found) = folder.expanded(&Expansion::by("hidden", 4.0));
    let wide = |factor| mapped(&embedding, [7, 32], |row, column| (row, column % 8), factor);
    // The root of four times as much is twice as much.
    assert!(found["model.embed_tokens.weight"] == wide(0.5));
    assert!(found["lm_head.weight"] == wide(0.25));
    assert_eq!(config["tie_word_embeddings"], json!(false));
    // A gain that is stored as 1 + w is copied as any other.
    let gains = norm.values().repeat(4);
    assert!(found["model.norm.weight"] == Array::f32(&[32], &gains));

    let (_, found) = folder.expanded(&Expansion::by("inner", 2.0));
    for (name, array) in &folder.arrays {
        if name.contains("down_proj") {
            let halved = mapped(array, [8, 12], |row, column| (row, column % 6), 0.5);
            assert!(found[name] == halved, "{name}");
        }
    }
}

#[test]
fn layers_are_copies_or_the_identity_in_the_order_asked_for() {
    let mut folder = llama();
    folder.config["layer_types"] = json!(["a", "b"]);
    folder.config["model_type"] = json!("qwen2");
    folder.config["architectures"] = json!(["Qwen2ForCausalLM"]);
    folder.write();
    let old =
        |layer: usize, rest: &str| folder.arrays[&format!("model.layers.{layer}.{rest}")].clone();
    for (blocks, order, zero) in [
        (Blocks::copies(), [0, 1, 0, 1], [false; 4]),
        (Blocks::copies().interleaved(), [0, 0, 1, 1], [false; 4]),
        (
            Blocks::identity().interleaved(),
            [0, 0, 1, 1],
            [false, true, false, true],
        ),
        (
            Blocks::identity().in_order([0, 1, 1, 1]),
            [0, 1, 1, 1],
            [false, false, true, true],
        ),
    ] {
        let expansion = Expansion::by("layers", 2.0).with_blocks("layers", blocks);
        let (config, found) = folder.expanded(&expansion);
        assert_eq!(config["num_hidden_layers"], json!(4));
        let types = order.map(|layer| ["a", "b"][layer]);
        assert_eq!(config["layer_types"], json!(types));
        assert_eq!(found.len(), folder.arrays.len() + 18);
        for (layer, (source, zero)) in order.into_iter().zip(zero).enumerate() {
            for rest in ["self_attn.q_proj.weight", "input_layernorm.weight"] {
                let name = format!("model.layers.{layer}.{rest}");
                assert!(found[&name] == old(source, rest), "{name}");
            }
            for rest in ["self_attn.o_proj.weight", "mlp.down_proj.weight"] {
                let name = format!("model.layers.{layer}.{rest}");
                let mut expected = old(source, rest);
                if zero {
                    expected.bytes.fill(0);
                }
                assert!(found[&name] == expected, "{name}");
            }
        }
    }
}

#[test]
fn numbers_of_two_bytes_are_computed_in_four_and_rounded_once() {
    let mut folder = llama();
    let single = folder.arrays.clone();
    for array in folder.arrays.values_mut() {
        *array = array.halved();
    }
    folder.write();
    let widened = |array: &Array| {
        let (halves, _) = array.bytes.as_chunks::<2>();
        let values = halves
            .iter()
            .map(|half| f32::from_le_bytes([0, 0, half[0], half[1]]));
        Array::f32(&array.shape, &values.collect::<Vec<_>>())
    };
    let rounded = |value: f32| {
        let bits = value.to_bits();
        // To the nearest, ties to even.
        let bits = bits + 0x7FFF + ((bits >> 16) & 1);
        [(bits >> 16) as u8, (bits >> 24) as u8]
    };
    let expansion = Expansion::by("inner", 1.5)
        .and_by("hidden", 1.5)
        .with_scaling(Scaling::FunctionPreserving);
    let (_, found) = folder.expanded(&expansion);
    assert_eq!(single.len(), found.len());
    for (name, array) in &folder.arrays {
        let old = widened(array);
        if !name.contains("down_proj") {
            continue;
        }
        // Six units become nine: the first three stand twice.
        let factor = |column: usize| if column % 6 < 3 { 0.5 } else { 1.0 };
        let wide = mapped(&old, [12, 9], |row, column| (row % 8, column % 6), 1.0);
        let bytes = wide.values().into_iter().enumerate();
        let bytes = bytes.flat_map(|(at, value)| rounded(value * factor(at % 9)));
        let found = &found[name];
        assert_eq!((found.dtype.as_str(), &found.shape), ("BF16", &vec![12, 9]));
        assert!(found.bytes == bytes.collect::<Vec<u8>>(), "{name}");
    }
    // Thirds are no halves.
    let (_, found) = folder.expanded(&Expansion::by("inner", 3.0));
    let name = "model.layers.0.mlp.down_proj.weight";
    let wide = mapped(
        &widened(&folder.arrays[name]),
        [8, 18],
        |row, column| (row, column % 6),
        (1.0_f64 / 3.0) as f32,
    );
    let bytes: Vec<u8> = wide.values().into_iter().flat_map(rounded).collect();
    assert!(found[name].bytes == bytes);
}

#[test]
fn zeros_and_random_numbers_are_where_the_pair_says() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0).with_init(InitPair::RANDOM_ZERO);
    let (_, found) = folder.expanded(&expansion.clone().with_seed(3));
    let name = "model.layers.1.mlp.down_proj.weight";
    let (old, new) = (folder.arrays[name].values(), found[name].values());
    // With a silent pair the factor is the root of the ratio of widths.
    let factor = 0.5_f64.sqrt() as f32;
    for (at, value) in new.iter().enumerate() {
        let (row, column) = (at / 12, at % 12);
        let expected = match column {
            0..6 => old[row * 6 + column] * factor,
            _ => 0.0,
        };
        assert_eq!(*value, expected);
    }
    let name = "model.layers.1.mlp.up_proj.weight";
    let (old, new) = (folder.arrays[name].values(), found[name].values());
    assert_eq!(new[..48], old);
    assert!(new[48..].iter().all(|value| !old.contains(value)));
    let (_, again) = folder.expanded(&expansion.clone().with_seed(3));
    assert!(again == found);
    let (_, other) = folder.expanded(&expansion.with_seed(4));
    assert!(other[name] != found[name]);
}
