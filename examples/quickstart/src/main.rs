//! A small network that learns to spell the README, one byte at a time, and widens half way.

use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::prelude::*;
use burn::tensor::activation::gelu;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use burn_grow::prelude::*;

const CONTEXT: usize = 8;
const BATCH: usize = 64;
const EPOCHS: usize = 6;

#[derive(Module, Growable, Debug)]
struct Speller {
    #[grow(skip)]
    bytes: Embedding,
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

type Window = [u8; CONTEXT + 1];
type Batch = (Tensor<2, Int>, Tensor<1, Int>);

impl Speller {
    fn predict(&self, (context, next): Batch) -> ClassificationOutput {
        let embedded = self.bytes.forward(context).flatten(1, 2);
        let logits = self.down.forward(gelu(self.up.forward(embedded)));
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), next.clone());
        ClassificationOutput::new(loss, logits, next)
    }
}

impl TrainStep for Speller {
    type Input = Batch;
    type Output = ClassificationOutput;
    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.predict(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Speller {
    type Input = Batch;
    type Output = ClassificationOutput;
    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.predict(batch)
    }
}

#[derive(Clone)]
struct Windows;

impl Batcher<Window, Batch> for Windows {
    fn batch(&self, windows: Vec<Window>, device: &Device) -> Batch {
        let bytes = windows
            .iter()
            .flatten()
            .map(|byte| i64::from(*byte))
            .collect();
        let data = TensorData::new::<i64, _>(bytes, [windows.len(), CONTEXT + 1]);
        let bytes = Tensor::<2, Int>::from_data(data, device);
        let next = bytes.clone().narrow(1, CONTEXT, 1).flatten(0, 1);
        (bytes.narrow(1, 0, CONTEXT), next)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = include_bytes!("../../../README.md");
    let windows = || {
        text.windows(CONTEXT + 1)
            .map(|w| w.try_into().expect("a window"))
    };
    let (train, valid): (Vec<_>, Vec<_>) =
        windows().enumerate().partition(|(i, _)| i / 64 % 10 > 0);
    let loader = |items: Vec<(usize, Window)>| {
        let items = items.into_iter().map(|(_, window)| window).collect();
        DataLoaderBuilder::new(Windows)
            .batch_size(BATCH)
            .shuffle(0)
            .build(InMemDataset::new(items))
    };
    let total_steps = train.len().div_ceil(BATCH) * EPOCHS;

    let device = Device::flex().autodiff();
    let model = Speller {
        bytes: EmbeddingConfig::new(256, 16).init(&device),
        up: LinearConfig::new(CONTEXT * 16, 32).init(&device),
        down: LinearConfig::new(32, 256).init(&device),
    };
    let callback = WidthExpansionCallback::builder(total_steps)
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .rewarmup(Rewarmup::cosine(3e-5).with_rho(2.0))
        .on_expand(|report| println!("{report}"))
        .build(&model)?;
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let scheduler = CosineAnnealingLrSchedulerConfig::new(3e-3, total_steps).with_min_lr(3e-5);
    let learner = Learner::new(callback.progressive(model), optim, scheduler.init()?);
    let training = SupervisedTraining::new("target/quickstart", loader(train), loader(valid))
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .num_epochs(EPOCHS)
        .summary();
    let result = callback.attach(training).launch(learner);
    println!("{}", result.model.into_inner());
    Ok(())
}
