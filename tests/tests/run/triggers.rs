//! Triggers inside stock burn-train runs: counted and metric-decided expansions, resumed bit for bit,
//! with the metrics and the log they leave.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use crate::harness::{EPOCHS, Net, Strategy, adamw, checkpoint, learner, training};
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::metric::store::EventStoreClient;
use burn::train::{EarlyStoppingStrategy, LearningResult, SupervisedTraining};
use burn_grow::prelude::*;
use burn_grow::train::Growing;
use burn_grow::train::{
    Event, Plateau, Position, Refractory, Slope, WatchedMetric, WidthExpansionBuilder,
};
use burn_grow::{Growth, Rewarmup, TrainError};
use rstest::rstest;

type Model = Growing<Net>;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn builder(strategy: Strategy) -> WidthExpansionBuilder {
    WidthExpansionCallback::builder(strategy.total_steps())
        .steps_per_epoch(strategy.steps_per_epoch())
        .tokens_per_step(10)
}

fn grow(axis: &str, factor: f64) -> Growth {
    Growth::new(Expansion::by(axis, factor))
        .with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2))
}

/// A training whose validation loss triggers can watch.
fn watched(
    callback: &WidthExpansionCallback,
    directory: &Path,
    strategy: Strategy,
) -> SupervisedTraining<Model> {
    training(directory, strategy, EPOCHS)
        .metric_valid_numeric(LossMetric::new())
        .with_checkpointing_strategy(callback.checkpointing(KeepLastNCheckpoints::new(100)))
}

fn run(
    callback: &WidthExpansionCallback,
    directory: &Path,
    strategy: Strategy,
    from: Option<usize>,
) -> LearningResult<Model> {
    let mut training = callback.attach(watched(callback, directory, strategy));
    if let Some(from) = from {
        training = training.checkpoint(from);
    }
    // A resumed run begins with other values and other parameter identities.
    let seed = if from.is_some() { 9.0 } else { 0.0 };
    let model = Net::new(4, 4, seed, &Device::flex().autodiff());
    training.launch(learner(callback.wrap(model), adamw(), strategy))
}

