//! What a forgotten act would lose ends as a typed error or in the result: no log line, no panic.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use crate::harness::{EPOCHS, Net, Strategy, adamw, learner, loader, parameters, training};
use burn::module::Module;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, LearningResult, SupervisedTraining, TrainStep};
use burn_grow::optim::OptimError;
use burn_grow::prelude::*;
use burn_grow::train::{Growing, Position};
use burn_grow::{Growth, TrainError};

const STRATEGY: Strategy = Strategy::Single;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn double() -> Growth {
    Growth::new(Expansion::by("inner", 2.0))
}

fn growing(at: At, growth: Growth) -> WidthExpansionCallback {
    WidthExpansionCallback::builder(STRATEGY.total_steps())
        .expand(at, growth)
        .build(&narrow())
        .unwrap()
}

fn callback(at: At) -> WidthExpansionCallback {
    growing(at, double().without_rewarmup())
}

fn launched(
    callback: &WidthExpansionCallback,
    training: SupervisedTraining<Growing<Net>>,
) -> LearningResult<Growing<Net>> {
    training.launch(learner(callback.wrap(narrow()), adamw(), STRATEGY))
}

/// Nothing was trained and nothing grew, and the typed error says why.
fn assert_untouched(callback: &WidthExpansionCallback, model: Growing<Net>) -> Arc<TrainError> {
    assert_eq!(model.position(), Position::default());
    assert_eq!(parameters(model.into_inner()), parameters(narrow()));
    callback.failure().unwrap()
}

fn in_directory<T>(act: impl FnOnce(&Path) -> T) -> T {
    let directory = tempfile::tempdir().unwrap();
    act(directory.path())
}

#[test]
fn a_training_that_nobody_attached_trains_nothing_and_says_so() {
    for at in [At::fraction(0.5), At::plateau("Loss", 1)] {
        let callback = callback(at);
        let result = in_directory(|directory| {
            let training = training(directory, STRATEGY, EPOCHS);
            launched(&callback, training.metric_valid_numeric(LossMetric::new()))
        });
        let failure = assert_untouched(&callback, result.model);
        assert!(matches!(*failure, TrainError::Detached), "{failure}");
        assert!(failure.to_string().contains("attach"), "{failure}");
    }
}

#[test]
fn the_result_of_a_training_that_nobody_attached_is_that_error() {
    let callback = callback(At::fraction(0.5));
    let result =
        in_directory(|directory| launched(&callback, training(directory, STRATEGY, EPOCHS)));
    let error = result.model.grown().unwrap_err();
    assert!(error.to_string().contains("attach"), "{error}");
}

/// Trains a wrapped model in a loop that steps the optimizer itself, with the gradients of `step`.
fn looped(
    callback: &WidthExpansionCallback,
    step: impl Fn(&Growing<Net>, crate::harness::Batch) -> burn::optim::GradientsParams,
) -> Growing<Net> {
    let (mut model, mut optim) = (callback.wrap(narrow()), adamw());
    let batches = loader(24).to_device(&Device::flex().autodiff());
    for batch in batches.iter() {
        let grads = step(&model, batch.unwrap());
        model = optim.step(1e-2, model, grads);
    }
    model
}

#[test]
fn a_loop_that_steps_the_optimizer_itself_trains_nothing_and_says_so() {
    let callback = callback(At::step(3));
    let model = looped(&callback, |model, batch| model.step(batch).grads);
    let failure = assert_untouched(&callback, model.clone());
    assert!(matches!(*failure, TrainError::Detached), "{failure}");
    let error = model.grown().unwrap_err();
    assert!(error.to_string().contains("GrowthLoop"), "{error}");
}

#[test]
fn a_loop_over_the_model_inside_is_in_the_result() {
    let callback = callback(At::step(3));
    let model = looped(&callback, |model, batch| model.inner().step(batch).grads);
    assert!(matches!(model.shortfall(), Some(TrainError::Detached)));
    assert!(matches!(model.grown(), Err(TrainError::Detached)));
}

#[test]
fn an_interrupter_set_after_attaching_lets_the_loop_go_on_but_not_the_model() {
    let callback = growing(At::fraction(0.5), double());
    let plain: ModuleOptimizer = AdamWConfig::new().init();
    let result = in_directory(|directory| {
        callback
            .attach(training(directory, STRATEGY, EPOCHS))
            .with_interrupter(Interrupter::new())
            .launch(learner(callback.wrap(narrow()), plain, STRATEGY))
    });
    let failure = assert_untouched(&callback, result.model);
    assert!(
        matches!(
            &*failure,
            TrainError::Optimizer(OptimError::NotAsymmetric { .. })
        ),
        "{failure}"
    );
}

#[test]
fn a_plain_optimizer_under_a_rewarmup_stops_the_run_before_its_first_step() {
    let callback = growing(At::fraction(0.5), double());
    let plain: ModuleOptimizer = AdamWConfig::new().init();
    let result = in_directory(|directory| {
        callback
            .attach(training(directory, STRATEGY, EPOCHS))
            .launch(learner(callback.wrap(narrow()), plain, STRATEGY))
    });
    assert!(result.error.is_some());
    let failure = assert_untouched(&callback, result.model);
    assert!(failure.to_string().contains("asymmetric"), "{failure}");
}

#[test]
fn an_expansion_that_never_came_is_in_the_result() {
    // A quarter of the epochs that the callback was told of.
    let callback = callback(At::fraction(0.5));
    let result = in_directory(|directory| {
        let training = training(directory, STRATEGY, 1);
        launched(&callback, callback.attach(training))
    });
    assert!(result.error.is_none(), "{:?}", result.error);
    let shortfall = result.model.shortfall().unwrap();
    let TrainError::NotExpanded {
        position,
        total_steps,
        next,
        ..
    } = &shortfall
    else {
        panic!("{shortfall}");
    };
    let step = STRATEGY.steps_per_epoch();
    assert_eq!(*position, Position { step, stage: 0 });
    assert_eq!(*total_steps, STRATEGY.total_steps());
    assert_eq!(*next, At::fraction(0.5));
    assert!(result.model.grown().is_err());
}

#[test]
fn more_steps_than_were_counted_are_in_the_result() {
    let callback = WidthExpansionCallback::builder(4)
        .expand(At::step(3), double().without_rewarmup())
        .build(&narrow())
        .unwrap();
    let result = in_directory(|directory| {
        let training = training(directory, STRATEGY, 1);
        launched(&callback, callback.attach(training))
    });
    let shortfall = result.model.shortfall().unwrap();
    assert!(
        matches!(shortfall, TrainError::Overrun { total_steps: 4, .. }),
        "{shortfall}"
    );
}

#[test]
fn a_run_that_went_as_planned_has_no_shortfall() {
    let callback = callback(At::fraction(0.5));
    let result = in_directory(|directory| {
        let training = training(directory, STRATEGY, EPOCHS);
        launched(&callback, callback.attach(training))
    });
    assert!(result.model.shortfall().is_none());
    let model = result.model.grown().unwrap();
    assert_eq!(Blueprint::of(&model).unwrap().widths()[&"inner".into()], 8);
}

#[test]
fn a_record_of_another_run_is_an_error_of_loading_it_and_no_panic() {
    let callback = callback(At::step(3));
    let record = narrow().into_record();
    let error = callback
        .wrap(narrow())
        .try_load_record(record)
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("`WidthExpansionCallback::wrap`"),
        "{error}"
    );
}
