//! A small network that learns to spell a text, one byte at a time, and widens midway.

use burn::data::{
    dataloader::DataLoaderBuilder, dataloader::batcher::Batcher, dataset::InMemDataset,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, loss::CrossEntropyLossConfig};
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::prelude::*;
use burn::train::{ClassificationOutput, InferenceStep, metric::LossMetric};
use burn::train::{SupervisedTraining, TrainOutput, TrainStep};
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

impl Speller {
    fn predict(&self, windows: Tensor<2, Int>) -> ClassificationOutput {
        let next = windows.clone().narrow(1, CONTEXT, 1).flatten(0, 1);
        let embedded = self.bytes.forward(windows.narrow(1, 0, CONTEXT));
        let inner = burn::tensor::activation::gelu(self.up.forward(embedded.flatten(1, 2)));
        let logits: Tensor<2> = self.down.forward(inner);
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), next.clone());
        ClassificationOutput::new(loss, logits, next)
    }
}

impl TrainStep for Speller {
    type Input = Tensor<2, Int>;
    type Output = ClassificationOutput;
    fn step(&self, windows: Tensor<2, Int>) -> TrainOutput<ClassificationOutput> {
        let output = self.predict(windows);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Speller {
    type Input = Tensor<2, Int>;
    type Output = ClassificationOutput;
    fn step(&self, windows: Tensor<2, Int>) -> ClassificationOutput {
        self.predict(windows)
    }
}

#[derive(Clone)]
struct Windows;

impl Batcher<Vec<u8>, Tensor<2, Int>> for Windows {
    fn batch(&self, windows: Vec<Vec<u8>>, device: &Device) -> Tensor<2, Int> {
        let shape = [windows.len(), CONTEXT + 1];
        let bytes: Vec<i64> = windows.into_iter().flatten().map(i64::from).collect();
        Tensor::from_data(TensorData::new(bytes, shape), device)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = include_bytes!("../text.txt");
    let windows = text.windows(CONTEXT + 1).map(<[u8]>::to_vec).enumerate();
    // Every tenth block of 64 bytes is held out.
    let (train, valid): (Vec<_>, Vec<_>) = windows.partition(|(at, _)| at / 64 % 10 > 0);
    let total_steps = train.len().div_ceil(BATCH) * EPOCHS;
    let [train, valid] = [train, valid].map(|windows| {
        let items = windows.into_iter().map(|(_, window)| window).collect();
        let loader = DataLoaderBuilder::new(Windows).batch_size(BATCH).shuffle(0);
        loader.build(InMemDataset::new(items))
    });

    let device = Device::flex().autodiff();
    let model = Speller {
        bytes: EmbeddingConfig::new(256, 16).init(&device),
        up: LinearConfig::new(CONTEXT * 16, 32).init(&device),
        down: LinearConfig::new(32, 256).init(&device),
    };
    let scheduler = CosineAnnealingLrSchedulerConfig::new(3e-3, total_steps).with_min_lr(3e-5);
    let training = SupervisedTraining::new("target/quickstart", train, valid)
        .metrics((LossMetric::new(),))
        .num_epochs(EPOCHS);
    let adamw = AdamWConfig::new().with_beta_2(0.95);
    let trained = WidthExpansionCallback::builder(total_steps)
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .on_expand(|report, _| println!("{report}"))
        .build(&model)?
        .train(training, model, adamw, scheduler.init()?)?;
    println!("{}", trained.grown()?);
    Ok(())
}
