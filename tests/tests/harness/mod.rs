//! A small regression model and the stock burn-train runs that the training tests compare.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod observed;
// What tests print is about the tests.
#[path = "../../../lab/src/run/silent.rs"]
mod silent;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, LinearLayout, RmsNorm, RmsNormConfig};
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData, activation};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::{
    ExecutionStrategy, InferenceStep, Learner, LearningResult, MultiDeviceOptim, RegressionOutput,
    SupervisedTraining, TrainOutput, TrainStep,
};
use burn_grow::optim::AsymmetricExt;
use burn_grow::prelude::*;
use burn_grow::train::Growing;
use burn_pack::{Reader, Scalar};

/// Two layers on two axes, a norm, a parameter that is never used, and a stack of blocks that is
/// empty at first.
#[derive(Module, Growable, Debug)]
pub struct Net {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    #[grow(depth = "layers", fresh = Self::block)]
    blocks: Vec<Block>,
    #[grow(fan_in = "hidden")]
    head: Linear,
    /// Never part of the forward pass: it has no gradient, and no optimizer state.
    #[grow(dims(fan_out = "inner"))]
    idle: Param<Tensor<1>>,
    #[grow(width = "hidden")]
    hidden: usize,
    #[grow(width = "inner")]
    inner: usize,
}

/// A residual block.
#[derive(Module, Growable, Debug)]
pub struct Block {
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

impl Block {
    fn new(hidden: usize, inner: usize, seed: f32, device: &Device) -> Self {
        Self {
            norm: RmsNormConfig::new(hidden).init(device),
            up: linear(hidden, inner, seed + 1.0, device),
            down: linear(inner, hidden, seed + 2.0, device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let inner = activation::silu(self.up.forward(self.norm.forward(x.clone())));
        x + self.down.forward(inner)
    }
}

fn values(count: usize, seed: f32) -> Vec<f32> {
    (0..count)
        .map(|index| (index as f32 * 1.37 + seed).sin() * 0.4)
        .collect()
}

fn linear(input: usize, output: usize, seed: f32, device: &Device) -> Linear {
    let weight = TensorData::new(values(input * output, seed), [input, output]);
    let bias = TensorData::new(values(output, seed + 0.5), [output]);
    Linear {
        weight: Param::from_data(weight, device),
        bias: Some(Param::from_data(bias, device)),
    }
}

impl Net {
    /// With a head in column layout, which is saved transposed.
    #[allow(dead_code, reason = "one of the tests that share this file uses it")]
    pub fn with_column_head(mut self) -> Self {
        let weight = self.head.weight.val();
        let [input, output] = weight.dims();
        let column = LinearConfig::new(input, output).with_layout(LinearLayout::Col);
        let (id, _, mapper) = column.init(&weight.device()).weight.consume();
        self.head.weight = Param::from_mapped_value(id, weight.detach().require_grad(), mapper);
        self
    }

    /// With a new head, whose parameters no optimizer knows.
    pub fn with_new_head(mut self, seed: f32) -> Self {
        let device = self.embed.weight.device();
        let [hidden, output] = self.head.weight.dims();
        self.head = linear(hidden, output, seed, &device);
        self
    }

    /// With a head that is NaN.
    pub fn not_a_number(mut self) -> Self {
        self.head.weight = self.head.weight.map(|weight| {
            let nan = weight.full_like(f32::NAN);
            Tensor::from_inner(nan.inner()).require_grad()
        });
        self
    }

    pub fn new(hidden: usize, inner: usize, seed: f32, device: &Device) -> Self {
        Self {
            embed: linear(3, hidden, seed, device),
            norm: RmsNormConfig::new(hidden).init(device),
            up: linear(hidden, inner, seed + 1.0, device),
            down: linear(inner, hidden, seed + 2.0, device),
            blocks: Vec::new(),
            head: linear(hidden, 2, seed + 3.0, device),
            idle: Param::from_data(TensorData::new(values(inner, seed), [inner]), device),
            hidden,
            inner,
        }
    }

    /// With so many blocks.
    pub fn with_blocks(mut self, blocks: usize) -> Self {
        let device = self.embed.weight.device();
        let block = |seed| Block::new(self.hidden, self.inner, 4.0 * seed as f32, &device);
        self.blocks = (1..=blocks).map(block).collect();
        self
    }

    /// A fresh block.
    fn block(&self) -> Block {
        Block::new(self.hidden, self.inner, 99.0, &self.embed.weight.device())
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let h = self.embed.forward(x);
        let inner = activation::silu(self.up.forward(self.norm.forward(h.clone())));
        let h = h + self.down.forward(inner);
        self.head
            .forward(self.blocks.iter().fold(h, |h, block| block.forward(h)))
    }

    fn regress(&self, batch: Batch) -> RegressionOutput {
        let dtype = self.embed.weight.val().dtype();
        let (x, y) = (batch.x.cast(dtype), batch.y.cast(dtype));
        let output = self.forward(x);
        let loss = (output.clone() - y.clone()).square().mean();
        RegressionOutput::new(loss, output, y)
    }
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.regress(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.regress(batch)
    }
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub x: Tensor<2>,
    pub y: Tensor<2>,
}

#[derive(Clone)]
pub struct Rows;

impl Batcher<usize, Batch> for Rows {
    fn batch(&self, items: Vec<usize>, device: &Device) -> Batch {
        let rows = items.len();
        let x: Vec<f32> = items
            .iter()
            .flat_map(|item| values(3, *item as f32))
            .collect();
        let y: Vec<f32> = items
            .iter()
            .flat_map(|item| values(2, *item as f32 * 0.7))
            .collect();
        Batch {
            x: Tensor::from_data(TensorData::new(x, [rows, 3]), device),
            y: Tensor::from_data(TensorData::new(y, [rows, 2]), device),
        }
    }
}

pub fn loader(items: usize) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Rows)
        .batch_size(4)
        .build(InMemDataset::new((0..items).collect()))
}

/// How a run steps.
#[derive(Clone, Copy, Debug)]
pub enum Strategy {
    Single,
    Accumulate,
    MultiMain,
    MultiSharded,
}

pub const EPOCHS: usize = 4;

impl Strategy {
    pub const ALL: [Self; 4] = [
        Self::Single,
        Self::Accumulate,
        Self::MultiMain,
        Self::MultiSharded,
    ];

