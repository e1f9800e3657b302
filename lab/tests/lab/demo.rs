//! The demonstration from settings to report, on a model of a few hundred parameters.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use burn_grow::moe::MoeConfig;
use clap::Parser;
use lab::chart::palette::{
    FROM_SCRATCH, LOCKED_CONTROL, NAIVE_COPY, SMALL, SMALL_LONGER, SPARKLING,
};
use lab::cli::{SampleCli, sample};
use lab::demo::perform;
use lab::log::{Log, Store};
use lab::report::Report;
use lab::run::{Display, Stop};
use lab::spec::{AgeSetting, OptimizerKind, Settings};
use tempfile::TempDir;

const RUNS: [&str; 6] = [
    SMALL,
    SMALL_LONGER,
    FROM_SCRATCH,
    NAIVE_COPY,
    LOCKED_CONTROL,
    SPARKLING,
];

fn settings(folder: &Path) -> Settings {
    let corpus = folder.join("corpus.txt");
    if !corpus.exists() {
        let line = |index: usize| format!("let value_{} = {index};\n", index % 7);
        let text: String = (0..9000).map(line).collect();
        std::fs::write(&corpus, text).expect("a file");
    }
    Settings {
        steps: 96,
        epochs: 8,
        context: 16,
        batch: 4,
        valid_windows: 8,
        final_windows: 16,
        // Relative to the folder of the run, so that two runs have the same settings.
        corpus: Some(corpus),
        model: MoeConfig {
            n_layers: 1,
            hidden: 8,
            inner: 4,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 4,
            n_experts: 4,
            ..MoeConfig::default()
        },
        out: folder.join("out"),
        jobs: Some(2),
        ..Settings::default()
    }
}

fn finish(settings: Settings, resume: bool) -> Report {
    perform(
        settings,
        resume,
        Arc::new(Stop::default()),
        Display::Nothing,
    )
    .expect("a run")
}

/// Runs until `when` holds of the log of `run`, then stops. A run that ends before that ends the
/// watch as well.
fn interrupt(settings: &Settings, resume: bool, run: &str, when: fn(&Log) -> bool) -> Report {
    let stop = Arc::new(Stop::default());
    let log = settings.out.join("runs").join(run).join("log.json");
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.stopped() {
                let text = std::fs::read(&log).unwrap_or_default();
                if serde_json::from_slice::<Log>(&text).is_ok_and(|log| when(&log)) {
                    stop.stop();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let report = perform(settings.clone(), resume, stop.clone(), Display::Nothing);
        stop.stop();
        report
    });
    report.expect("a partial report")
}

/// All runs, with nothing to interrupt them.
fn whole() -> &'static (TempDir, Report) {
    static WHOLE: OnceLock<(TempDir, Report)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a directory");
        let report = finish(settings(folder.path()), false);
        (folder, report)
    })
}

/// The log of a run without what depends on the machine's mood.
fn timeless(folder: &Path, run: &str) -> Log {
    let path = folder.join("out/runs").join(run).join("log.json");
    let text = std::fs::read(path).expect("a log");
    let mut log: Log = serde_json::from_slice(&text).expect("a log");
    for epoch in &mut log.epochs {
        epoch.wall_s = 0.0;
    }
    for expansion in &mut log.expansions {
        expansion.seconds = 0.0;
    }
    if let Some(end) = &mut log.end {
        end.wall_s = 0.0;
    }
    log
}

#[test]
fn a_run_interrupted_twice_ends_with_the_logs_of_one_that_was_not() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        jobs: Some(1),
        ..settings(folder.path())
    };
    let report = interrupt(&settings, false, SMALL, |log| !log.epochs.is_empty());
    assert!(!report.finished);
    let report = interrupt(&settings, true, SPARKLING, |log| !log.epochs.is_empty());
    assert!(!report.finished);
    assert!(report.run(SMALL).expect("there").val_loss.is_some());
    assert_eq!(report.run(SPARKLING).expect("there").val_loss, None);
    assert!(finish(settings, true).finished);
    let (other, _) = whole();
    for run in RUNS {
        assert_eq!(
            timeless(folder.path(), run),
            timeless(other.path(), run),
            "{run}"
        );
    }
}

#[test]
fn a_grown_run_is_the_same_with_and_without_the_small_one_beside_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        runs: Some(vec![SPARKLING.into()]),
        ..settings(folder.path())
    };
    finish(settings, false);
    let run = SPARKLING;
    assert_eq!(
        timeless(folder.path(), run),
        timeless(whole().0.path(), run)
    );
}

