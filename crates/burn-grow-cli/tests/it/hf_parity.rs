//! Random models of every family, widened by the program or upcycled: `transformers` computes the
//! same with them.
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

/// What a script of `tests/hf` prints, if there is Python.
fn answers(script: &str) -> Option<String> {
    let python = std::env::var("BURN_GROW_PYTHON").ok();
    let Some(python) = python.filter(|it| !it.is_empty()) else {
        println!("skipped: BURN_GROW_PYTHON names no interpreter");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hf")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_burn-grow"))
        .env("HF_HUB_OFFLINE", "1")
        .env("TRANSFORMERS_VERBOSITY", "error")
        .output()
        .expect("an interpreter");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn hf_parity_of_every_family_before_and_after_growing() {
    let Some(answers) = answers("families.py") else {
        return;
    };
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

/// What `upcycle.py` says about one upcycling of one model.
#[derive(Deserialize)]
struct Upcycled {
    route: String,
    model: usize,
    dtype: String,
    options: String,
    /// Keys that were taken out of `config.json` before.
    forgotten: Vec<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    function: String,
    #[serde(default)]
    wrong: Vec<String>,
    #[serde(default)]
    unlike: Vec<String>,
    #[serde(default)]
    difference: f64,
}

#[test]
fn hf_parity_of_experts_and_the_feed_forward_that_they_are_made_of() {
    let Some(answers) = answers("upcycle.py") else {
        return;
    };
    let mut worst: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut faults = Vec::new();
    for line in answers.lines() {
        let answer: Upcycled = serde_json::from_str(line).expect("an answer");
        let place = format!(
            "{} {} as {}, `{}` without {:?}",
            answer.route, answer.model, answer.dtype, answer.options, answer.forgotten
        );
        if let Some(error) = &answer.error {
            faults.push(format!("{place}: {error}"));
            continue;
        }
        if !answer.wrong.is_empty() || !answer.unlike.is_empty() {
            faults.push(format!("{place}: {:?} {:?}", answer.wrong, answer.unlike));
        }
        // A factor of 3 does not live in bf16.
        let rounded = answer.dtype != "float32" && answer.options.contains("--granularity 3");
        let allowed = match answer.function.as_str() {
            "exactly" => 0.0..=if rounded { ROUNDED } else { TOLERANCE },
            // Of 0.01.
            "up_to_noise" => 1e-3..=1e-1,
            // What is not kept may be kept by chance, where equal scores decide.
            _ if answer.options.contains("zero") => 0.0..=f64::INFINITY,
            // Little is left of it behind a norm.
            _ => TOLERANCE..=f64::INFINITY,
        };
        if !allowed.contains(&answer.difference) {
            faults.push(format!(
                "{place}: {:e}, not in {allowed:?}",
                answer.difference
            ));
        }
        let kind = format!("{} {}", answer.function, answer.dtype);
        let worst = worst.entry((answer.route, kind)).or_default();
        *worst = worst.max(answer.difference);
    }
    for ((route, kind), worst) in &worst {
        println!("{route}, {kind}: {worst:.1e}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(worst.len() > 20, "every route was compared");
}