    /// Optimizer steps of one epoch of 24 items in batches of 4.
    pub fn steps_per_epoch(self) -> usize {
        match self {
            Self::Single => 6,
            Self::Accumulate | Self::MultiMain | Self::MultiSharded => 3,
        }
    }

    pub fn total_steps(self) -> usize {
        self.steps_per_epoch() * EPOCHS
    }

    /// Lets `training` run on `devices`, or on the first of them.
    pub fn apply<M>(
        self,
        training: SupervisedTraining<M>,
        devices: &[Device],
    ) -> SupervisedTraining<M>
    where
        M: TrainStep<Input = Batch> + InferenceStep<Input = Batch> + Module,
        M: core::fmt::Display + 'static,
    {
        let single = || ExecutionStrategy::single(devices[0].clone());
        let multi = |optim| ExecutionStrategy::multi(devices.to_vec(), optim);
        let execution = match self {
            Self::Single | Self::Accumulate => single(),
            Self::MultiMain => multi(MultiDeviceOptim::OptimMainDevice),
            Self::MultiSharded => multi(MultiDeviceOptim::OptimSharded),
        };
        let training = training.with_training_strategy(execution.into());
        match self {
            Self::Accumulate => training.grads_accumulation(2),
            Self::Single | Self::MultiMain | Self::MultiSharded => training,
        }
    }
}

/// As many devices as a strategy takes, on this machine.
pub fn local() -> [Device; 2] {
    [Device::flex(), Device::flex()]
}

pub fn training<M>(directory: &Path, strategy: Strategy, epochs: usize) -> SupervisedTraining<M>
where
    M: TrainStep<Input = Batch> + InferenceStep<Input = Batch> + Module,
    M: core::fmt::Display + 'static,
{
    training_on(&local(), directory, strategy, epochs)
}

pub fn training_on<M>(
    devices: &[Device],
    directory: &Path,
    strategy: Strategy,
    epochs: usize,
) -> SupervisedTraining<M>
where
    M: TrainStep<Input = Batch> + InferenceStep<Input = Batch> + Module,
    M: core::fmt::Display + 'static,
{
    let training = SupervisedTraining::new(directory, loader(24), loader(4))
        .num_epochs(epochs)
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(100))
        .renderer(Box::new(silent::Silent))
        .with_application_logger(None);
    strategy.apply(training, devices)
}

pub fn adamw() -> ModuleOptimizer {
    ModuleOptimizer::from(
        AdamWConfig::new()
            .with_beta_2(0.95)
            .with_weight_decay(0.1)
            .build()
            .asymmetric(),
    )
}

