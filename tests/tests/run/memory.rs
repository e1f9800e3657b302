//! Expanding a checkpoint on disk takes the memory of a few tensors, not of the model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Batch, Strategy, adamw, learner, training};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use burn::train::{InferenceStep, RegressionOutput, TrainOutput, TrainStep};
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};

const DIRECTORY: &str = "BURN_GROW_MEMORY_DIRECTORY";
const WIDTH: usize = 512;
const LAYERS: usize = 24;

#[derive(Module, Growable, Debug)]
struct Deep {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden", fan_out = "hidden")]
    layers: Vec<Linear>,
    #[grow(fan_in = "hidden")]
    head: Linear,
}

impl Deep {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let layer = |_| LinearConfig::new(WIDTH, WIDTH).init(&device);
        Self {
            embed: LinearConfig::new(3, WIDTH).init(&device),
            layers: (0..LAYERS).map(layer).collect(),
            head: LinearConfig::new(WIDTH, 2).init(&device),
        }
    }

    fn regress(&self, batch: Batch) -> RegressionOutput {
        let embedded = self.embed.forward(batch.x);
        let layers = self.layers.iter();
        let hidden = layers.fold(embedded, |hidden, layer| layer.forward(hidden).tanh());
        let output = self.head.forward(hidden);
        let loss = (output.clone() - batch.y.clone()).square().mean();
        RegressionOutput::new(loss, output, batch.y)
    }
}

impl TrainStep for Deep {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.regress(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Deep {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.regress(batch)
    }
}

fn builder() -> burn_grow::train::WidthExpansionBuilder {
    WidthExpansionCallback::builder(Strategy::Single.total_steps())
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|found| found.strip_prefix(line));
    let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// The process whose memory is measured.
#[test]
fn worker() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let model = Deep::new();
    let callback = builder()
        .expand(
            At::step(Strategy::Single.steps_per_epoch()),
            Growth::new(Expansion::by("hidden", 2.0)).with_rewarmup(Rewarmup::cosine(0.0).paper()),
        )
        .build(&model)
        .unwrap();
    // Makes the peak begin anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    callback
        .expand_checkpoint(directory.join("narrow"), 1, directory.join("wide"), &model)
        .unwrap();
    let extra = memory("VmHWM:").saturating_sub(before);
    fs::write(directory.join("extra"), extra.to_string()).unwrap();
}

#[test]
fn expanding_on_disk_takes_the_memory_of_a_few_tensors() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let strategy = Strategy::Single;
    let callback = builder().build(&Deep::new()).unwrap();
    let training = callback.attach(training(&directory.path().join("narrow"), strategy, 1));
    let model = callback.wrap(Deep::new());
    let result = training.launch(learner(model, adamw(), strategy));
    assert!(result.error.is_none());

    let status = Command::new(std::env::current_exe().unwrap())
        .args(["memory::worker", "--exact"])
        .env(DIRECTORY, directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let extra = fs::read_to_string(directory.path().join("extra")).unwrap();
    let extra: usize = extra.parse().unwrap();
    let written = ["model", "optim"].map(|name| {
        let file = format!("wide/checkpoint/{name}-1.bpk");
        fs::metadata(directory.path().join(file)).unwrap().len()
    });
    // A wide matrix and its two moments.
    let largest = 3 * 4 * (2 * WIDTH).pow(2);
    println!("{extra} bytes; the largest parameter and its state {largest}, the files {written:?}");
    assert!(
        extra <= 2 * largest,
        "{extra} bytes for files of {written:?}"
    );
}
