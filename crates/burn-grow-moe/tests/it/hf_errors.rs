//! Damaged checkpoints of `transformers`: the error names the tensor or the key at fault.
#![cfg(feature = "hf")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{largest_difference, weights};
use crate::hf::{Case, Numbers, golden, tensors};
use burn::tensor::{DType, Device, FloatDType, TensorData};
use burn_grow_moe::{HfError, HfExport, MoeTransformer};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

const FILE: &str = "model.safetensors";
const GATE: &str = "model.layers.1.mlp.experts.2.gate_proj.weight";

fn case(name: &str) -> Case {
    let found = golden().into_iter().find(|case| case.name == name);
    found.expect("a case")
}

/// A copy of a checkpoint to be damaged.
struct Copy(TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let copy = tempdir().expect("a folder");
        for entry in std::fs::read_dir(case(name).folder).expect("read") {
            let path = entry.expect("readable").path();
            let to = copy.path().join(path.file_name().expect("named"));
            std::fs::copy(path, to).expect("copied");
        }
        Self(copy)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn read(&self) -> Result<MoeTransformer, HfError> {
        MoeTransformer::from_hf(self.0.path(), &Device::flex())
    }

    fn rejected(&self) -> HfError {
        match self.read() {
            Ok(_) => panic!("a damaged checkpoint was read"),
            Err(error) => error,
        }
    }

    /// Changes a JSON file.
    fn json(&self, file: &str, change: impl Fn(&mut Value)) {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).expect("read");
        let mut value = serde_json::from_str(&text).expect("JSON");
        change(&mut value);
        std::fs::write(path, value.to_string()).expect("written");
    }

    /// Changes the tensors, which are written with `dtype`.
    fn tensors(&self, dtype: DType, change: impl Fn(&mut BTreeMap<String, Numbers>)) {
        let path = self.path(FILE);
        let mut all = tensors(&path);
        change(&mut all);
        write(&path, all, |_| dtype);
    }
}

fn write(path: &Path, all: BTreeMap<String, Numbers>, dtype: impl Fn(&str) -> DType) {
    let data = all.into_iter().map(|(name, (shape, numbers))| {
        let dtype = dtype(&name);
        let data = TensorData::new(numbers, shape.clone()).convert_dtype(dtype);
        (name, (shape, dtype, data.into_bytes().to_vec()))
    });
    let data: BTreeMap<_, _> = data.collect();
    let views = data.iter().map(|(name, (shape, dtype, bytes))| {
        let dtype = match dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I32 => Dtype::I32,
            other => panic!("{other:?}"),
        };
        let view = TensorView::new(dtype, shape.clone(), bytes).expect("a view");
        (name.clone(), view)
    });
    serialize_to_file(views, None, path).expect("written");
}

#[test]
fn errors_name_the_tensor() {
    let copy = || Copy::of("qwen3_moe-untied-gqa");

    let missing = copy();
    missing.tensors(DType::F32, |all| {
        all.remove(GATE);
    });
    let error = missing.rejected();
    assert!(
        matches!(&error, HfError::Missing { tensor, .. } if tensor == GATE),
        "{error}"
    );

    let extra = copy();
    extra.tensors(DType::F32, |all| {
        all.insert("model.layers.2.spare".into(), (vec![2], vec![0.0; 2]));
    });
    let error = extra.rejected();
    assert!(
        matches!(&error, HfError::Extra { tensor, .. } if tensor == "model.layers.2.spare"),
        "{error}"
    );

    let wide = copy();
    wide.tensors(DType::F32, |all| {
        all.insert(GATE.into(), (vec![7, 8], vec![0.0; 56]));
    });
    let error = wide.rejected();
    assert_eq!(
        error.to_string(),
        format!("tensor `{GATE}` is [7, 8], expected [6, 8]")
    );

    // The right number of them, the other way round.
    let turned = copy();
    turned.tensors(DType::F32, |all| {
        all.get_mut(GATE).expect("there").0.reverse();
    });
    let error = turned.rejected();
    assert!(
        matches!(&error, HfError::Shape { tensor, .. } if tensor == GATE),
        "{error}"
    );

    let whole = copy();
    let path = whole.path(FILE);
    let dtype = |name: &str| {
        if name == GATE { DType::I32 } else { DType::F32 }
    };
    write(&path, tensors(&path), dtype);
    let error = whole.rejected();
    assert_eq!(
        error.to_string(),
        format!("tensor `{GATE}` is I32, expected F64, F32, F16 or BF16")
    );
}

