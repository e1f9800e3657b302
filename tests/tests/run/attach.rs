//! A training in one act: nothing that its user set or forgot is lost.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::harness::{
    Batch, EPOCHS, Net, Strategy, adamw, checkpoint_by_path, learner, loader, parameters,
    scheduler, training,
};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy, KeepLastNCheckpoints};
use burn::train::metric::LossMetric;
use burn::train::metric::store::EventStoreClient;
use burn::train::{
    EarlyStoppingStrategy, InferenceStep, RegressionOutput, SupervisedTraining, TrainOutput,
    TrainStep,
};
use burn_grow::TrainError;
use burn_grow::optim::{AsymmetricConfig, OptimError};
use burn_grow::prelude::*;
use burn_grow::train::{Growing, Slope, TrainOptions, saved_epochs};
use rstest::rstest;

const STEPS: usize = 6;
const TOTAL: usize = STEPS * EPOCHS;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn callback(at: impl Into<At>) -> WidthExpansionCallback {
    WidthExpansionCallback::builder(TOTAL)
        .expand(at, Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap()
}

/// No loss is steep enough for it: it fires as soon as it has two epochs.
fn on_a_metric() -> WidthExpansionCallback {
    callback(Slope::new("Loss", 2, 1e6))
}

fn config() -> AdamWConfig {
    AdamWConfig::new()
        .with_beta_2(0.95)
        .with_weight_decay(0.1)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(0.01)))
}

#[test]
fn one_act_ends_as_the_long_form() {
    let strategy = Strategy::Single;
    let [short, long] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let trained = callback(At::fraction(0.5))
        .train(
            training(short.path(), strategy, EPOCHS),
            narrow(),
            config(),
            scheduler(strategy),
        )
        .unwrap();
    assert_eq!((trained.position.step, trained.position.stage), (TOTAL, 1));
    assert!(trained.interrupted.is_none());
    let short_model = parameters(trained.grown().unwrap());

    let callback = callback(At::fraction(0.5));
    let learner = learner(
        callback.wrap(narrow()),
        config().init_asymmetric(),
        strategy,
    );
    let result = callback
        .attach(training(long.path(), strategy, EPOCHS))
        .launch(learner);
    assert_eq!(parameters(result.model.grown().unwrap()), short_model);
    assert_eq!(
        checkpoint_by_path(short.path(), EPOCHS),
        checkpoint_by_path(long.path(), EPOCHS)
    );
}

#[test]
fn one_act_resumes_and_starts_with_the_same_program() {
    let strategy = Strategy::Single;
    let program = |directory: &Path, epochs: usize| {
        let callback = on_a_metric();
        let model = narrow();
        let mut training =
            training(directory, strategy, epochs).metric_valid_numeric(LossMetric::new());
        let resumed = callback.resume(directory, &model).unwrap();
        if let Some(resumed) = resumed {
            training = training.checkpoint(resumed.epoch);
        }
        let options = TrainOptions::new().with_checkpointing(KeepLastNCheckpoints::new(9));
        let scheduler = scheduler(strategy);
        let trained = callback.train_with(training, model, config(), scheduler, options);
        trained.unwrap().position
    };
    let whole = tempfile::tempdir().unwrap();
    let end = program(whole.path(), EPOCHS);
    assert_eq!((end.step, end.stage), (TOTAL, 1));
    let resumed = tempfile::tempdir().unwrap();
    for epochs in 1..=EPOCHS {
        program(resumed.path(), epochs);
        // What a process that is killed leaves of the next epoch.
        let torn = resumed
            .path()
            .join(format!("checkpoint/model-{}.bpk", epochs + 1));
        fs::write(torn, "half").unwrap();
    }
    assert_eq!(
        checkpoint_by_path(resumed.path(), EPOCHS),
        checkpoint_by_path(whole.path(), EPOCHS)
    );
}

#[test]
fn a_checkpoint_of_another_run_is_not_removed() {
    let strategy = Strategy::Single;
    let directory = tempfile::tempdir().unwrap();
    let files = training(directory.path(), strategy, 3);
    callback(At::step(8))
        .train(files, narrow(), config(), scheduler(strategy))
        .unwrap();
    // Sound until the end of the first epoch, which is before either expansion.
    let error = callback(At::step(9)).resume(directory.path(), &narrow());
    let error = error.unwrap_err();
    assert!(error.to_string().contains("after step 8"), "{error}");
    assert_eq!(saved_epochs(directory.path()).unwrap(), [3, 2, 1]);
    let nowhere = tempfile::tempdir().unwrap();
    let found = callback(At::step(9)).resume(nowhere.path(), &narrow());
    assert_eq!(found.unwrap(), None);
}

