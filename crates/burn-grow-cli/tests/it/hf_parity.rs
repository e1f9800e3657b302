//! Random models of every family, widened by the program: `transformers` computes the same with
//! them.
//!
//! `BURN_GROW_PYTHON` is an interpreter with torch and transformers; without it the test does
//! nothing. `cargo xtask parity` sets it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// Relative to the largest output.
const TOLERANCE: f64 = 1e-5;
/// Where a constant is made up for by a factor that bf16 rounds.
const ROUNDED: f64 = 3e-2;
/// Of the RMS of the output of a layer.
const RMS: f64 = 0.1;

/// What `families.py` says about one expansion of one model.
#[derive(Deserialize)]
struct Answer {
    family: String,
    model: usize,
    dtype: String,
    grown: String,
    kind: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    wrong: Vec<String>,
    #[serde(default)]
    finite: bool,
    #[serde(default)]
    difference: f64,
    #[serde(default)]
    rms: Vec<f64>,
}

#[test]
fn hf_parity_of_every_family_before_and_after_growing() {
    let python = std::env::var("BURN_GROW_PYTHON").ok();
    let Some(python) = python.filter(|it| !it.is_empty()) else {
        println!("skipped: BURN_GROW_PYTHON names no interpreter");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hf/families.py");
    let output = Command::new(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_burn-grow"))
        .env("HF_HUB_OFFLINE", "1")
        .env("TRANSFORMERS_VERBOSITY", "error")
        .output()
        .expect("an interpreter");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answers = String::from_utf8(output.stdout).expect("text");
    let mut worst: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut faults = Vec::new();
    for line in answers.lines() {
        let answer: Answer = serde_json::from_str(line).expect("an answer");
        let place = format!(
            "{} {} as {}, {}",
            answer.family, answer.model, answer.dtype, answer.grown
        );
        if let Some(error) = &answer.error {
            faults.push(format!("{place}: {error}"));
            continue;
        }
        if !answer.wrong.is_empty() || !answer.finite {
            faults.push(format!("{place}: {:?}", answer.wrong));
        }
        let rounded = answer.dtype != "float32" && answer.family.starts_with("gemma");
        let (found, limit) = match answer.kind.as_str() {
            "2x" => (answer.difference, if rounded { ROUNDED } else { TOLERANCE }),
            _ => {
                let off = answer.rms.iter().map(|ratio| (ratio - 1.0).abs());
                (off.fold(0.0, f64::max), RMS)
            }
        };
        if found.is_nan() || found > limit {
            faults.push(format!("{place}: {found:e}, at most {limit:e}"));
        }
        let kind = format!("{} {}", answer.kind, answer.dtype);
        let worst = worst.entry((answer.family, kind)).or_default();
        *worst = worst.max(found);
    }
    for ((family, kind), worst) in &worst {
        println!("{family} {kind}: {worst:.1e}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(worst.len() > 40, "every family was compared");
}
