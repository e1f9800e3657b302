// The hidden part of the examples in the documentation: a small network that learns a sine, its
// data, and a schedule. Each includes this file out of sight.

use burn_core as burn;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_grow_derive::Growable;
use burn_nn::{Linear, LinearConfig};
use burn_optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn_train::metric::LossMetric;
use burn_train::{InferenceStep, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};

/// Optimizer steps of a training, four epochs of 8.
const TOTAL_STEPS: usize = 32;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Sine {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Sine {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        Self {
            up: LinearConfig::new(1, 16).init(&device),
            down: LinearConfig::new(16, 1).init(&device),
        }
    }

    fn regress(&self, x: Tensor<2>) -> RegressionOutput {
        let (output, y) = (
            self.down.forward(self.up.forward(x.clone()).tanh()),
            x.sin(),
        );
        let loss = (output.clone() - y.clone()).square().mean();
        RegressionOutput::new(loss, output, y)
    }
}

impl TrainStep for Sine {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let output = self.regress(x);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Sine {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, x: Tensor<2>) -> RegressionOutput {
        self.regress(x)
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

/// A training that writes to `directory`.
fn training<M>(directory: &std::path::Path) -> SupervisedTraining<M>
where
    M: TrainStep<Input = Tensor<2>, Output = RegressionOutput>,
    M: InferenceStep<Input = Tensor<2>, Output = RegressionOutput>,
    M: Module + core::fmt::Display + 'static,
{
    let loader = |count: usize| {
        let points = InMemDataset::new((0..count).map(|point| point as f32 / 8.0).collect());
        DataLoaderBuilder::new(Points).batch_size(8).build(points)
    };
    SupervisedTraining::new(directory, loader(64), loader(8))
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .with_default_checkpointers()
        .num_epochs(4)
}

fn scheduler() -> Result<ModuleLrScheduler, String> {
    LinearLrSchedulerConfig::new(1e-2, 1e-3, TOTAL_STEPS).init()
}
