//! What becomes of `config.json`, and of other files.

use burn_grow_cli::expand::Job;
use burn_grow_core::Expansion;
use serde_json::{Value, json};

use crate::common::{Array, config, llama};

#[test]
fn other_keys_and_other_files_stay_as_they_are() {
    let mut folder = llama();
    folder.config["rope_parameters"] = json!({ "rope_theta": 500_000.0, "rope_type": "default" });
    folder.config["bos_token_id"] = Value::Null;
    folder.config["initializer_range"] = json!(0.02);
    folder.write();
    folder.file("tokenizer.json", "{\"a\": 1}");
    folder.file("README.md", "about it");
    folder.file("pytorch_model.bin", "old weights");
    std::fs::create_dir(folder.path().join("extra")).expect("a folder");
    folder.file("extra/notes.txt", "notes");
    std::fs::create_dir(folder.path().join(".git")).expect("a folder");
    folder.file(".git/HEAD", "ref");
    let expansion = Expansion::by("inner", 2.0);
    let written = folder.expand(&expansion).expect("expanded");
    assert_eq!(written.behind, ["pytorch_model.bin"]);
    let out = folder.out();
    for (name, text) in [
        ("tokenizer.json", "{\"a\": 1}"),
        ("README.md", "about it"),
        ("extra/notes.txt", "notes"),
    ] {
        let found = std::fs::read_to_string(out.join(name)).expect(name);
        assert_eq!(found, text);
    }
    for name in ["pytorch_model.bin", ".git", "burn-grow.journal"] {
        assert!(!out.join(name).exists(), "{name}");
    }
    let mut expected = folder.config.clone();
    expected["intermediate_size"] = json!(12);
    assert_eq!(config(&out), expected);
}

#[test]
fn a_folder_is_not_expanded_into_itself() {
    let folder = llama();
    let model = folder.open().expect("a model");
    let expansion = Expansion::by("inner", 2.0);
    let growth = model.grow(&expansion).expect("a plan");
    for inside in ["out", "a/b/out", "../model/out"] {
        let (made, out) = (growth.new_folder(&expansion), folder.path().join(inside));
        let error = Job::new(&made, &out)
            .write(&mut ())
            .expect_err("inside")
            .to_string();
        assert!(error.contains("expand into a folder beside it"), "{error}");
    }
    let count = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(count, 2);
}

#[test]
fn a_quantization_does_not_survive_on_floats() {
    let mut folder = llama();
    for key in ["quantization_config", "compression_config"] {
        folder.config[key] = json!({ "quant_method": "fp8" });
    }
    folder.write();
    let (config, _) = folder.expanded(&Expansion::by("inner", 2.0));
    for key in ["quantization_config", "compression_config"] {
        assert!(config.get(key).is_none(), "{key}");
    }
}

