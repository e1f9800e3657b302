// The hidden part of examples in the documentation: a small model, its data and a training of 2
// epochs of 8 optimizer steps.

use std::path::Path;

use burn_core as burn;
use burn_core::data::dataloader::DataLoaderBuilder;
use burn_core::data::dataloader::batcher::Batcher;
use burn_core::data::dataset::InMemDataset;
use burn_core::module::Module;
use burn_core::tensor::{Device, Tensor, TensorData};
use burn_grow_core::{Expansion, Growable};
use burn_grow_derive::Growable;
use burn_grow_optim::AsymmetricConfig;
use burn_grow_train::{At, WidthExpansionCallback};
use burn_nn::{Linear, LinearConfig};
use burn_optim::AdamWConfig;
use burn_train::checkpoint::KeepLastNCheckpoints;
use burn_train::{
    InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep,
};

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Mlp {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Mlp {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        Self {
            up: LinearConfig::new(1, 8).init(&device),
            down: LinearConfig::new(8, 1).init(&device),
        }
    }

    fn regress(&self, (x, y): (Tensor<2>, Tensor<2>)) -> RegressionOutput {
        let output = self.down.forward(self.up.forward(x).tanh());
        let loss = (output.clone() - y.clone()).square().mean();
        RegressionOutput::new(loss, output, y)
    }
}

impl TrainStep for Mlp {
    type Input = (Tensor<2>, Tensor<2>);
    type Output = RegressionOutput;

    fn step(&self, batch: Self::Input) -> TrainOutput<RegressionOutput> {
        let output = self.regress(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Mlp {
    type Input = (Tensor<2>, Tensor<2>);
    type Output = RegressionOutput;

    fn step(&self, batch: Self::Input) -> RegressionOutput {
        self.regress(batch)
    }
}

#[derive(Clone)]
struct Sine;

impl Batcher<f32, (Tensor<2>, Tensor<2>)> for Sine {
    fn batch(&self, items: Vec<f32>, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let column = |values: Vec<f32>| {
            let rows = values.len();
            Tensor::from_data(TensorData::new(values, [rows, 1]), device)
        };
        let sines = items.iter().map(|x| x.sin()).collect();
        (column(items), column(sines))
    }
}

fn training<M>(directory: impl AsRef<Path>) -> SupervisedTraining<M>
where
    M: TrainStep<Input = (Tensor<2>, Tensor<2>)>,
    M: InferenceStep<Input = (Tensor<2>, Tensor<2>)>,
    M: Module + std::fmt::Display + 'static,
{
    let loader = |items: u8| {
        let items = (0..items).map(|item| f32::from(item) / 5.0).collect();
        DataLoaderBuilder::new(Sine).batch_size(4).build(InMemDataset::new(items))
    };
    SupervisedTraining::new(directory, loader(32), loader(4))
        .num_epochs(2)
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_application_logger(None)
}
