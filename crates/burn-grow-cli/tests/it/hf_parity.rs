//! Random models of every family, widened by the program or upcycled: `transformers` computes the
//! same with them.
//!
//! `BURN_GROW_PYTHON` is an interpreter with torch and transformers; without it the test does
//! nothing. `cargo xtask parity` sets it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

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

/// What is to be said about one answer of a script.
struct Judged {
    /// Which model it is about, and what was made of it.
    place: String,
    /// What is wrong with it.
    faults: Vec<String>,
    /// What was compared, in two words, and how far it is off, if anything could be.
    off: Option<(String, String, f64)>,
}

/// Runs a script, prints how far things are off at most, and rejects every fault and fewer kinds of
/// comparisons than so many.
fn hold<A: DeserializeOwned>(script: &str, kinds: usize, judge: impl Fn(A) -> Judged) {
    let Some(answers) = answers(script) else {
        return;
    };
    let mut worst: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut all = Vec::new();
    for line in answers.lines() {
        let judged = judge(serde_json::from_str(line).expect("an answer"));
        let Judged { place, faults, off } = judged;
        all.extend(faults.iter().map(|fault| format!("{place}: {fault}")));
        if let Some((family, kind, off)) = off {
            let worst = worst.entry((family, kind)).or_default();
            *worst = worst.max(off);
        }
    }
    for ((family, kind), worst) in &worst {
        println!("{family} {kind}: {worst:.1e}");
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(worst.len() > kinds, "everything was compared");
}

#[test]
fn hf_parity_of_every_family_before_and_after_growing() {
    hold("families.py", 40, |answer: Answer| {
        let mut judged = Judged {
            place: format!(
                "{} {} as {}, {}",
                answer.family, answer.model, answer.dtype, answer.grown
            ),
            faults: answer.error.into_iter().collect(),
            off: None,
        };
        if !judged.faults.is_empty() {
            return judged;
        }
        if !answer.wrong.is_empty() || !answer.finite {
            judged.faults.push(format!("{:?}", answer.wrong));
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
            judged.faults.push(format!("{found:e}, at most {limit:e}"));
        }
        let kind = format!("{} {}", answer.kind, answer.dtype);
        judged.off = Some((answer.family, kind, found));
        judged
    });
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
    hold("upcycle.py", 20, |answer: Upcycled| {
        let mut judged = Judged {
            place: format!(
                "{} {} as {}, `{}` without {:?}",
                answer.route, answer.model, answer.dtype, answer.options, answer.forgotten
            ),
            faults: answer.error.into_iter().collect(),
            off: None,
        };
        if !judged.faults.is_empty() {
            return judged;
        }
        if !answer.wrong.is_empty() || !answer.unlike.is_empty() {
            let wrong = format!("{:?} {:?}", answer.wrong, answer.unlike);
            judged.faults.push(wrong);
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
            let fault = format!("{:e}, not in {allowed:?}", answer.difference);
            judged.faults.push(fault);
        }
        let kind = format!("{} {}", answer.function, answer.dtype);
        judged.off = Some((answer.route, kind, answer.difference));
        judged
    });
}
