//! Tensors that a model has once and uses twice: what becomes of them where a width grows.

use burn_grow_core::plan::CopyMap;
use burn_grow_core::{Expansion, Scaling};
use serde_json::{Value, json};

use crate::common::{Dir, llama, mapped};

#[test]
fn a_tied_model_is_untied_where_no_factor_suits_both() {
    let mut folder = llama();
    folder.config["tie_word_embeddings"] = json!(true);
    folder.arrays.remove("lm_head.weight");
    folder.write();
    let embedding = folder.arrays["model.embed_tokens.weight"].clone();

    let (config, found) = folder.expanded(&Expansion::by("inner", 2.0));
    assert_eq!(config["tie_word_embeddings"], json!(true));
    assert!(!found.contains_key("lm_head.weight"));

    let (config, found) = folder.expanded(&Expansion::by("hidden", 2.0));
    assert_eq!(config["tie_word_embeddings"], json!(false));
    let wide = |factor| mapped(&embedding, [7, 16], |row, column| (row, column % 8), factor);
    assert!(found["model.embed_tokens.weight"] == wide(1.0));
    assert!(found["lm_head.weight"] == wide(0.5));
}

#[test]
fn a_folder_with_the_names_of_a_model_without_a_head_is_not_untied() {
    let mut folder = llama();
    folder.config["tie_word_embeddings"] = json!(true);
    folder.arrays.remove("lm_head.weight");
    let arrays = std::mem::take(&mut folder.arrays).into_iter();
    folder.arrays = arrays
        .map(|(name, array)| (name.trim_start_matches("model.").to_owned(), array))
        .collect();
    folder.write();
    let (_, found) = folder.expanded(&Expansion::by("inner", 2.0));
    assert_eq!(found.len(), folder.arrays.len());
    let model = folder.open().expect("a model");
    let error = model.grow(&Expansion::by("hidden", 2.0)).err();
    let error = error.expect("rejected").to_string();
    assert!(error.contains("such as `embed_tokens.weight`"), "{error}");
    // As the model itself, without a head, it grows.
    folder.config["architectures"] = json!(["LlamaModel"]);
    folder.write();
    let (_, found) = folder.expanded(&Expansion::by("hidden", 2.0));
    assert_eq!(found["embed_tokens.weight"].shape, [7, 16]);
}

#[test]
fn a_head_beside_a_tied_configuration_is_dropped_if_it_is_equal_and_kept_if_not() {
    let mut folder = llama();
    folder.config["tie_word_embeddings"] = json!(true);
    folder.write();
    let inner = Expansion::by("inner", 2.0);
    let model = folder.open().expect("a model");
    let growth = model.grow(&inner).expect("a plan");
    assert!(growth.notes[0].contains("`lm_head.weight` is in the folder and differs"));
    let (config, found) = folder.expanded(&inner);
    assert_eq!(config["tie_word_embeddings"], json!(false));
    assert!(found["lm_head.weight"] == folder.arrays["lm_head.weight"]);

    let embedding = folder.arrays["model.embed_tokens.weight"].clone();
    folder.arrays.insert("lm_head.weight".into(), embedding);
    folder.write();
    let (config, found) = folder.expanded(&inner);
    assert_eq!(config["tie_word_embeddings"], json!(true));
    assert!(!found.contains_key("lm_head.weight"));
}

/// A small Llama under another name, with its head tied.
fn tied(model_type: &str, class: &str) -> Dir {
    let mut folder = llama();
    folder.config["model_type"] = json!(model_type);
    folder.config["architectures"] = json!([class]);
    folder.config["tie_word_embeddings"] = json!(true);
    folder.arrays.remove("lm_head.weight");
    folder.write();
    folder
}