/// Copies the checkpoint of `epoch` and nothing else: no metric log is needed to resume.
fn copy_checkpoint(from: &Path, to: &Path, epoch: usize) {
    fs::create_dir_all(to.join("checkpoint")).unwrap();
    for name in ["model", "optim", "scheduler"] {
        let file = format!("checkpoint/{name}-{epoch}.bpk");
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// The steps of the expansions that `growth.jsonl` lists.
fn logged(directory: &Path) -> Vec<u64> {
    let log = fs::read_to_string(directory.join("growth.jsonl")).unwrap();
    let step = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["step"].as_u64().unwrap()
    };
    log.lines().map(step).collect()
}

/// A slope that no loss is steep enough for: it fires as soon as it has two epochs.
fn always() -> Slope {
    Slope::new("Loss", 2, 1e6)
}

#[test]
fn counted_triggers_name_the_same_step() {
    let strategy = Strategy::Accumulate;
    let mut ends = Vec::new();
    for at in [At::step(6), At::fraction(0.5), At::tokens(60), At::epoch(2)] {
        let callback = builder(strategy)
            .expand(at, grow("inner", 2.0))
            .build(&narrow())
            .unwrap();
        assert_eq!(callback.stages().next().unwrap().step, Some(6));
        let directory = tempfile::tempdir().unwrap();
        let result = run(&callback, directory.path(), strategy, None);
        assert!(result.error.is_none(), "{:?}", result.error);
        ends.push(crate::harness::parameters(result.model.into_inner()));
    }
    for end in &ends[1..] {
        assert_eq!(*end, ends[0]);
    }
}

/// The expansion follows the first step of the epoch after the decision, and a run resumed before,
/// at and after it ends bit-identical, with every line of its log once.
#[rstest]
#[case::single_device(Strategy::Single)]
#[case::gradient_accumulation(Strategy::Accumulate)]
#[case::multi_device_main(Strategy::MultiMain)]
#[case::multi_device_sharded(Strategy::MultiSharded)]
fn a_run_with_metric_triggers_resumes_bit_identical(#[case] strategy: Strategy) {
    let steps = strategy.steps_per_epoch();
    let build = |directory: &Path| {
        builder(strategy)
            .expand(always(), grow("inner", 2.0))
            // Comes a step later, though the step has long gone by.
            .expand(At::step(2), grow("hidden", 1.5))
            .refractory(Refractory::Steps(1))
            .growth_log(directory)
            .build(&narrow())
            .unwrap()
    };
    let whole = tempfile::tempdir().unwrap();
    let result = run(&build(whole.path()), whole.path(), strategy, None);
    assert!(result.error.is_none(), "{:?}", result.error);
    let end = Position {
        step: strategy.total_steps(),
        stage: 2,
    };
    assert_eq!(result.model.position(), end);
    // Two epochs make a slope; the first step of the third one expands.
    let taken = [2 * steps as u64 + 1, 2 * steps as u64 + 2];
    assert_eq!(logged(whole.path()), taken);
    let expected = checkpoint(whole.path(), EPOCHS);

    for interrupted in 1..EPOCHS {
        let resumed = tempfile::tempdir().unwrap();
        copy_checkpoint(whole.path(), resumed.path(), interrupted);
        let log = "growth.jsonl";
        fs::copy(whole.path().join(log), resumed.path().join(log)).unwrap();
        let callback = build(resumed.path());
        let position = callback
            .check_checkpoint(resumed.path(), interrupted, &narrow())
            .unwrap();
        assert_eq!(position.step, interrupted * steps);
        let result = run(&callback, resumed.path(), strategy, Some(interrupted));
        assert!(result.error.is_none(), "{:?}", result.error);
        assert_eq!(result.model.position(), end);
        let found = checkpoint(resumed.path(), EPOCHS);
        assert_eq!(found, expected, "resumed after epoch {interrupted}");
        assert_eq!(logged(resumed.path()), taken);
    }
}

#[test]
fn every_strategy_decides_at_the_end_of_the_same_epoch() {
    for strategy in Strategy::ALL {
        let seen: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let reports = seen.clone();
        // No loss improves by so much: the first epoch is the best one.
        let plateau = Plateau::new("Loss", 1).with_min_change(1e6);
        let callback = builder(strategy)
            .expand(plateau, grow("inner", 2.0))
            .on_expand(move |report, _| {
                let report = (report.step, report.trigger.clone());
                reports.lock().unwrap().push(report);
            })
            .build(&narrow())
            .unwrap();
        assert_eq!(callback.stages().next().unwrap().step, None);
        let directory = tempfile::tempdir().unwrap();
        let result = run(&callback, directory.path(), strategy, None);
        assert!(result.error.is_none(), "{:?}", result.error);
        let expected = (
            2 * strategy.steps_per_epoch() + 1,
            "plateau of valid Loss, patience 1".to_owned(),
        );
        assert_eq!(*seen.lock().unwrap(), [expected], "{strategy:?}");
    }
}

#[test]
fn a_closure_decides_on_what_an_undecided_run_recorded_before() {
    let strategy = Strategy::Single;
    let loss = WatchedMetric::valid("Loss");
    let watched = loss.clone();
    // Three epochs, all of them numbers, none of them equal.
    let callback = builder(strategy)
        .expand(
            At::custom("third epoch", [loss], move |history| {
                let losses = history.values(&watched);
                losses.len() == 3 && losses[0] != losses[1] && losses[1] != losses[2]
            }),
            grow("inner", 2.0),
        )
        .build(&narrow())
        .unwrap();
    let whole = tempfile::tempdir().unwrap();
    let result = run(&callback, whole.path(), strategy, None);
    assert_eq!(result.model.position().stage, 1);
    let expected = checkpoint(whole.path(), EPOCHS);
    let resumed = tempfile::tempdir().unwrap();
    copy_checkpoint(whole.path(), resumed.path(), 3);
    run(&callback, resumed.path(), strategy, Some(3));
    assert_eq!(checkpoint(resumed.path(), EPOCHS), expected);
}

#[derive(Clone)]
struct StopAfter(usize);

impl EarlyStoppingStrategy for StopAfter {
    fn should_stop(&mut self, epoch: usize, _store: &EventStoreClient) -> bool {
        epoch >= self.0
    }
}

fn metric_callback(strategy: Strategy) -> WidthExpansionCallback {
    builder(strategy)
        .expand(always(), grow("inner", 2.0))
        .build(&narrow())
        .unwrap()
}

/// Runs until an error, and says what the callback made of it.
fn failed(
    callback: &WidthExpansionCallback,
    training: SupervisedTraining<Model>,
) -> (Position, Arc<TrainError>) {
    let model = callback.wrap(narrow());
    let result = training.launch(learner(model, adamw(), Strategy::Single));
    assert!(result.error.is_some());
    (result.model.position(), callback.failure().unwrap())
}

#[test]
fn an_early_stopping_of_the_users_own_composes_with_a_metric_trigger() {
    let strategy = Strategy::Single;
    let callback = metric_callback(strategy);
    let directory = tempfile::tempdir().unwrap();
    let training = watched(&callback, directory.path(), strategy);
    let result = callback
        .attach_with(training, None, StopAfter(3))
        .launch(learner(callback.wrap(narrow()), adamw(), strategy));
    assert!(result.error.is_none(), "{:?}", result.error);
    assert_eq!(result.model.position(), Position { step: 18, stage: 1 });
}

#[test]
fn a_run_is_not_moved_by_looking_at_its_checkpoints() {
    let strategy = Strategy::Single;
    let callback = Arc::new(OnceLock::<WidthExpansionCallback>::new());
    let directory = tempfile::tempdir().unwrap();
    let (looking, from) = (callback.clone(), directory.path().to_owned());
    let observed = builder(strategy)
        .expand(always(), grow("inner", 2.0))
        .on_event(move |event| {
            if matches!(event, Event::Epoch { epoch, .. } if *epoch > 1) {
                let model = looking.get().unwrap().load_model(&from, 1, narrow());
                let position = model.unwrap().position();
                assert_eq!(position.step, Strategy::Single.steps_per_epoch());
            }
        })
        .build(&narrow())
        .unwrap();
    let observed = callback.get_or_init(|| observed);
    let result = run(observed, directory.path(), strategy, None);
    assert!(result.error.is_none(), "{:?}", result.error);
    let expected = metric_callback(strategy);
    let plain = tempfile::tempdir().unwrap();
    let plain = run(&expected, plain.path(), strategy, None);
    assert_eq!(result.model.position(), plain.model.position());
}

#[test]
fn a_lost_hook_stops_the_run() {
    let strategy = Strategy::Single;
    let callback = metric_callback(strategy);
    let directory = tempfile::tempdir().unwrap();
    // No checkpoints: the hook is all that could tell.
    let training = SupervisedTraining::new(
        directory.path(),
        crate::harness::loader(24),
        crate::harness::loader(4),
    )
    .num_epochs(EPOCHS)
    .metric_valid_numeric(LossMetric::new())
    .with_application_logger(None);
    let training = callback.attach(training).early_stopping(StopAfter(EPOCHS));
    let training = strategy.apply(training, &crate::harness::local());
    let (position, error) = failed(&callback, training);
    assert!(
        matches!(*error, TrainError::LostHook { step: 6 }),
        "{error}"
    );
    assert_eq!(position, Position { step: 6, stage: 0 });
}

#[test]
fn a_checkpoint_without_the_watched_metrics_stops_the_run() {
    let callback = metric_callback(Strategy::Single);
    let directory = tempfile::tempdir().unwrap();
    let training = training(directory.path(), Strategy::Single, EPOCHS)
        .metric_valid_numeric(LossMetric::new());
    let (position, error) = failed(&callback, callback.attach(training));
    assert!(
        matches!(*error, TrainError::Checkpointing { epoch: 1 }),
        "{error}"
    );
    assert!(
        error.to_string().contains("callback.checkpointing"),
        "{error}"
    );
    assert_eq!(position, Position { step: 6, stage: 0 });
}

#[test]
fn a_metric_that_is_not_registered_stops_the_run_and_is_named() {
    let callback = builder(Strategy::Single)
        .expand(At::plateau("Los", 1), grow("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let training = callback.attach(watched(&callback, directory.path(), Strategy::Single));
    let (_, error) = failed(&callback, training);
    assert!(error.to_string().contains("valid Los"), "{error}");
}

#[test]
fn a_plan_that_the_checkpoint_did_not_follow_is_rejected() {
    let strategy = Strategy::Single;
    let directory = tempfile::tempdir().unwrap();
    run(&metric_callback(strategy), directory.path(), strategy, None);
    // The run expanded after step 13, by a metric.
    let other = builder(strategy)
        .expand(At::step(12), grow("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let error = other
        .check_checkpoint(directory.path(), 3, &narrow())
        .unwrap_err();
    assert!(error.to_string().contains("after step 13"), "{error}");
    // Named by its step it may be resumed.
    let same = builder(strategy)
        .expand(At::step(13), grow("inner", 2.0))
        .build(&narrow())
        .unwrap();
    same.check_checkpoint(directory.path(), 3, &narrow())
        .unwrap();
}

#[test]
fn a_log_that_cannot_be_written_is_found_before_the_run_or_stops_it() {
    let strategy = Strategy::Single;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let builder = |log: &Path| {
        builder(strategy)
            .expand(At::step(7), grow("inner", 2.0))
            .growth_log(log)
            .build(&narrow())
    };
    let error = builder(&file).unwrap_err();
    assert!(matches!(error, TrainError::GrowthLog { .. }), "{error}");

    let log = directory.path().join("log");
    let callback = builder(&log).unwrap();
    fs::remove_dir_all(&log).unwrap();
    let training = callback.attach(watched(&callback, directory.path(), strategy));
    let (position, error) = failed(&callback, training);
    assert!(matches!(*error, TrainError::GrowthLog { .. }), "{error}");
    assert_eq!(position, Position { step: 7, stage: 0 });
}

/// The last value that burn-train wrote of a metric.
fn last_value(directory: &Path, epoch: usize, metric: &str) -> f64 {
    let file = format!("train/epoch-{epoch}/{}.log", metric.replace(' ', "_"));
    let log = fs::read_to_string(directory.join(file)).unwrap();
    let last = log.lines().last().unwrap();
    last.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn flops_and_rates_are_metrics() {
    let strategy = Strategy::Single;
    let callback = builder(strategy)
        .expand(At::step(12), grow("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let stage = callback.stages().next().unwrap();
    let (old, new) = stage.plan.active_params();
    let directory = tempfile::tempdir().unwrap();
    run(&callback, directory.path(), strategy, None);
    let last = |metric: &str| last_value(directory.path(), EPOCHS, metric);
    // Twelve steps at each width.
    assert_eq!(last("Training FLOPs"), 6.0 * 120.0 * (old + new));
    let saved = 100.0 * (1.0 - (old + new) / (2.0 * new));
    assert!((last("Saved FLOPs") - saved).abs() < 1e-9);
    let rate = |metric: &str| last_value(directory.path(), 3, metric);
    let [old, new] =
        ["Old", "New"].map(|which| rate(&format!("Learning Rate {which} Coordinates")));
    assert!(0.0 < old && old < new, "{old} {new}");
}
