//! The configuration of the new model, and its family.

use burn_grow_cli::upcycle::Upcycling;
use serde_json::{Value, json};

use super::{qwen3, upcycled};
use crate::common::{array, llama};

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