pub fn learner<M>(model: M, optim: ModuleOptimizer, strategy: Strategy) -> Learner<M>
where
    M: TrainStep + InferenceStep + Module + core::fmt::Display + 'static,
{
    Learner::new(model, optim, scheduler(strategy))
}

/// A rate that falls over the whole run.
pub fn scheduler(strategy: Strategy) -> ModuleLrScheduler {
    LinearLrSchedulerConfig::new(2e-2, 1e-3, strategy.total_steps())
        .init()
        .unwrap()
}

/// Runs `callback` on a narrow model until `epochs`, resuming from epoch `from` if given.
pub fn run(
    callback: &WidthExpansionCallback,
    directory: &Path,
    strategy: Strategy,
    from: Option<usize>,
    epochs: usize,
) -> LearningResult<Growing<Net>> {
    let narrow = |seed| Net::new(4, 4, seed, &Device::flex().autodiff());
    run_on(
        &local(),
        callback,
        narrow,
        directory,
        strategy,
        from,
        epochs,
    )
}

/// Like [`run`] on `devices`, with the model that `narrow` makes of a seed.
pub fn run_on<M>(
    devices: &[Device],
    callback: &WidthExpansionCallback,
    narrow: impl Fn(f32) -> M,
    directory: &Path,
    strategy: Strategy,
    from: Option<usize>,
    epochs: usize,
) -> LearningResult<Growing<M>>
where
    M: TrainStep<Input = Batch> + InferenceStep<Input = Batch> + Growable,
    M: core::fmt::Display + 'static,
{
    // A resumed run begins with other values and other parameter identities.
    let model = narrow(if from.is_some() { 9.0 } else { 0.0 });
    let training = training_on(devices, directory, strategy, epochs);
    let mut training = callback.attach(training);
    if let Some(from) = from {
        training = training.checkpoint(from);
    }
    training.launch(learner(callback.wrap(model), adamw(), strategy))
}

/// The parameter, the shape and the bytes of a stored tensor.
type Stored = (Option<u64>, Vec<usize>, Vec<u8>);

/// A burnpack file by content: the order in which an optimizer writes its parameters is random.
#[derive(Debug, PartialEq)]
pub struct Contents {
    tensors: BTreeMap<String, Stored>,
    scalars: BTreeMap<String, Scalar>,
    metadata: BTreeMap<String, String>,
}

pub fn contents(path: impl AsRef<Path>) -> Contents {
    contents_of(Reader::from_file(path).unwrap())
}

pub fn contents_of(reader: Reader) -> Contents {
    let scalars = reader.scalars().clone();
    let metadata = reader.metadata().clone();
    let tensors = reader.into_tensors().unwrap().into_iter().map(|tensor| {
        let (name, _, shape, id, bytes) = tensor.into_parts().unwrap();
        (name, (id, shape.to_vec(), bytes.to_vec()))
    });
    Contents {
        tensors: tensors.collect(),
        scalars,
        metadata,
    }
}

/// The three files of a checkpoint.
pub fn checkpoint(directory: &Path, epoch: usize) -> [Contents; 3] {
    ["model", "optim", "scheduler"].map(|name| {
        let file = format!("checkpoint/{name}-{epoch}.bpk");
        contents(directory.join(file))
    })
}

/// The three files of a checkpoint, told by path: identities are drawn anew in every run.
pub fn checkpoint_by_path(directory: &Path, epoch: usize) -> [Contents; 3] {
    let [mut model, optim, scheduler] = checkpoint(directory, epoch);
    for (id, _, _) in model.tensors.values_mut() {
        *id = None;
    }
    let named = |name: &str| match name.split_once('.') {
        Some((id, field)) => format!("{}.{field}", optim.metadata[id]),
        None => name.to_owned(),
    };
    let tensors = optim.tensors.iter().map(|(name, (_, shape, bytes))| {
        let stored = (None, shape.clone(), bytes.clone());
        (named(name), stored)
    });
    let scalars = optim.scalars.iter();
    let optim = Contents {
        tensors: tensors.collect(),
        scalars: scalars.map(|(name, value)| (named(name), *value)).collect(),
        metadata: BTreeMap::new(),
    };
    [model, optim, scheduler]
}

/// The parameters of a model by path, without identities.
pub fn parameters<M: Module>(model: M) -> BTreeMap<String, Vec<u8>> {
    let bytes = model.into_record().into_bytes().unwrap();
    let contents = contents_of(Reader::from_bytes(bytes).unwrap());
    contents
        .tensors
        .into_iter()
        .map(|(name, (_, _, bytes))| (name, bytes))
        .collect()
}
