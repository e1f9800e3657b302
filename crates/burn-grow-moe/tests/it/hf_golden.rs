//! Models that `transformers` saved, with its outputs: read, run, written and grown. These cases
//! are committed; `hf_parity.rs` makes larger ones if there is Python.
#![cfg(feature = "hf")]

use std::path::Path;

use crate::common::{devices, weights};
use crate::hf::{Case, EXPECTED, expressible, golden, grown, tensors};
use burn::tensor::Device;
use burn_grow_core::Expansion;
use burn_grow_core::plan::CopyMap;
use burn_grow_moe::{HfError, HfExport, HfFamily, InitStd, MoeConfig, MoeTransformer, QkNorm};
use tempfile::tempdir;

/// Relative to the largest number of a tensor.
const TOLERANCE: f64 = 1e-4;

#[test]
fn activations_losses_and_gradients_equal_those_of_transformers() {
    for case in golden() {
        for device in devices() {
            for row in case.compare(&device) {
                let (case, tensor, error) = (&case.name, row.tensor, row.error);
                assert!(error <= TOLERANCE, "{case}, {tensor}: {error}");
            }
        }
    }
}

#[test]
fn a_configuration_is_read_field_by_field() {
    let read = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-hf");
        MoeConfig::from_hf(folder.join(name).join("config.json")).expect("read")
    };
    let olmoe = MoeConfig {
        vocab_size: 13,
        n_layers: 2,
        hidden: 8,
        inner: 6,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 2,
        n_experts: 3,
        top_k: 2,
        norm_topk_prob: false,
        rope_theta: 10_000.0,
        qk_norm: QkNorm::FullWidth,
        clip_qkv: Some(1.2),
        norm_eps: 1e-5,
        tied_embeddings: false,
        load_balancing: 0.05,
        router_z_loss: 0.0,
        init_std: InitStd::Constant(0.3),
        logit_multiplier: 1.0,
    };
    assert_eq!(read("olmoe-untied-gqa"), olmoe);
    let qwen3 = MoeConfig {
        n_kv_heads: 4,
        head_dim: 6,
        norm_topk_prob: true,
        rope_theta: 1_000_000.0,
        qk_norm: QkNorm::PerHead,
        clip_qkv: None,
        norm_eps: 1e-6,
        tied_embeddings: true,
        ..olmoe
    };
    assert_eq!(read("qwen3_moe-tied-mha"), qwen3);
}

fn exported(model: &MoeTransformer, case: &Case, folder: &Path, max_shard_bytes: u64) {
    let like = HfExport::like(case.folder.join("config.json")).expect("read");
    let export = HfExport {
        max_shard_bytes,
        ..like
    };
    model.to_hf(folder, &export).expect("exported");
}

/// All tensors of the safetensors files of a folder.
fn files(
    folder: &Path,
) -> (
    usize,
    std::collections::BTreeMap<String, crate::hf::Numbers>,
) {
    let paths = std::fs::read_dir(folder).expect("a folder");
    let paths = paths.map(|entry| entry.expect("readable").path());
    let of_the_model = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|is| is == "safetensors") && !path.ends_with(EXPECTED)
    };
    let paths: Vec<_> = paths.filter(of_the_model).collect();
    let all = paths.iter().flat_map(|path| tensors(path)).collect();
    (paths.len(), all)
}

#[test]
fn an_export_holds_what_transformers_saved() {
    let flex = Device::flex();
    for (case, device) in golden()
        .iter()
        .flat_map(|case| [(case, flex.clone()), (case, flex.clone().autodiff())])
    {
        let model = case.model(&device);
        for (max_shard_bytes, sharded) in [(u64::MAX, false), (2_000, true)] {
            let root = tempdir().expect("a folder");
            let folder = root.path().join("model");
            exported(&model, case, &folder, max_shard_bytes);
            let (count, written) = files(&folder);
            assert_eq!(count > 1, sharded, "{}", case.name);
            assert!(written == files(&case.folder).1, "{}", case.name);

            let read = MoeTransformer::from_hf(&folder, &device).expect("read");
            let config = model.config();
            assert_eq!(read.config(), config);
            assert!(weights(&read) == weights(&model), "{}", case.name);
            assert_eq!(HfFamily::of(config.qk_norm).qk_norm(), config.qk_norm);
        }
    }
}