#[test]
fn a_run_that_does_not_exist_is_named_with_those_that_do() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        runs: Some(vec![SMALL.into(), "sparkler".into()]),
        ..settings(folder.path())
    };
    let error = perform(settings, false, Arc::default(), Display::Nothing).expect_err("no run");
    assert!(error.to_string().contains("no run `sparkler`"), "{error}");
    assert!(error.to_string().contains(&RUNS.join(", ")), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        runs: Some(vec![SMALL.into()]),
        ..settings(folder.path())
    };
    interrupt(&settings, false, SMALL, |log| log.epochs.len() > 2);
    let log = timeless(folder.path(), SMALL);
    let last = log.epochs.last().expect("epochs").epoch;
    let file = folder
        .path()
        .join(format!("out/runs/small/checkpoint/model-{last}.bpk"));
    let bytes = std::fs::read(&file).expect("a checkpoint");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("a torn one");
    finish(settings, true);
    let run = SMALL;
    assert_eq!(
        timeless(folder.path(), run),
        timeless(whole().0.path(), run)
    );
}

#[test]
fn other_settings_do_not_resume_a_run() {
    let folder = tempfile::tempdir().expect("a directory");
    let settings = settings(folder.path());
    Store::open(&settings, false).expect("a directory");
    let mut other = settings.clone();
    other.runs = Some(vec![SMALL.into()]);
    other.jobs = None;
    assert!(Store::open(&other, true).is_ok());
    other.model.inner = 6;
    let error = Store::open(&other, true).expect_err("another run");
    assert!(
        error.to_string().contains("model.inner = 4, not 6"),
        "{error}"
    );
}

#[test]
fn the_runs_show_what_they_should() {
    let (_, report) = whole();
    assert_only_sparkling_breaks_the_lock(report);
    let run = |name| report.run(name).expect("there");
    let sparkling = run(SPARKLING);
    let expansion = sparkling.expansion.as_ref().expect("it grew");
    assert_eq!(expansion.step, report.expand_at);
    assert!(expansion.max_logit_diff < 1e-5);
    assert!((expansion.loss_before - expansion.loss_after).abs() < 1e-5);
    assert_eq!(expansion.rms.len(), 5);
    // The shared first half is one and the same.
    let small = run(SMALL);
    let shared = |curve: &[(usize, f64)]| -> Vec<(usize, f64)> {
        let first = |point: &&(usize, f64)| point.0 < report.expand_at;
        curve.iter().filter(first).copied().collect()
    };
    assert_eq!(shared(&sparkling.train_loss), shared(&small.train_loss));
}

fn assert_only_sparkling_breaks_the_lock(report: &Report) {
    let cosine = |name| {
        let run = report.run(name).expect("there");
        run.cosine.as_ref().expect("it grew")
    };
    for name in [NAIVE_COPY, LOCKED_CONTROL] {
        let locked = cosine(name).iter().all(|point| point.1 > 0.999);
        assert!(locked, "{name} is not locked");
    }
    let sparkling = cosine(SPARKLING);
    assert_eq!(sparkling[0], (report.expand_at, 1.0));
    assert!(sparkling.last().expect("points").1 < 0.999);
}

/// Equal rows of a gradient are equal rows of its orthogonalized form: the lock is Muon's, too.
#[test]
fn under_muon_only_sparkling_breaks_the_lock() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut settings = settings(folder.path());
    settings.optimizer.kind = OptimizerKind::Muon;
    let report = finish(settings, false);
    assert_only_sparkling_breaks_the_lock(&report);
    let small = |report: &Report| report.run(SMALL).expect("there").val_loss;
    assert_ne!(small(&report), small(&whole().1));
}

#[test]
fn own_age_changes_the_run_whose_state_begins_anew() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut settings = settings(folder.path());
    settings.optimizer.age = AgeSetting::Own;
    finish(settings, false);
    for run in RUNS {
        let same = timeless(folder.path(), run) == timeless(whole().0.path(), run);
        assert_eq!(same, run != SPARKLING, "{run}");
    }
}

