//! Compiles the Rust code of the README and of the book, and holds what its programs share: a small
//! network that learns a sine, its data, and a schedule.

use std::error::Error;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep};
use burn_grow::Growable;
use burn_grow::train::Growing;
use burn_grow::verify::{Activations, Probe};

/// Epochs of [`training`], of 32 optimizer steps each.
const EPOCHS: usize = 8;

/// Learns a sine, with one hidden layer.
#[derive(Module, Growable, Debug)]
pub struct Sine {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Sine {
    /// With 16 hidden units.
    pub fn new(device: &Device) -> Self {
        Self::of_width(16, device)
    }

    /// With `inner` hidden units.
    pub fn of_width(inner: usize, device: &Device) -> Self {
        Self {
            up: LinearConfig::new(1, inner).init(device),
            down: LinearConfig::new(inner, 1).init(device),
        }
    }

    /// # Shapes
    ///
    /// - `x` and output: `[batch, 1]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.down.forward(self.up.forward(x).tanh())
    }

    fn regress(&self, x: Tensor<2>) -> RegressionOutput {
        let (output, y) = (self.forward(x.clone()), x.sin());
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

impl Probe<Tensor<2>> for Sine {
    fn probe(&self, x: Tensor<2>) -> Activations {
        let hidden = self.up.forward(x).tanh();
        Activations::new(self.down.forward(hidden.clone())).with_site("hidden", &hidden)
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

fn loader(count: usize) -> Arc<dyn DataLoader<Tensor<2>>> {
    let points = (0..count).map(|point| point as f32 * core::f32::consts::TAU / count as f32);
    DataLoaderBuilder::new(Points)
        .batch_size(32)
        .shuffle(0)
        .build(InMemDataset::new(points.collect()))
}

/// A training of 8 epochs of 32 optimizer steps, which writes to `directory`.
pub fn training(directory: &str) -> SupervisedTraining<Growing<Sine>> {
    SupervisedTraining::new(directory, loader(1024), loader(256))
        .metrics((LossMetric::new(),))
        .num_epochs(EPOCHS)
}

/// A cosine from 0.01 to zero over a run of `total_steps`.
///
/// # Errors
///
/// When the run is empty.
pub fn scheduler(total_steps: usize) -> Result<ModuleLrScheduler, Box<dyn Error>> {
    Ok(CosineAnnealingLrSchedulerConfig::new(1e-2, total_steps).init()?)
}

macro_rules! pages {
    ($($name:ident: $page:literal;)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../", $page))]
            pub struct $name;
        )+
    };
}

pages! {
    Readme: "README.md";
    Quickstart: "docs/src/guide/quickstart.md";
    MarkYourModel: "docs/src/guide/mark-your-model.md";
    BlocksUsedInSeveralPlaces: "docs/src/guide/blocks-used-in-several-places.md";
    StacksWhoseEndsDiffer: "docs/src/guide/stacks-whose-ends-differ.md";
    NumbersThatFollowAWidth: "docs/src/guide/numbers-that-follow-a-width.md";
    GroupedQueryAttention: "docs/src/guide/grouped-query-attention.md";
    PlanBeforeYouTrain: "docs/src/guide/plan-before-you-train.md";
    Attach: "docs/src/guide/attach.md";
    Optimizers: "docs/src/guide/optimizers.md";
    RatesThatFollowWidths: "docs/src/guide/rates-that-follow-widths.md";
    Rehearsal: "docs/src/guide/rehearsal.md";
    Resume: "docs/src/guide/resume.md";
    ExtendARun: "docs/src/guide/extend-a-run.md";
    MovingAverages: "docs/src/guide/moving-averages.md";
    LoopsOfYourOwn: "docs/src/guide/loops-of-your-own.md";
    MigrateACheckpoint: "docs/src/guide/migrate-a-checkpoint.md";
    Rewarmup: "docs/src/concepts/re-warmup.md";
    Layers: "docs/src/reference/layers.md";
    Triggers: "docs/src/reference/triggers.md";
}
