//! What goes wrong during a run leaves the last good checkpoint, and says what it was: a loss that is
//! NaN, a disk that is full.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{EPOCHS, Net, Strategy, adamw, run, training};
use burn::optim::LearningRate;
use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};
use burn::tensor::Device;
use burn::train::Learner;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn_grow::TrainError;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};
use rstest::rstest;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

/// A rate that is fine for so many steps, and absurd from then on.
#[derive(Clone, Debug)]
struct Runaway(usize);

impl LrScheduler for Runaway {
    fn step(&mut self) -> LearningRate {
        self.0 = self.0.saturating_sub(1);
        match self.0 {
            0 => 1e30,
            _ => 1e-3,
        }
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new()
    }

    fn load_record(&mut self, _record: LrSchedulerRecord) {}
}

#[rstest]
// Found by the expansion, or at the end of the epoch.
#[case::before_an_expansion(Some(10), 10, 0)]
#[case::after_an_expansion(Some(7), 12, 1)]
#[case::far_from_any(None, 12, 0)]
fn a_run_that_diverges_is_stopped_before_its_checkpoint(
    #[case] expansion: Option<usize>,
    #[case] found_at: usize,
    #[case] stages: usize,
) {
    let strategy = Strategy::Single;
    let mut builder = WidthExpansionCallback::builder(strategy.total_steps());
    if let Some(step) = expansion {
        let growth = Growth::new(Expansion::by("inner", 2.0)).without_rewarmup();
        builder = builder.expand(At::step(step), growth);
    }
    let callback = builder.build(&narrow()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    // Keeps one only: the next would take its place.
    let training = training(directory.path(), strategy, EPOCHS)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(1));
    let learner = Learner::new(callback.wrap(narrow()), adamw(), Runaway(8));
    let result = callback.attach(training).launch(learner);

    let message = result.error.unwrap().to_string();
    let failure = callback.failure().unwrap();
    assert!(message.contains(&failure.to_string()), "{message}");
    match &*failure {
        TrainError::NotFinite { step, stage, .. } => {
            assert_eq!((*step, *stage), (found_at, stages), "{failure}");
        }
        other => panic!("{other}"),
    }
    let good = callback.last_good_epoch(directory.path(), &narrow());
    let good = good.unwrap().unwrap();
    let (epoch, step) = (good.epoch, good.position.step);
    assert_eq!((epoch, step), (1, strategy.steps_per_epoch()));
    assert!(!directory.path().join("checkpoint/model-2.bpk").exists());

    // The same callback serves the run that goes on from there.
    let training = crate::harness::training(directory.path(), strategy, EPOCHS).checkpoint(epoch);
    let training = callback.attach(training);
    assert!(callback.failure().is_none());
    let sane = Runaway(usize::MAX);
    let result = training.launch(Learner::new(callback.wrap(narrow()), adamw(), sane));
    assert!(result.error.is_none(), "{:?}", result.error);
    let position = result.model.position();
    assert_eq!(position.step, strategy.total_steps());
    assert_eq!(position.stage, usize::from(expansion.is_some()));
    assert!(directory.path().join("checkpoint/model-2.bpk").exists());
}

const DIRECTORY: &str = "BURN_GROW_FULL_DIRECTORY";

fn widening() -> WidthExpansionCallback {
    WidthExpansionCallback::builder(Strategy::Single.total_steps())
        .expand(
            At::step(8),
            Growth::new(Expansion::by("inner", 16.0).and_by("hidden", 16.0))
                .with_rewarmup(Rewarmup::cosine(0.0).paper()),
        )
        .build(&narrow())
        .unwrap()
}

/// The process whose files may not grow beyond a few kilobytes.
#[test]
fn worker() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let result = run(&widening(), directory, Strategy::Single, None, EPOCHS);
    fs::write(
        directory.join("outcome"),
        result
            .error
            .map_or("none".into(), |error| error.to_string()),
    )
    .unwrap();
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_the_checkpoint_before() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // With the signal ignored, a write beyond the limit fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 48; exec \"$0\" faults::worker --exact";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let outcome = fs::read_to_string(directory.path().join("outcome")).unwrap();
    assert!(outcome.contains("File too large"), "{outcome}");
    let good = widening().last_good_epoch(directory.path(), &narrow());
    assert_eq!(good.unwrap().map(|good| good.epoch), Some(1));
    let files = fs::read_dir(directory.path().join("checkpoint")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".bpk"), "left behind: {name}");
    }
}