#[test]
fn the_report_has_the_promised_form() {
    let (folder, report) = whole();
    let text = std::fs::read(folder.path().join("out/report.json")).expect("a report");
    let json: serde_json::Value = serde_json::from_slice(&text).expect("valid");
    let typed: Report = serde_json::from_value(json.clone()).expect("the same form");
    assert_eq!(typed.runs.len(), report.runs.len());
    assert_eq!(json["schema"], 1);
    for key in [
        "git",
        "corpus",
        "model",
        "axis",
        "steps",
        "expand_at",
        "seed",
        "arms",
        "saved",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert!(json["corpus"]["bytes"].is_u64() && json["corpus"]["files"] == 1);
    let saved = &json["saved"];
    assert!(saved["flops_vs_from_scratch_at_equal_tokens"].as_f64() > Some(0.0));
    assert!(saved["wall"].is_f64());
    let arms = json["arms"].as_array().expect("a list");
    assert_eq!(arms.len(), 8);
    for run in arms {
        for key in [
            "name",
            "val_loss",
            "flops",
            "wall_s",
            "params",
            "active_params",
        ] {
            assert!(!run[key].is_null(), "{key}");
        }
        for curve in ["train_loss", "val_curve"] {
            let points = run[curve].as_array().expect("a curve");
            assert!(!points.is_empty() && points.len() <= 400);
            assert!(
                points
                    .iter()
                    .all(|point| point[0].is_u64() && point[1].is_f64())
            );
        }
        let grows = !run["expansion"].is_null();
        assert_eq!(grows, run["cosine"].is_array());
        if grows {
            for key in [
                "step",
                "loss_before",
                "loss_after",
                "max_logit_diff",
                "seconds",
            ] {
                assert!(run["expansion"][key].is_number(), "{key}");
            }
        }
    }
}

#[test]
fn the_page_stands_alone() {
    let page = std::fs::read_to_string(whole().0.path().join("out/report.html")).expect("a page");
    assert!(page.starts_with("<!doctype html>"));
    assert_eq!(page.matches("<svg").count(), 6);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    for outside in ["http", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

fn sampling(run: &Path) -> SampleCli {
    let run = run.display().to_string();
    SampleCli::parse_from(["sample", "--out", &run, "--bytes", "40"])
}

#[test]
fn text_comes_from_before_and_after_the_expansion() {
    let folder = TempDir::new().expect("a folder");
    let settings = settings(folder.path());
    finish(settings.clone(), false);
    let cli = sampling(&settings.out);
    let text = sample(&cli).expect("a sample");
    let heads: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("== "))
        .collect();
    assert_eq!(heads.len(), 2, "{text}");
    assert!(heads[0].contains("sparkling, epoch 3, step 36: hidden 8, inner 4, held-out loss"));
    assert!(heads[1].contains("sparkling, epoch 8, step 96: hidden 16, inner 8, held-out loss"));
    assert_eq!(sample(&cli).expect("a sample"), text);

    let one = SampleCli {
        epochs: vec![8],
        run: SMALL.into(),
        ..cli.clone()
    };
    let text = sample(&one).expect("a sample");
    assert!(
        text.starts_with("== small, epoch 8, step 96: hidden 8, inner 4"),
        "{text}"
    );

    let missing = SampleCli {
        epochs: vec![2],
        ..cli.clone()
    };
    let error = sample(&missing)
        .expect_err("no such checkpoint")
        .to_string();
    assert!(
        error.contains("no checkpoint of epoch 2; there are those of the epochs [8, 7, 3]"),
        "{error}"
    );
    let nowhere = sampling(&folder.path().join("nowhere"));
    let error = sample(&nowhere).expect_err("no run").to_string();
    assert!(
        error.ends_with("settings.json: no such file, so no run"),
        "{error}"
    );
    let cold = SampleCli {
        temperature: -1.0,
        ..cli
    };
    let error = sample(&cold).expect_err("a mistake").to_string();
    assert!(error.starts_with("setting `temperature` is -1"), "{error}");
}

#[test]
fn the_load_of_the_experts_is_a_metric() {
    let folder = TempDir::new().expect("a folder");
    let settings = settings(folder.path());
    finish(settings.clone(), false);
    for (name, range) in [
        ("Expert entropy", 0.0..=1.0),
        ("Max expert share", 0.5..=1.0),
    ] {
        let name = name.replace(' ', "_");
        let file = settings
            .out
            .join("runs/small/valid/epoch-8")
            .join(name + ".log");
        let text = std::fs::read_to_string(&file).expect("a log");
        let value = text
            .lines()
            .next()
            .expect("a line")
            .split(',')
            .next()
            .expect("a value");
        let value: f64 = value.parse().expect("a number");
        assert!(range.contains(&value), "{}: {value}", file.display());
    }
}