#[test]
fn an_export_keeps_what_the_model_does_not_determine() {
    let case = &golden()[0];
    let device = Device::flex();
    let wide = grown(&case.model(&device), &Expansion::by("inner", 2.0));
    let root = tempdir().expect("a folder");
    let folder = root.path().join("model");
    exported(&wide, case, &folder, u64::MAX);
    let text = std::fs::read_to_string(folder.join("config.json")).expect("written");
    let config: serde_json::Value = serde_json::from_str(&text).expect("an object");
    assert_eq!(config["max_position_embeddings"], 64);
    assert_eq!(config["intermediate_size"], 12);
    let export = HfExport::default();
    let folder = root.path().join("bare");
    wide.to_hf(&folder, &export).expect("exported");
    assert_eq!(
        MoeConfig::from_hf(folder.join("config.json")).expect("read"),
        wide.config()
    );
}

/// A tied model whose logits have a multiplier comes back untied, with the same logits.
#[test]
fn a_grown_model_is_exported_with_the_same_logits() {
    let device = Device::flex();
    for case in golden() {
        let model = case.model(&device);
        for (name, expansion) in expressible(&model) {
            for map in [CopyMap::Block, CopyMap::Interleaved] {
                let wide = grown(&model, &expansion.clone().with_map(map));
                let root = tempdir().expect("a folder");
                let folder = root.path().join("model");
                exported(&wide, &case, &folder, u64::MAX);
                let read = MoeTransformer::from_hf(&folder, &device).expect("read");
                let error = case.logits_error(&read, &device);
                assert!(error <= TOLERANCE, "{}, {name}: {error}", case.name);
                let tied = model.config().tied_embeddings && name == "inner";
                let expected = MoeConfig {
                    tied_embeddings: tied,
                    logit_multiplier: 1.0,
                    ..wide.config()
                };
                assert_eq!(read.config(), expected, "{}, {name}", case.name);
            }
        }
    }
}

#[test]
fn a_model_the_family_cannot_express_is_rejected_and_nothing_is_written() {
    let device = Device::flex();
    let root = tempdir().expect("a folder");
    let folder = root.path().join("model");
    let rejected = |model: &MoeTransformer| {
        let error = model
            .to_hf(&folder, &HfExport::default())
            .expect_err("rejected");
        assert_eq!(std::fs::read_dir(root.path()).expect("read").count(), 0);
        match error {
            HfError::Inexpressible { family, reason } => (family, reason),
            error => panic!("{error}"),
        }
    };
    for case in golden() {
        let model = case.model(&device);
        let config = model.config();
        if config.qk_norm == QkNorm::FullWidth {
            let (family, reason) = rejected(&grown(&model, &Expansion::by("hidden", 2.0)));
            assert_eq!(family, HfFamily::Olmoe);
            assert!(
                reason.contains("`hidden` (16) has to be `n_heads * head_dim` (4 * 2)"),
                "{reason}"
            );
        } else {
            let clamped = MoeConfig {
                clip_qkv: Some(8.0),
                ..config
            };
            let (family, reason) = rejected(&clamped.init(&device));
            assert_eq!(family, HfFamily::Qwen3Moe);
            assert!(reason.contains("`clip_qkv` is 8"), "{reason}");
        }
    }
}

#[test]
fn an_export_does_not_write_over_anything() {
    let device = Device::flex();
    let model = golden()[0].model(&device);
    let root = tempdir().expect("a folder");
    let folder = root.path().join("model");
    std::fs::create_dir(&folder).expect("made"); // an empty one is fine
    model
        .to_hf(&folder, &HfExport::default())
        .expect("exported");
    let in_the_way = |folder: &Path| {
        let error = model.to_hf(folder, &HfExport::default());
        match error.expect_err("in the way") {
            HfError::Exists { path } => path,
            error => panic!("{error}"),
        }
    };
    assert_eq!(in_the_way(&folder), folder);
    // Files that a killed export left are not taken for a part of this one, and stay.
    let left = root.path().join("other.partial-killed");
    std::fs::create_dir(&left).expect("made");
    std::fs::write(left.join("model.safetensors"), "half of it").expect("written");
    let other = root.path().join("other");
    model.to_hf(&other, &HfExport::default()).expect("exported");
    assert!(weights(&MoeTransformer::from_hf(&other, &device).expect("read")) == weights(&model));
    assert_eq!(in_the_way(&left), left);
    assert_eq!(std::fs::read_dir(root.path()).expect("a folder").count(), 3);
}
