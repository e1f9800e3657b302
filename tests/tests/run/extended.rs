//! A run that is made longer when it is resumed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::harness::{EPOCHS, Net, Strategy, checkpoint_by_path, scheduler, training};
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use burn_grow::prelude::*;
use burn_grow::train::{CheckpointError, WidthExpansionBuilder, discard_after};
use burn_grow::{Growth, Rewarmup, TrainError, Trained};

const STRATEGY: Strategy = Strategy::Single;
const SHORT: usize = 24;
const LONG: usize = 48;

fn narrow(seed: f32) -> Net {
    Net::new(4, 4, seed, &Device::flex().autodiff())
}

/// A fraction and a cosine: both depend on the length of the run.
fn build(builder: WidthExpansionBuilder) -> WidthExpansionCallback {
    let growth = Growth::new(Expansion::by("inner", 2.0));
    let cosine = growth.with_rewarmup(Rewarmup::cosine(1e-3).with_steps(2));
    let builder = builder.expand(At::fraction(0.5), cosine);
    builder.build(&narrow(0.0)).unwrap()
}

/// Starts or resumes the run until the end of `epochs`.
fn run(
    callback: &WidthExpansionCallback,
    directory: &Path,
    epochs: usize,
) -> Result<Trained<Net>, TrainError> {
    let mut training = training(directory, STRATEGY, epochs);
    let resumed = callback.resume(directory, &narrow(9.0))?;
    if let Some(resumed) = resumed {
        training = training.checkpoint(resumed.epoch);
    }
    let model = narrow(if resumed.is_some() { 9.0 } else { 0.0 });
    callback.train(training, model, AdamWConfig::new(), scheduler(STRATEGY))
}

#[test]
fn a_longer_run_takes_checkpoints_of_the_shorter_one_if_it_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let short = build(WidthExpansionCallback::builder(SHORT));
    let trained = run(&short, directory.path(), EPOCHS).unwrap();
    assert_eq!((trained.position.step, trained.position.stage), (SHORT, 1));

    // The expansion would lie at step 24.
    let longer = build(WidthExpansionCallback::builder(LONG));
    let error = run(&longer, directory.path(), 2 * EPOCHS).unwrap_err();
    let TrainError::Checkpoint { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(
        source,
        CheckpointError::Rewarmup { .. } | CheckpointError::Step { .. }
    ));
    assert!(error.to_string().contains("extending"), "{error}");

    let extended = || build(WidthExpansionCallback::builder(LONG).extending(SHORT));
    let trained = run(&extended(), directory.path(), 2 * EPOCHS).unwrap();
    assert_eq!((trained.position.step, trained.position.stage), (LONG, 1));
    assert_eq!(trained.deviations, []);
    assert!(trained.shortfall.is_none());
    let whole = checkpoint_by_path(directory.path(), 2 * EPOCHS);

    // The extended run resumes as any other does.
    discard_after(directory.path(), EPOCHS + 2).unwrap();
    run(&extended(), directory.path(), 2 * EPOCHS).unwrap();
    assert_eq!(checkpoint_by_path(directory.path(), 2 * EPOCHS), whole);
}

#[test]
fn an_expansion_beyond_the_first_length_is_placed_in_the_longer_run() {
    let builder = WidthExpansionCallback::builder(LONG).extending(SHORT);
    let callback = builder
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .expand(At::step(30), Expansion::by("hidden", 2.0))
        .build(&narrow(0.0))
        .unwrap();
    let steps: Vec<_> = callback.stages().map(|stage| stage.step).collect();
    assert_eq!(steps, [Some(12), Some(30)]);
}
