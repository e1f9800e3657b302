//! Checkpoints of every published format load, and their runs go on as they would have then.
//!
//! `tests/fixtures/checkpoint-v1` is the second of four epochs of [`program`], grown once, and
//! `end.bpk` its model after the fourth, grown twice. Where a format is new, `WRITE_FIXTURES=1`
//! writes its folder; one that is published is never written again.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{EPOCHS, Net, Strategy, scheduler, training};
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::store::ModuleRecord;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn_grow::Growth;
use burn_grow::prelude::*;
use burn_grow::train::{Position, Slope, TrainOptions};
use burn_grow_tests::data::assert_close;
use burn_grow_tests::dump;

const FILES: [&str; 3] = ["model-2.bpk", "optim-2.bpk", "scheduler-2.bpk"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/checkpoint-v1")
}

/// Grows after the first epoch by its steps, and in the last one by a metric: a record has
/// everything that a run remembers.
fn program(directory: &Path, seed: f32) -> (Net, Position) {
    let strategy = Strategy::Single;
    let model = Net::new(4, 4, seed, &Device::flex().autodiff());
    let first = Growth::new(Expansion::by("inner", 2.0));
    let second = Expansion::by("hidden", 1.5).and_by("inner", 1.5);
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::step(strategy.steps_per_epoch()), first)
        // As soon as it has two epochs to compare.
        .expand(Slope::new("Loss", 2, 1e6), second)
        .copy_metrics()
        .build(&model)
        .unwrap();
    let mut training =
        training(directory, strategy, EPOCHS).metric_valid_numeric(LossMetric::new());
    if let Some(resumed) = callback.resume(directory, &model).unwrap() {
        training = training.checkpoint(resumed.epoch);
    }
    let optimizer = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
    let options = TrainOptions::new().with_checkpointing(KeepLastNCheckpoints::new(9));
    let trained = callback
        .train_with(training, model, optimizer, scheduler(strategy), options)
        .unwrap();
    let position = trained.position;
    (trained.grown().unwrap(), position)
}

#[test]
fn a_checkpoint_of_version_1_resumes_across_a_further_expansion() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoints = directory.path().join("checkpoint");
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        let (grown, _) = program(directory.path(), 0.0);
        fs::create_dir_all(fixture()).unwrap();
        for file in FILES {
            fs::copy(checkpoints.join(file), fixture().join(file)).unwrap();
        }
        grown.into_record().save(fixture().join("end.bpk")).unwrap();
        fs::remove_dir_all(&checkpoints).unwrap();
    }
    fs::create_dir_all(&checkpoints).unwrap();
    for file in FILES {
        fs::copy(fixture().join(file), checkpoints.join(file)).unwrap();
    }

    let (grown, position) = program(directory.path(), 9.0);

    let (step, stage) = (Strategy::Single.total_steps(), 2);
    assert_eq!(position, Position { step, stage });
    let record = ModuleRecord::load(fixture().join("end.bpk")).unwrap();
    let expected = Net::new(6, 12, 5.0, &Device::flex()).try_load_record(record);
    let expected = dump::params(&expected.unwrap());
    let found = dump::params(&grown);
    assert_eq!(found.len(), expected.len());
    for (path, param) in &expected {
        // Another processor rounds otherwise.
        assert_close(&found[path].values(), &param.values(), 1e-4, path);
    }
}