fn files(directory: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(directory.join("checkpoint")).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A training with everything that burn-train sets by default.
fn stock(directory: &Path) -> SupervisedTraining<Growing<Net>> {
    SupervisedTraining::new(directory, loader(24), loader(4))
        .num_epochs(EPOCHS)
        .with_default_checkpointers()
        .with_application_logger(None)
        .metric_valid_numeric(LossMetric::new())
}

#[test]
fn a_metric_trigger_keeps_the_checkpoints_that_burn_train_keeps() {
    let [watched, plain] = [on_a_metric(), callback(At::step(2 * STEPS + 1))].map(|callback| {
        let directory = tempfile::tempdir().unwrap();
        let training = stock(directory.path());
        let scheduler = scheduler(Strategy::Single);
        let trained = callback.train(training, narrow(), config(), scheduler);
        assert_eq!(trained.unwrap().position.stage, 1);
        files(directory.path())
    });
    assert_eq!(watched, plain);
}

#[derive(Clone)]
struct StopAfter(usize);

impl EarlyStoppingStrategy for StopAfter {
    fn should_stop(&mut self, epoch: usize, _store: &EventStoreClient) -> bool {
        epoch >= self.0
    }
}

struct Noted(Arc<Mutex<Vec<usize>>>);

impl CheckpointingStrategy for Noted {
    fn checkpointing(
        &mut self,
        epoch: usize,
        _store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        self.0.lock().unwrap().push(epoch);
        vec![CheckpointingAction::Save]
    }
}

#[rstest]
#[case::at_a_step(callback(At::step(8)))]
#[case::by_a_metric(on_a_metric())]
fn strategies_of_ones_own_are_asked(#[case] callback: WidthExpansionCallback) {
    let directory = tempfile::tempdir().unwrap();
    let asked = Arc::default();
    let options = TrainOptions::new()
        .with_early_stopping(StopAfter(3))
        .with_checkpointing(Noted(Arc::clone(&asked)));
    let trained = callback.train_with(
        stock(directory.path()),
        narrow(),
        config(),
        scheduler(Strategy::Single),
        options,
    );
    let position = trained.unwrap().position;
    assert_eq!((position.step, position.stage), (3 * STEPS, 1));
    assert_eq!(*asked.lock().unwrap(), [1, 2, 3]);
}

/// Steps that were counted wrong: too many, so that the expansion never comes, or too few.
#[rstest]
#[case::too_many(3 * TOTAL, 0, "0 of 1 expansions: the next one was planned at fraction 0.5")]
#[case::too_few(TOTAL - 1, 1, "24 optimizer steps where 23 were planned")]
fn miscounted_steps_are_in_the_result(
    #[case] total_steps: usize,
    #[case] stage: usize,
    #[case] message: &str,
) {
    // Else the first of them is an error after the first epoch: see `planned.rs`.
    let callback = WidthExpansionCallback::builder(total_steps)
        .in_parts()
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let training = training(directory.path(), Strategy::Single, EPOCHS);
    let trained = callback
        .train(training, narrow(), config(), scheduler(Strategy::Single))
        .unwrap();
    assert_eq!(trained.position.stage, stage);
    let shortfall = trained.shortfall.as_ref().unwrap().to_string();
    assert!(shortfall.contains(message), "{shortfall}");
    // What was trained is not lost, unless its user asks for an error.
    let inner = Blueprint::of(&trained.model).unwrap().widths()[&"inner".into()];
    assert_eq!(inner, if stage == 0 { 4 } else { 8 });
    assert!(trained.grown().is_err());

    // The long form says the same.
    let directory = tempfile::tempdir().unwrap();
    let learner = learner(callback.wrap(narrow()), adamw(), Strategy::Single);
    let result = callback
        .attach(crate::harness::training(
            directory.path(),
            Strategy::Single,
            EPOCHS,
        ))
        .launch(learner);
    assert_eq!(result.model.grown().unwrap_err().to_string(), shortfall);
}

#[test]
fn a_plain_optimizer_under_a_rewarmup_is_a_typed_error() {
    let directory = tempfile::tempdir().unwrap();
    let training = training(directory.path(), Strategy::Single, EPOCHS);
    let plain: ModuleOptimizer = AdamWConfig::new().init();
    let trained =
        callback(At::step(8)).train(training, narrow(), plain, scheduler(Strategy::Single));
    let error = trained.unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Optimizer(OptimError::NotAsymmetric { .. })
        ),
        "{error}"
    );
}

