//! Trains a small network, widens its checkpoint on disk, and trains on from there.

use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::prelude::*;
use burn::train::{InferenceStep, RegressionOutput, metric::LossMetric};
use burn::train::{SupervisedTraining, TrainOutput, TrainStep};
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup, Trained};

const STEPS_PER_EPOCH: usize = 32;
const EPOCHS: usize = 8;

/// Learns a sine.
#[derive(Module, Growable, Debug)]
struct Sine {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Sine {
    fn new(device: &Device) -> Self {
        Self {
            up: LinearConfig::new(1, 16).init(device),
            down: LinearConfig::new(16, 1).init(device),
        }
    }

    fn predict(&self, x: Tensor<2>) -> RegressionOutput {
        let y = x.clone().sin();
        let output = self.down.forward(self.up.forward(x).tanh());
        let loss = (output.clone() - y.clone()).square().mean();
        RegressionOutput::new(loss, output, y)
    }
}

impl TrainStep for Sine {
    type Input = Tensor<2>;
    type Output = RegressionOutput;
    fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let output = self.predict(x);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Sine {
    type Input = Tensor<2>;
    type Output = RegressionOutput;
    fn step(&self, x: Tensor<2>) -> RegressionOutput {
        self.predict(x)
    }
}

#[derive(Clone)]
struct Points;

impl Batcher<f32, Tensor<2>> for Points {
    fn batch(&self, points: Vec<f32>, device: &Device) -> Tensor<2> {
        let shape = [points.len(), 1];
        Tensor::from_data(TensorData::new(points, shape), device)
    }
}

/// Trains until epoch `until`, from a checkpoint if one is given.
fn train(
    callback: &WidthExpansionCallback,
    directory: &str,
    from: Option<usize>,
    until: usize,
) -> Result<Trained<Sine>, Box<dyn std::error::Error>> {
    let loader = |count: usize| {
        let points = (0..count).map(|point| point as f32 * core::f32::consts::TAU / count as f32);
        let points = InMemDataset::new(points.collect());
        let loader = DataLoaderBuilder::new(Points).batch_size(32).shuffle(0);
        loader.build(points)
    };
    let mut training =
        SupervisedTraining::new(directory, loader(32 * STEPS_PER_EPOCH), loader(256))
            .metrics((LossMetric::new(),))
            .with_default_checkpointers()
            .num_epochs(until);
    if let Some(epoch) = from {
        training = training.checkpoint(epoch);
    }
    let steps = STEPS_PER_EPOCH * EPOCHS;
    let scheduler = CosineAnnealingLrSchedulerConfig::new(1e-2, steps).init()?;
    let model = Sine::new(&Device::flex().autodiff());
    let adamw = AdamWConfig::new().with_beta_2(0.95);
    Ok(callback.train(training, model, adamw, scheduler)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (narrow, wide) = ("target/offline/narrow", "target/offline/wide");
    for directory in [narrow, wide] {
        // What an earlier run of this example left.
        let _ = std::fs::remove_dir_all(directory);
    }
    let model = Sine::new(&Device::flex().autodiff());
    let builder = || WidthExpansionCallback::builder(STEPS_PER_EPOCH * EPOCHS);
    train(&builder().build(&model)?, narrow, None, EPOCHS / 2)?;

    // Decided only now: wider from here on.
    let callback = builder()
        .expand(
            At::step(STEPS_PER_EPOCH * EPOCHS / 2),
            Growth::new(Expansion::by("inner", 4.0)).with_rewarmup(Rewarmup::cosine(0.0)),
        )
        .build(&model)?;
    let position = callback.expand_checkpoint(narrow, EPOCHS / 2, wide, &model)?;
    println!("expanded on disk after step {}", position.step);
    let trained = train(&callback, wide, Some(EPOCHS / 2), EPOCHS)?;
    println!("{}", trained.grown()?);
    Ok(())
}
