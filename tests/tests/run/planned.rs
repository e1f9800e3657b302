//! What a run was told of itself, against what its first epoch shows.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::harness::{Batch, EPOCHS, Net, Strategy, loader, scheduler, training};
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use burn::train::metric::store::EventStoreClient;
use burn::train::{EarlyStoppingStrategy, InferenceStep, SupervisedTraining, TrainStep};
use burn_grow::prelude::*;
use burn_grow::train::{Deviation, Growing, TrainOptions, WidthExpansionBuilder};
use burn_grow::{Growth, TrainError, Trained};

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn at(builder: WidthExpansionBuilder, at: At) -> WidthExpansionCallback {
    let growth = Growth::new(Expansion::by("inner", 2.0)).without_rewarmup();
    builder.expand(at, growth).build(&narrow()).unwrap()
}

/// Ten batches and four of them in a step: three steps in an epoch, twelve in all.
fn accumulated(directory: &Path) -> SupervisedTraining<Growing<Net>>
where
    Net: TrainStep<Input = Batch> + InferenceStep<Input = Batch>,
{
    SupervisedTraining::new(directory, loader(40), loader(4))
        .num_epochs(EPOCHS)
        .grads_accumulation(4)
        .with_application_logger(None)
}

#[derive(Clone)]
struct StopAfter(usize);

impl EarlyStoppingStrategy for StopAfter {
    fn should_stop(&mut self, epoch: usize, _store: &EventStoreClient) -> bool {
        epoch >= self.0
    }
}

fn trained(
    callback: &WidthExpansionCallback,
    training: SupervisedTraining<Growing<Net>>,
    options: TrainOptions,
) -> Result<Trained<Net>, TrainError> {
    let scheduler = scheduler(Strategy::Single);
    callback.train_with(training, narrow(), AdamWConfig::new(), scheduler, options)
}

fn in_directory<T>(act: impl FnOnce(&Path) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    act(directory.path())
}

fn run(callback: &WidthExpansionCallback) -> Result<Trained<Net>, TrainError> {
    in_directory(|directory| trained(callback, accumulated(directory), TrainOptions::new()))
}

#[test]
fn batches_counted_for_steps_are_an_error_after_the_first_epoch() {
    let callback = at(WidthExpansionCallback::builder(40), At::fraction(0.5));
    let error = run(&callback).unwrap_err();
    let TrainError::OutOfReach {
        step,
        steps,
        epochs,
        projected,
        total_steps,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (step, steps, epochs, projected, total_steps),
        (20, 3, 4, 12, 40)
    );
    // Nothing is taken back that the first epoch trained.
    assert!(error.to_string().contains("in_parts"), "{error}");
}

#[test]
fn a_wrong_length_of_an_epoch_is_in_the_result() {
    let builder = WidthExpansionCallback::builder(12).steps_per_epoch(2);
    let trained = run(&at(builder, At::epoch(2))).unwrap();
    let expected = Deviation::StepsPerEpoch {
        planned: 2,
        found: 3,
    };
    assert_eq!(trained.deviations, [expected]);
    assert_eq!(trained.position.stage, 1);
}

#[test]
fn tokens_counted_by_the_batch_are_in_the_result() {
    // Each item is a token.
    let builder = WidthExpansionCallback::builder(12).tokens_per_step(4);
    let trained = run(&at(builder, At::tokens(32))).unwrap();
    let expected = Deviation::TokensPerStep {
        planned: 4,
        items: 13,
    };
    assert_eq!(trained.deviations, [expected]);
    let builder = WidthExpansionCallback::builder(12).tokens_per_step(16);
    assert_eq!(run(&at(builder, At::tokens(32))).unwrap().deviations, []);
}

#[test]
fn a_run_that_is_longer_than_planned_says_so_from_its_first_epoch_on() {
    let callback = at(WidthExpansionCallback::builder(6), At::fraction(0.5));
    let trained = run(&callback).unwrap();
    assert_eq!(
        trained.deviations,
        [Deviation::TotalSteps {
            planned: 6,
            found: 12
        }]
    );
    assert_eq!(callback.deviations(), trained.deviations);
    assert!(matches!(
        trained.shortfall,
        Some(TrainError::Overrun { .. })
    ));
}

#[test]
fn a_run_as_planned_has_no_deviation_whatever_its_strategy() {
    for strategy in Strategy::ALL {
        let builder = WidthExpansionCallback::builder(strategy.total_steps())
            .steps_per_epoch(strategy.steps_per_epoch());
        let callback = at(builder, At::epoch(2));
        let trained = in_directory(|directory| {
            let training = training(directory, strategy, EPOCHS);
            trained(&callback, training, TrainOptions::new()).unwrap()
        });
        assert_eq!(trained.deviations, [], "{strategy:?}");
        assert!(trained.shortfall.is_none(), "{strategy:?}");
    }
}

#[test]
fn a_run_that_goes_on_on_two_devices_is_told_that_its_expansion_is_out_of_reach() {
    let strategy = Strategy::Single;
    let build = || {
        let builder = WidthExpansionCallback::builder(strategy.total_steps());
        at(builder, At::step(20))
    };
    in_directory(|directory| {
        let options = TrainOptions::new().with_early_stopping(StopAfter(2));
        trained(&build(), training(directory, strategy, EPOCHS), options).unwrap();
        let callback = build();
        let resumed = callback.resume(directory, &narrow()).unwrap().unwrap();
        assert_eq!(resumed.position.step, 12);
        let halved = training(directory, Strategy::MultiMain, EPOCHS).checkpoint(resumed.epoch);
        let error = trained(&callback, halved, TrainOptions::new()).unwrap_err();
        let TrainError::OutOfReach {
            step: 20,
            steps: 3,
            projected: 18,
            ..
        } = error
        else {
            panic!("{error}");
        };
    });
}

#[test]
fn an_early_stopping_that_comes_before_the_expansion_is_in_the_result() {
    let callback = at(WidthExpansionCallback::builder(12), At::step(11));
    let options = TrainOptions::new().with_early_stopping(StopAfter(3));
    let trained = in_directory(|directory| trained(&callback, accumulated(directory), options));
    let shortfall = trained.unwrap().shortfall.unwrap();
    let TrainError::NotExpanded {
        early_stopping: Some(3),
        ..
    } = shortfall
    else {
        panic!("{shortfall}");
    };
    assert!(
        shortfall
            .to_string()
            .contains("stopped early after epoch 3"),
        "{shortfall}"
    );
}

#[test]
fn a_training_that_is_one_of_several_may_end_before_the_expansion() {
    let callback = at(
        WidthExpansionCallback::builder(40).in_parts(),
        At::fraction(0.5),
    );
    let trained = run(&callback).unwrap();
    assert_eq!(trained.deviations, []);
    assert!(matches!(
        trained.shortfall,
        Some(TrainError::NotExpanded { .. })
    ));
}