#[test]
fn a_tied_model_whose_files_hold_its_output_matrix_is_read_as_the_files_say() {
    // Twice the same.
    let copy = Copy::of("qwen3_moe-tied-gqa");
    let expected = copy.read().expect("read");
    copy.tensors(DType::F32, |all| {
        let embedding = all["model.embed_tokens.weight"].clone();
        all.insert("lm_head.weight".into(), embedding);
    });
    let read = copy.read().expect("read");
    assert_eq!(read.config(), expected.config());
    assert!(weights(&read) == weights(&expected));

    // One that is another matrix, under a configuration that says otherwise.
    let copy = Copy::of("qwen3_moe-untied-gqa");
    let expected = copy.read().expect("read");
    copy.json("config.json", |config| {
        config["tie_word_embeddings"] = json!(true)
    });
    let read = copy.read().expect("read");
    assert!(!read.config().tied_embeddings);
    assert_eq!(read.config(), expected.config());
    assert!(weights(&read) == weights(&expected));

    // One of another shape.
    copy.tensors(DType::F32, |all| {
        all.insert("lm_head.weight".into(), (vec![2, 2], vec![0.0; 4]));
    });
    let error = copy.rejected();
    assert!(
        matches!(&error, HfError::Shape { tensor, .. } if tensor == "lm_head.weight"),
        "{error}"
    );
}