#[test]
fn a_key_has_the_factor_of_a_tied_head_if_there_is_one() {
    for expansion in [
        Expansion::by("hidden", 2.0),
        Expansion::by("hidden", 1.5),
        Expansion::to("hidden", 28).with_map(CopyMap::Interleaved),
        Expansion::by("hidden", 2.0).and_by("inner", 3.0),
    ] {
        // The same by a family without such a key: the head is a tensor with the factor in it.
        let other = tied("llama", "LlamaForCausalLM");
        let (config, untied) = other.expanded(&expansion);
        assert_eq!(config["tie_word_embeddings"], json!(false));

        let mut granite = tied("granite", "GraniteForCausalLM");
        granite.config["logits_scaling"] = json!(8);
        granite.write();
        let (config, found) = granite.expanded(&expansion);
        assert_eq!(config["tie_word_embeddings"], json!(true));
        let scaling = config["logits_scaling"].as_f64().expect("a number");
        let embedding = found["model.embed_tokens.weight"].values();
        let head = untied["lm_head.weight"].values();
        assert_eq!(embedding.len(), head.len());
        for (tied, untied) in embedding.iter().zip(&head) {
            let (tied, untied) = (f64::from(*tied) / scaling, f64::from(*untied) / 8.0);
            assert!(
                (tied - untied).abs() < 1e-9,
                "{expansion:?}: {tied}, {untied}"
            );
        }
        // All else is as there, and nothing else is said in the configuration.
        let mut others = untied;
        others.remove("lm_head.weight");
        assert!(found == others);
        let mut wanted = granite.config.clone();
        for key in [
            "hidden_size",
            "intermediate_size",
            "head_dim",
            "logits_scaling",
        ] {
            wanted[key] = config[key].clone();
        }
        assert_eq!(config, wanted);
    }
}

#[test]
fn a_factor_is_multiplied_or_divided_by_and_may_be_missing() {
    let double = Expansion::by("hidden", 2.0);
    for (model_type, class, key, old, new) in [
        (
            "granite",
            "GraniteForCausalLM",
            "logits_scaling",
            Some(6.5),
            13.0,
        ),
        ("granite", "GraniteForCausalLM", "logits_scaling", None, 2.0),
        (
            "cohere",
            "CohereForCausalLM",
            "logit_scale",
            Some(0.5),
            0.25,
        ),
        (
            "cohere",
            "CohereForCausalLM",
            "logit_scale",
            None,
            0.0625 / 2.0,
        ),
    ] {
        let mut folder = tied(model_type, class);
        if model_type == "cohere" {
            folder
                .arrays
                .retain(|name, _| !name.contains("post_attention"));
        }
        if let Some(old) = old {
            folder.config[key] = json!(old);
        }
        folder.write();
        let (config, found) = folder.expanded(&double);
        assert_eq!(config[key], json!(new), "{model_type}");
        assert!(!found.contains_key("lm_head.weight"));
        let growth = folder.open().expect("a model");
        let growth = growth.grow(&double).expect("a plan");
        let note = format!("tied as before: `{key}` has the factor of 0.5000");
        assert!(growth.notes[0].starts_with(&note), "{:?}", growth.notes);

        // Where no axis grows that the head reads, nothing has to make up for it.
        let (config, _) = folder.expanded(&Expansion::by("inner", 2.0));
        assert_eq!(config.get(key), folder.config.get(key));
        // A factor for every column, which no key has.
        let columns = Expansion::by("hidden", 1.5).with_scaling(Scaling::FunctionPreserving);
        let (config, found) = folder.expanded(&columns);
        assert_eq!(config["tie_word_embeddings"], json!(false));
        assert_eq!(config.get(key), folder.config.get(key));
        assert!(found.contains_key("lm_head.weight"));
        // A head of its own has its factor in it.
        folder.config["tie_word_embeddings"] = json!(false);
        let head = folder.arrays["model.embed_tokens.weight"].clone();
        folder.arrays.insert("lm_head.weight".into(), head.clone());
        folder.write();
        let (config, found) = folder.expanded(&double);
        assert_eq!(config.get(key), folder.config.get(key));
        let half = mapped(&head, [7, 16], |row, column| (row, column % 8), 0.5);
        assert!(found["lm_head.weight"] == half);
    }
    let mut folder = tied("granite", "GraniteForCausalLM");
    for (value, fits) in [(json!("four"), false), (Value::Null, true)] {
        folder.config["logits_scaling"] = value;
        folder.write();
        let model = folder.open().expect("a model");
        match model.grow(&double) {
            Ok(_) => assert!(fits),
            Err(error) => {
                assert!(!fits);
                let text = error.to_string();
                assert!(text.contains("`logits_scaling` is \"four\""), "{text}");
            }
        }
    }
}
