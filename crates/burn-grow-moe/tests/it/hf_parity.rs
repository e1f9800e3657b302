//! Random models made by `transformers` during the test: both compute the same, and `transformers`
//! computes the same with the models that are exported, grown.
//!
//! `BURN_GROW_PYTHON` is an interpreter with the packages of `hf/requirements.txt`; without it the
//! test does nothing. `BURN_GROW_PARITY_TABLE` is a file for the tables.
#![cfg(feature = "hf")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::devices;
use crate::hf::{Case, EXPECTED, cases, expressible, grown};
use burn::tensor::Device;
use burn_grow_moe::HfExport;
use serde::Deserialize;
use serde_json::json;

/// Relative to the largest number of a tensor.
const TOLERANCE: f64 = 1e-4;

/// A model that was exported and is loaded by `transformers`.
struct Exported {
    case: String,
    expansion: &'static str,
    folder: PathBuf,
    expected: PathBuf,
    hidden: usize,
    inner: usize,
    tied: bool,
}

/// The answer of `check.py` for one of them.
#[derive(Deserialize)]
struct Checked {
    difference: f64,
    wrong: Vec<String>,
    hidden: usize,
    inner: usize,
    tied: bool,
}

#[test]
fn random_models_equal_transformers_before_and_after_growing() {
    let Some(python) = std::env::var("BURN_GROW_PYTHON")
        .ok()
        .filter(|it| !it.is_empty())
    else {
        println!("skipped: BURN_GROW_PYTHON names no interpreter");
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let made = root.path().join("made");
    std::fs::create_dir(&made).expect("made");
    let made_text = made.to_str().expect("text");
    run(&python, "make.py", &[made_text, "large"]);
    let cases = cases(&made);
    assert_eq!(cases.len(), 8, "two families, tied or not, grouped or not");

    let mut errors: BTreeMap<&str, Vec<(String, f64)>> = BTreeMap::new();
    for case in &cases {
        errors.insert(&case.name, compared(case));
    }
    let exported: Vec<Exported> = cases
        .iter()
        .flat_map(|case| exports(case, root.path()))
        .collect();
    let checked = check(&python, root.path(), &exported);

    let versions = std::fs::read_to_string(made.join("versions.json")).expect("written");
    let table = tables(&versions, &errors, &exported, &checked);
    println!("{table}");
    if let Some(file) = std::env::var_os("BURN_GROW_PARITY_TABLE") {
        std::fs::write(file, table).expect("written");
    }
}

/// The largest error of every tensor, with the kernels of Flex and with the tensor API.
fn compared(case: &Case) -> Vec<(String, f64)> {
    let [first, second] = devices().map(|device| case.compare(&device));
    let rows = first.into_iter().zip(second);
    rows.map(|(first, second)| {
        assert_eq!(first.tensor, second.tensor);
        let error = first.error.max(second.error);
        assert!(
            error <= TOLERANCE,
            "{}, {}: {error}",
            case.name,
            first.tensor
        );
        (first.tensor, error)
    })
    .collect()
}

/// Writes the model of a case, as it is in shards, and grown.
fn exports(case: &Case, root: &Path) -> Vec<Exported> {
    let model = case.model(&Device::flex());
    let export = HfExport::like(case.folder.join("config.json")).expect("read");
    let mut models = vec![("none", model.clone())];
    models.extend(
        expressible(&model)
            .into_iter()
            .map(|(name, expansion)| (name, grown(&model, &expansion))),
    );
    let write = |(index, (expansion, model)): (usize, (&'static str, _))| {
        let model: burn_grow_moe::MoeTransformer = model;
        let folder = root.join(format!("{}-{index}", case.name));
        let mut export = export.clone();
        if index == 0 {
            export.max_shard_bytes = 20_000;
        }
        model.to_hf(&folder, &export).expect("exported");
        let config = model.config();
        Exported {
            case: case.name.clone(),
            expansion,
            folder,
            expected: case.folder.join(EXPECTED),
            hidden: config.hidden,
            inner: config.inner,
            tied: config.tied_embeddings && config.logit_multiplier == 1.0,
        }
    };
    models.into_iter().enumerate().map(write).collect()
}

/// Loads every export into `transformers`.
fn check(python: &str, root: &Path, exported: &[Exported]) -> Vec<Checked> {
    let requests: Vec<_> = exported
        .iter()
        .map(|model| json!({ "folder": model.folder, "expected": model.expected }))
        .collect();
    let file = root.join("requests.json");
    std::fs::write(&file, json!(requests).to_string()).expect("written");
    let answers = run(python, "check.py", &[file.to_str().expect("text")]);
    let checked: Vec<Checked> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("an answer"))
        .collect();
    assert_eq!(checked.len(), exported.len());
    for (model, checked) in exported.iter().zip(&checked) {
        let name = format!("{}, {}", model.case, model.expansion);
        assert!(checked.wrong.is_empty(), "{name}: {:?}", checked.wrong);
        assert!(
            checked.difference <= TOLERANCE,
            "{name}: {}",
            checked.difference
        );
        assert_eq!(
            (checked.hidden, checked.inner, checked.tied),
            (model.hidden, model.inner, model.tied),
            "{name}"
        );
    }
    checked
}

/// Runs a script beside this test and returns what it prints.
fn run(python: &str, script: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf");
    let output = Command::new(python)
        .arg(folder.join(script))
        .args(arguments)
        .env("HF_HUB_OFFLINE", "1")
        .env("TRANSFORMERS_VERBOSITY", "error")
        .output()
        .expect("an interpreter");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn tables(
    versions: &str,
    errors: &BTreeMap<&str, Vec<(String, f64)>>,
    exported: &[Exported],
    checked: &[Checked],
) -> String {
    let versions: serde_json::Value = serde_json::from_str(versions).expect("JSON");
    let version = |name: &str| versions[name].as_str().expect("a version").to_owned();
    let mut text = format!(
        "# Parity with Hugging Face\n\n\
         Written by `cargo xtask parity`: torch {}, transformers {}, `float32`, on the CPU.\n\
         Random models of three layers, hidden 32, inner 24, four heads, eight experts of which two \
         are\nactive. Each number is the largest difference of any element, relative to the \
         largest element of\nthe tensor: the larger one of Flex with its kernels and without. At \
         most {TOLERANCE:e} is accepted. `mha`:\nas many key heads as query heads; `gqa`: half as \
         many. In OLMoE's `gqa` models queries, keys and\nvalues are clamped.\n",
        version("torch"),
        version("transformers"),
    );
    for (family, prefix) in [("OLMoE", "olmoe-"), ("Qwen3-MoE", "qwen3_moe-")] {
        let columns: Vec<_> = errors
            .iter()
            .filter_map(|(name, rows)| Some((name.strip_prefix(prefix)?, rows)))
            .collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let rule = "---|".repeat(columns.len() + 1);
        write!(
            text,
            "\n## {family}\n\n| tensor | {} |\n|{rule}\n",
            names.join(" | ")
        )
        .expect("a string");
        // An untied model has the most tensors.
        let all = columns
            .iter()
            .map(|(_, rows)| rows)
            .max_by_key(|rows| rows.len());
        for (tensor, _) in all.expect("a case").iter() {
            let cells: Vec<String> = columns
                .iter()
                .map(|(_, rows)| {
                    let row = rows.iter().find(|(name, _)| name == tensor);
                    row.map_or(String::new(), |(_, error)| short(*error))
                })
                .collect();
            writeln!(text, "| {tensor} | {} |", cells.join(" | ")).expect("a string");
        }
    }
    text.push_str(
        "\n## Exported, loaded by transformers\n\n\
         Every named axis doubles by copies; a model that does not grow is exported in shards. The \
         logits are\ncompared with those of the model that was imported. A tied model is untied when \
         its logits have a\nmultiplier, which growing `hidden` gives them. OLMoE's heads have \
         `hidden / n_heads` coordinates, so\nthere `hidden` grows along with heads.\n\n\
         | model | grown | hidden | inner | tied | logits |\n|---|---|---|---|---|---|\n",
    );
    for (model, checked) in exported.iter().zip(checked) {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            model.case,
            model.expansion,
            checked.hidden,
            checked.inner,
            checked.tied,
            short(checked.difference)
        )
        .expect("a string");
    }
    text
}

fn short(error: f64) -> String {
    match error {
        0.0 => "0".into(),
        error => format!("{error:.1e}"),
    }
}