#[test]
fn quantized_weights_are_rejected_with_the_way_out() {
    for (dtype, bytes) in [("F8_E4M3", 1), ("U8", 1)] {
        let mut folder = llama();
        folder.config["quantization_config"] = json!({ "quant_method": "any" });
        let name = "model.layers.0.mlp.up_proj.weight";
        let quantized = Array {
            dtype: dtype.into(),
            shape: vec![6, 8],
            bytes: vec![0; 48 * bytes],
        };
        folder.arrays.insert(name.into(), quantized);
        folder.write();
        let error = folder.open().expect_err("quantized").to_string();
        for part in ["model.safetensors", name, dtype, "dequantize()", "bfloat16"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn eight_bits_are_rejected_though_nothing_declares_them() {
    for dtype in ["F8_E4M3", "F8_E5M2", "F8_E8M0"] {
        let mut folder = llama();
        let name = "model.layers.0.mlp.up_proj.weight";
        let quantized = Array {
            dtype: dtype.into(),
            shape: vec![6, 8],
            bytes: vec![0; 48],
        };
        folder.arrays.insert(name.into(), quantized);
        folder.write();
        let error = folder.expand(&Expansion::by("inner", 2.0));
        let error = error.expect_err("quantized").to_string();
        for part in [name, dtype, "dequantize()"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!folder.out().exists());
    }
}

#[test]
fn integers_and_buffers_are_carried_over() {
    let mut folder = llama();
    let integers = Array {
        dtype: "I64".into(),
        shape: vec![1, 5],
        bytes: (0..40).collect(),
    };
    let scalar = Array {
        dtype: "I64".into(),
        shape: vec![],
        bytes: vec![7; 8],
    };
    folder
        .arrays
        .insert("model.position_ids".into(), integers.clone());
    folder.arrays.insert("model.steps".into(), scalar.clone());
    for layer in 0..2 {
        let frequencies = Array::f32(&[2], &[layer as f32, 0.5]);
        let name = format!("model.layers.{layer}.self_attn.rotary_emb.inv_freq");
        folder.arrays.insert(name, frequencies);
    }
    folder.write();
    let (_, found) = folder.expanded(&Expansion::by("inner", 2.0).and_by("layers", 2.0));
    assert!(found["model.position_ids"] == integers && found["model.steps"] == scalar);
    for layer in 0..4 {
        let name = format!("model.layers.{layer}.self_attn.rotary_emb.inv_freq");
        assert_eq!(found[&name].values(), [(layer % 2) as f32, 0.5], "{name}");
    }
}

#[test]
fn every_type_of_floats_keeps_its_type() {
    let mut folder = llama();
    let name = |layer: usize| format!("model.layers.{layer}.mlp.down_proj.weight");
    // 1.0 in each, so that half of it is known.
    for (layer, dtype, one) in [
        (0, "F64", 1.0_f64.to_le_bytes().to_vec()),
        (1, "F16", vec![0x00, 0x3C]),
    ] {
        let array = Array {
            dtype: dtype.into(),
            shape: vec![8, 6],
            bytes: one.repeat(48),
        };
        folder.arrays.insert(name(layer), array);
    }
    folder.write();
    let (_, found) = folder.expanded(&Expansion::by("inner", 2.0));
    assert_eq!(found[&name(0)].dtype, "F64");
    assert_eq!(found[&name(0)].bytes, 0.5_f64.to_le_bytes().repeat(96));
    assert_eq!(found[&name(1)].dtype, "F16");
    assert_eq!(found[&name(1)].bytes, [0x00, 0x38].repeat(96));
    assert_eq!(found["model.norm.weight"].dtype, "F32");
}

#[test]
fn what_a_family_cannot_do_is_said_before_anything_is_written() {
    let rejected = |folder: &crate::common::Dir, expansion: Expansion| {
        let error = folder.expand(&expansion).expect_err("rejected").to_string();
        assert!(!folder.out().exists());
        error
    };
    let folder = llama();
    let error = rejected(&folder, Expansion::by("head_dim", 2.0));
    assert!(
        error.contains("axis `head_dim` cannot grow: rotary"),
        "{error}"
    );
    let error = rejected(&folder, Expansion::by("hiden", 2.0));
    assert!(error.contains("unknown axis `hiden`"), "{error}");
    let error = rejected(&folder, Expansion::to("inner", 5));
    assert!(error.contains("cannot shrink"), "{error}");

    let mut folder = llama();
    folder.config["intermediate_size"] = json!(10);
    folder.write();
    let error = rejected(&folder, Expansion::by("inner", 2.0));
    assert!(error.contains("config.json: intermediate_size"), "{error}");
    folder.config["intermediate_size"] = json!("6");
    folder.write();
    let error = rejected(&folder, Expansion::by("inner", 2.0));
    assert!(
        error.contains("`intermediate_size` is \"6\", expected a size"),
        "{error}"
    );

    folder.config["intermediate_size"] = json!(6);
    folder.config["num_hidden_layers"] = json!(3);
    folder.write();
    let error = rejected(&folder, Expansion::by("inner", 2.0));
    assert!(error.contains("`model.layers.2` is missing"), "{error}");
}

#[test]
fn an_architecture_that_nobody_knows_is_named() {
    let mut folder = llama();
    folder.config["model_type"] = json!("lama");
    folder.write();
    let error = folder.open().expect_err("unknown").to_string();
    assert!(
        error.contains("no family knows `lama`, did you mean `llama`?"),
        "{error}"
    );
    folder.config["model_type"] = Value::Null;
    folder.write();
    let error = folder.open().expect_err("unknown").to_string();
    assert!(error.contains("`model_type` is missing"), "{error}");
}

#[test]
fn shards_have_the_size_asked_for_and_one_index() {
    let folder = llama();
    let expansion = Expansion::by("inner", 2.0);
    let written = folder.expand_in_shards(&expansion, 1000).expect("expanded");
    assert!(written.files.len() > 3, "{:?}", written.files);
    let count = written.files.len();
    assert_eq!(
        written.files[0],
        format!("model-00001-of-{count:05}.safetensors")
    );
    let index = std::fs::read(folder.out().join("model.safetensors.index.json")).expect("an index");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    assert_eq!(index["metadata"]["total_size"], json!(written.bytes));
    let map = index["weight_map"].as_object().expect("a map");
    assert_eq!(map.len(), folder.arrays.len());
    let whole = {
        let shards = crate::common::read(&folder.out());
        let (_, single) = folder.expanded(&expansion);
        assert!(shards == single);
        single
    };
    assert_eq!(whole.len(), folder.arrays.len());
}