#[test]
fn errors_name_the_tensor_that_is_cut_off() {
    let copy = Copy::of("olmoe-untied-mha");
    let whole = std::fs::read(copy.path(FILE)).expect("read");
    let cut = |length: usize| {
        std::fs::write(copy.path(FILE), &whole[..length]).expect("written");
        copy.rejected()
    };
    // By where they lie, which is by name: the last one is missing a byte, then the first.
    let error = cut(whole.len() - 1);
    let HfError::Truncated {
        part,
        expected,
        found,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(part, "tensor `model.norm.weight`");
    assert_eq!(
        (*expected, *found),
        (whole.len() as u64, whole.len() as u64 - 1)
    );
    let header = u64::from_le_bytes(whole[..8].try_into().expect("eight bytes")) as usize;
    let error = cut(8 + header + 1);
    assert!(
        error.to_string().contains("tensor `lm_head.weight`"),
        "{error}"
    );
    for length in [0, 5, 8, 100] {
        let error = cut(length);
        assert!(
            matches!(&error, HfError::Truncated { part, .. } if part == "its header"),
            "{length}: {error}"
        );
    }

    let malformed = |bytes: Vec<u8>| {
        std::fs::write(copy.path(FILE), bytes).expect("written");
        let error = copy.rejected();
        assert!(matches!(error, HfError::Malformed { .. }), "{error}");
    };
    malformed([&whole[..], &[0]].concat()); // one byte too many
    malformed([&whole[..8], &b"?".repeat(whole.len() - 8)].concat());
    malformed([&u64::MAX.to_le_bytes(), &whole[8..]].concat());

    std::fs::remove_file(copy.path(FILE)).expect("removed");
    let error = copy.rejected();
    assert!(
        matches!(&error, HfError::NoWeights { folder, .. } if folder == copy.0.path()),
        "{error}"
    );
}

#[test]
fn an_index_and_its_shards_have_to_agree() {
    let index = "model.safetensors.index.json";
    let shard = "model-00002-of-00002.safetensors";
    let copy = || Copy::of("qwen3_moe-tied-mha");
    assert!(copy().read().is_ok());

    let lost = copy();
    std::fs::remove_file(lost.path(shard)).expect("removed");
    let error = lost.rejected();
    assert!(
        matches!(
            &error,
            HfError::MissingShard { index: by, path } if by.ends_with(index) && path.ends_with(shard)
        ),
        "{error}"
    );

    let moved = copy();
    moved.json(index, |index| {
        index["weight_map"]["model.norm.weight"] = json!("model-00001-of-00002.safetensors")
    });
    let error = moved.rejected();
    assert!(
        matches!(&error, HfError::Missing { tensor, .. } if tensor == "model.norm.weight"),
        "{error}"
    );

    let outside = copy();
    outside.json(index, |index| {
        index["weight_map"]["model.norm.weight"] = json!("../model.safetensors")
    });
    let error = outside.rejected();
    assert!(matches!(error, HfError::Malformed { .. }), "{error}");

    // Only the map counts.
    let bare = copy();
    bare.json(index, |index| {
        let Value::Object(index) = index else {
            panic!("an object")
        };
        index.remove("metadata");
    });
    assert!(weights(&bare.read().expect("read")) == weights(&copy().read().expect("read")));

    let twice = copy();
    let first = "model-00001-of-00002.safetensors";
    let mut all = tensors(&twice.path(shard));
    all.insert(
        "model.embed_tokens.weight".into(),
        (vec![13, 8], vec![0.5; 104]),
    );
    write(&twice.path(shard), all, |_| DType::F32);
    let error = twice.rejected();
    let HfError::Duplicate {
        tensor,
        first: one,
        second,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(tensor, "model.embed_tokens.weight");
    assert!(one.ends_with(first) && second.ends_with(shard), "{error}");

    let broken = copy();
    std::fs::write(broken.path(index), "{").expect("written");
    let error = broken.rejected();
    assert!(matches!(error, HfError::Json { .. }), "{error}");
}

/// A model that was saved over another one: which of the two is meant cannot be told.
#[test]
fn a_single_file_beside_an_index_of_others_is_rejected_by_both_names() {
    let index = "model.safetensors.index.json";
    let copy = Copy::of("qwen3_moe-tied-mha");
    let whole: BTreeMap<String, Numbers> = ["model-00001-of-00002", "model-00002-of-00002"]
        .into_iter()
        .flat_map(|shard| tensors(&copy.path(&format!("{shard}.safetensors"))))
        .collect();
    let expected = weights(&copy.read().expect("read"));
    write(&copy.path(FILE), whole.clone(), |_| DType::F32);
    let error = copy.rejected();
    let HfError::Ambiguous {
        single,
        index: other,
    } = &error
    else {
        panic!("{error}");
    };
    assert!(single.ends_with(FILE) && other.ends_with(index), "{error}");
    let message = error.to_string();
    assert!(
        message.contains(FILE) && message.contains(index),
        "{message}"
    );

    // An index of the single file says the same as the file.
    copy.json(index, |index| {
        for name in whole.keys() {
            index["weight_map"][name] = json!(FILE);
        }
    });
    assert!(weights(&copy.read().expect("read")) == expected);
    std::fs::remove_file(copy.path(index)).expect("removed");
    assert!(weights(&copy.read().expect("read")) == expected);
}

#[test]
fn weights_of_another_format_are_named() {
    for (file, advice) in [
        ("pytorch_model.bin", "save_pretrained"),
        ("model.gguf", "save_pretrained"),
        ("adapter_model.safetensors", "merge_and_unload"),
    ] {
        let copy = Copy::of("olmoe-untied-mha");
        for entry in std::fs::read_dir(copy.0.path()).expect("read") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|it| it == "safetensors") {
                std::fs::remove_file(path).expect("removed");
            }
        }
        std::fs::write(copy.path(file), "").expect("written");
        let error = copy.rejected();
        let HfError::NoWeights { found, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(found, &[file]);
        assert!(error.to_string().contains(advice), "{error}");
    }
    // Nothing at all, and no folder.
    let empty = Copy(tempdir().expect("a folder"));
    let error = empty.rejected();
    assert!(
        matches!(&error, HfError::Io { path, .. } if path.ends_with("config.json")),
        "{error}"
    );
}

#[test]
fn an_export_says_nothing_of_how_the_old_model_was_stored() {
    let copy = Copy::of("olmoe-tied-gqa");
    copy.json("config.json", |config| {
        config["quantization_config"] = json!({ "quant_method": "gptq", "bits": 4 });
        config["compression_config"] = json!({ "format": "dense" });
        config["max_position_embeddings"] = json!(77);
    });
    let root = tempdir().expect("a folder");
    let folder = root.path().join("model");
    let like = HfExport::like(copy.path("config.json")).expect("read");
    copy.read()
        .expect("read")
        .to_hf(&folder, &like)
        .expect("exported");
    let config = json_of(&folder.join("config.json"));
    assert_eq!(config["max_position_embeddings"], json!(77));
    assert_eq!(config.get("quantization_config"), None);
    assert_eq!(config.get("compression_config"), None);
}

fn json_of(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("read");
    serde_json::from_str(&text).expect("JSON")
}

/// The types of the tensors, as their file names them.
fn types(path: &Path) -> Vec<Dtype> {
    let bytes = std::fs::read(path).expect("read");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    let mut types: Vec<Dtype> = header.tensors().values().map(|info| info.dtype).collect();
    types.dedup();
    types
}

#[test]
fn a_model_is_written_in_the_type_it_was_read_in_unless_told_otherwise() {
    for (key, name) in [
        ("dtype", "bfloat16"),
        ("torch_dtype", "bfloat16"),
        ("torch_dtype", "torch.bfloat16"),
    ] {
        let copy = Copy::of("qwen3_moe-untied-gqa");
        copy.tensors(DType::BF16, |_| ());
        copy.json("config.json", |config| {
            let Value::Object(config) = config else {
                panic!("an object")
            };
            config.remove("dtype");
            config.insert(key.into(), json!(name));
        });
        let stored = tensors(&copy.path(FILE));
        let model = copy.read().expect("read");
        let like = || HfExport::like(copy.path("config.json")).expect("read");
        let root = tempdir().expect("a folder");
        for (folder, export, dtype, named) in [
            ("like", like(), Dtype::BF16, "bfloat16"),
            ("default", HfExport::default(), Dtype::F32, "float32"),
            (
                "told",
                HfExport {
                    dtype: Some(FloatDType::F16),
                    ..like()
                },
                Dtype::F16,
                "float16",
            ),
        ] {
            let folder = root.path().join(folder);
            model.to_hf(&folder, &export).expect("exported");
            assert_eq!(types(&folder.join(FILE)), [dtype]);
            let config = json_of(&folder.join("config.json"));
            assert_eq!(config["dtype"], json!(named));
            assert_eq!(config["torch_dtype"], json!(named));
            if dtype != Dtype::F16 {
                // Not a bit is lost on the way through single precision.
                assert!(tensors(&folder.join(FILE)) == stored);
            }
        }
    }
    let copy = Copy::of("qwen3_moe-untied-gqa");
    copy.json("config.json", |config| {
        config["dtype"] = json!("float8_e4m3fn")
    });
    let error = HfExport::like(copy.path("config.json")).expect_err("rejected");
    assert!(
        matches!(&error, HfError::Key { key, .. } if key == "dtype"),
        "{error}"
    );
}

#[test]
fn a_json_file_of_another_kind_is_called_what_it_is() {
    let copy = Copy::of("olmoe-tied-gqa");
    for (text, expected) in [
        (r#"{"peft_type": "LORA", "r": 8}"#, "an adapter"),
        (r#"{"weight_map": {}}"#, "the index of a sharded checkpoint"),
    ] {
        std::fs::write(copy.path("config.json"), text).expect("written");
        let error = copy.rejected();
        assert!(matches!(&error, HfError::Kind { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn errors_name_the_key() {
    let rejected = |name: &str, key: &str, value: Value| {
        let copy = Copy::of(name);
        copy.json("config.json", |config| config[key] = value.clone());
        copy.rejected()
    };
    let named = |name: &str, key: &str, value: Value| {
        let error = rejected(name, key, value);
        match &error {
            HfError::Key { key: found, .. } => assert!(found.starts_with(key), "{error}"),
            error => panic!("{key}: {error}"),
        }
    };
    for name in ["olmoe-tied-gqa", "qwen3_moe-tied-gqa"] {
        named(name, "model_type", json!("mixtral"));
        named(name, "hidden_size", json!("8"));
        named(name, "hidden_size", json!(null));
        named(name, "hidden_act", json!("gelu"));
        named(name, "attention_bias", json!(true));
        named(name, "attention_dropout", json!(0.1));
        named(
            name,
            "rope_scaling",
            json!({ "type": "linear", "factor": 2.0 }),
        );
        named(
            name,
            "rope_parameters",
            json!({ "rope_type": "yarn", "rope_theta": 1e4 }),
        );
        let error = rejected(name, "num_experts_per_tok", json!(9));
        assert!(matches!(error, HfError::Config(_)), "{error}");
    }
    named("olmoe-tied-gqa", "head_dim", json!(4));
    named("olmoe-tied-gqa", "clip_qkv", json!("8"));
    named("qwen3_moe-tied-gqa", "mlp_only_layers", json!([0]));
    named("qwen3_moe-tied-gqa", "decoder_sparse_step", json!(2));
    named("qwen3_moe-tied-gqa", "use_sliding_window", json!(true));
}

#[test]
fn files_of_other_versions_and_float_types_are_read() {
    // As version 4 of `transformers` wrote it.
    let copy = Copy::of("qwen3_moe-untied-gqa");
    let expected = copy.read().expect("read");
    copy.json("config.json", |config| {
        let Value::Object(config) = config else {
            panic!("an object")
        };
        config.remove("rope_parameters");
        config.insert("rope_theta".into(), json!(1_000_000.0));
        config.insert("rope_scaling".into(), Value::Null);
        let experts = config.remove("num_local_experts").expect("there");
        config.insert("num_experts".into(), experts);
    });
    copy.tensors(DType::F32, |all| {
        let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
        all.insert(name.into(), (vec![3], vec![1.0; 3]));
    });
    let read = copy.read().expect("read");
    assert_eq!(read.config(), expected.config());
    assert!(weights(&read) == weights(&expected));

    // As version 5 holds it in memory.
    copy.tensors(DType::F32, |all| {
        all.retain(|name, _| !name.ends_with("inv_freq"));
        for layer in 0..2 {
            let prefix = format!("model.layers.{layer}.mlp.experts");
            let mut take = |expert: usize, name: &str| {
                let name = format!("{prefix}.{expert}.{name}.weight");
                all.remove(&name).expect("there").1
            };
            let both: Vec<f64> = (0..3)
                .flat_map(|expert| [take(expert, "gate_proj"), take(expert, "up_proj")].concat())
                .collect();
            let down: Vec<f64> = (0..3)
                .flat_map(|expert| take(expert, "down_proj"))
                .collect();
            all.insert(format!("{prefix}.gate_up_proj"), (vec![3, 12, 8], both));
            all.insert(format!("{prefix}.down_proj"), (vec![3, 8, 6], down));
        }
    });
    let read = copy.read().expect("read");
    assert!(weights(&read) == weights(&expected));

    // In half the bits.
    for (dtype, tolerance) in [(DType::F16, 1e-3), (DType::BF16, 8e-3)] {
        copy.tensors(dtype, |_| ());
        let read = weights(&copy.read().expect("read"));
        for (path, expected) in weights(&expected) {
            let difference = largest_difference(&read[&path], &expected);
            assert!(difference <= tolerance, "{path}: {difference}");
        }
    }
}