#[test]
fn a_panic_is_a_typed_error() {
    let directory = tempfile::tempdir().unwrap();
    // burn-train loads a checkpoint that is not there.
    let training = training(directory.path(), Strategy::Single, EPOCHS).checkpoint(3);
    let trained =
        callback(At::step(8)).train(training, narrow(), config(), scheduler(Strategy::Single));
    let error = trained.unwrap_err();
    assert!(matches!(error, TrainError::Panicked { .. }), "{error}");
}

/// Panics in its first step at another width.
#[derive(Module, Growable, Debug)]
struct Brittle {
    net: Net,
    params: usize,
}

impl Brittle {
    fn new() -> Self {
        let net = narrow();
        let params = net.num_params();
        Self { net, params }
    }
}

impl TrainStep for Brittle {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        assert_eq!(self.num_params(), self.params, "brittle");
        TrainStep::step(&self.net, batch)
    }
}

impl InferenceStep for Brittle {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        InferenceStep::step(&self.net, batch)
    }
}

#[rstest]
#[case::single(Strategy::Single)]
#[case::several(Strategy::MultiMain)]
fn a_panic_after_an_expansion_says_where_it_was(#[case] strategy: Strategy) {
    let run = |options: Option<TrainOptions>| {
        let callback = WidthExpansionCallback::builder(strategy.total_steps())
            .expand(At::step(4), Expansion::by("inner", 2.0))
            .build(&Brittle::new())
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let training = crate::harness::training(directory.path(), strategy, EPOCHS);
        let (model, scheduler) = (Brittle::new(), scheduler(strategy));
        let trained = match options {
            Some(options) => callback.train_with(training, model, config(), scheduler, options),
            None => {
                let options = TrainOptions::new().without_rehearsal();
                callback.train_with(training, model, config(), scheduler, options)
            }
        };
        trained.unwrap_err()
    };
    let error = run(None);
    let message = error.to_string();
    let (TrainError::Panicked { position, last, .. } | TrainError::Training { position, last, .. }) =
        error
    else {
        panic!("{message}");
    };
    assert_eq!((position.step, position.stage, last), (4, 1, Some(4)));
    for part in ["at step 4, after expansion 0 at step 4", "brittle"] {
        assert!(message.contains(part), "{message}");
    }
    // A rehearsal finds it before anything is trained.
    let error = run(Some(TrainOptions::new()));
    assert!(
        matches!(error, TrainError::Rehearsal { stage: 0, .. }),
        "{error}"
    );
}

#[test]
fn an_error_that_somebody_else_holds_is_handed_out_as_well() {
    let callback = Arc::new(Mutex::new(None::<WidthExpansionCallback>));
    let held = Arc::new(Mutex::new(None));
    let (own, keep) = (callback.clone(), held.clone());
    let built = WidthExpansionCallback::builder(TOTAL)
        .expand(At::plateau("Los", 1), Expansion::by("inner", 2.0))
        .on_event(move |event| {
            if matches!(event, burn_grow::train::Event::End) {
                *keep.lock().unwrap() = own.lock().unwrap().as_ref().unwrap().failure();
            }
        })
        .build(&narrow())
        .unwrap();
    *callback.lock().unwrap() = Some(built.clone());
    let directory = tempfile::tempdir().unwrap();
    let training = stock(directory.path());
    let trained = built.train(training, narrow(), config(), scheduler(Strategy::Single));
    let error = trained.unwrap_err();
    assert!(error.to_string().contains("valid Los"), "{error}");
    let held = held.lock().unwrap().take().unwrap();
    assert!(matches!(&*held, TrainError::MissingMetric { epoch: 1, .. }));
}
