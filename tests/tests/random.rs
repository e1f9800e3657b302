//! Random numbers: a run with dropout resumes bit for bit if its steps are seeded, and a rehearsal
//! draws none.
//!
//! Flex has one stream for its process, so these tests have a process of their own, and take turns.
#![allow(clippy::unwrap_used)]

#[path = "harness/mod.rs"]
mod harness;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::harness::{Batch, Contents, EPOCHS, Strategy, checkpoint, local, run_on};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use burn::train::{InferenceStep, RegressionOutput, TrainOutput, TrainStep};
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow_tests::data::{random, seeded, values};
use rstest::rstest;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Module, Growable, Debug)]
struct Dropped {
    #[grow(fan_out = "inner")]
    up: Linear,
    dropout: Dropout,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Dropped {
    fn new(seed: f32) -> Self {
        let device = Device::flex().autodiff();
        let dropped = Self {
            up: LinearConfig::new(3, 8).init(&device),
            dropout: DropoutConfig::new(0.5).init(),
            down: LinearConfig::new(8, 2).init(&device),
        };
        seeded(dropped, 1 + seed as u64)
    }

    fn regress(&self, batch: Batch) -> RegressionOutput {
        let x = self.dropout.forward(self.up.forward(batch.x).tanh());
        let output = self.down.forward(x);
        let loss = (output.clone() - batch.y.clone()).square().mean();
        RegressionOutput::new(loss, output, batch.y)
    }
}

impl TrainStep for Dropped {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.regress(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Dropped {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.regress(batch)
    }
}

/// Runs until the end, from `epoch` on if given, and returns the last checkpoint.
fn run(
    strategy: Strategy,
    seed: Option<u64>,
    directory: &Path,
    epoch: Option<usize>,
) -> [Contents; 3] {
    let builder = WidthExpansionCallback::builder(strategy.total_steps()).expand(
        At::step(strategy.steps_per_epoch() + 1),
        Expansion::by("inner", 1.5),
    );
    let builder = match seed {
        Some(seed) => builder.random_seed(seed),
        None => builder,
    };
    let callback = builder.build(&Dropped::new(0.0)).unwrap();
    let devices = &local()[..1];
    let result = run_on(
        devices,
        &callback,
        Dropped::new,
        directory,
        strategy,
        epoch,
        EPOCHS,
    );
    assert!(result.error.is_none(), "{:?}", result.error);
    checkpoint(directory, EPOCHS)
}

/// Resumes after `epoch` in a directory of its own.
fn resumed(strategy: Strategy, seed: Option<u64>, from: &Path, epoch: usize) -> [Contents; 3] {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("checkpoint");
    fs::create_dir_all(&files).unwrap();
    for name in ["model", "optim", "scheduler"] {
        let file = format!("{name}-{epoch}.bpk");
        fs::copy(from.join("checkpoint").join(&file), files.join(&file)).unwrap();
    }
    run(strategy, seed, directory.path(), Some(epoch))
}

#[rstest]
#[case::single(Strategy::Single)]
#[case::accumulated(Strategy::Accumulate)]
fn a_seeded_run_with_dropout_resumes_bit_for_bit(#[case] strategy: Strategy) {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let whole = run(strategy, Some(5), directory.path(), None);
    for epoch in 1..EPOCHS {
        // Whatever was drawn in between.
        Device::flex().seed(epoch as u64);
        let found = resumed(strategy, Some(5), directory.path(), epoch);
        assert_eq!(found, whole, "resumed after epoch {epoch}");
    }
    assert_ne!(resumed(strategy, Some(6), directory.path(), 1), whole);
    assert_ne!(resumed(strategy, None, directory.path(), 1), whole);
}

#[test]
fn a_loop_of_ones_own_draws_the_same_at_the_same_step() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    let draw = |seed: Option<u64>| {
        let builder = WidthExpansionCallback::builder(10);
        let builder = match seed {
            Some(seed) => builder.random_seed(seed),
            None => builder,
        };
        let growth = builder
            .build(&Dropped::new(0.0))
            .unwrap()
            .growth_loop()
            .unwrap();
        growth.seed(&device);
        values(Tensor::<1>::random([8], Distribution::Default, &device))
    };
    assert_eq!(draw(Some(5)), draw(Some(5)));
    assert_ne!(draw(Some(5)), draw(Some(6)));
    assert_ne!(draw(None), draw(None));
}

/// Dropout and batch norms, which behave in a rehearsal as in validation.
#[derive(Module, Growable, Debug)]
struct Regularized {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(gain = "inner")]
    norm: BatchNorm,
    #[grow(skip)]
    own: BatchNorm,
    dropout: Dropout,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Regularized {
    fn new(device: &Device) -> Self {
        Self {
            up: LinearConfig::new(3, 4).init(device),
            norm: BatchNormConfig::new(4).init(device),
            own: BatchNormConfig::new(3).init(device),
            dropout: DropoutConfig::new(0.5).init(),
            down: LinearConfig::new(4, 2).init(device),
        }
    }

    fn loss(&self) -> Tensor<1> {
        let x: Tensor<2> = random([5, 3], 2, &self.up.weight.device());
        let x = self.norm.forward(self.up.forward(self.own.forward(x)));
        self.down.forward(self.dropout.forward(x)).square().mean()
    }
}

fn everything(model: &Regularized) -> Vec<f32> {
    struct All(Vec<f32>);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(values(param.val()));
        }
    }
    // Applies what a forward pass has left pending.
    let mut all = All(Vec::new());
    model.valid().visit(&mut all);
    all.0
}

#[test]
fn a_rehearsal_uses_up_neither_running_statistics_nor_random_numbers() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    let model = Regularized::new(&device);
    let callback = WidthExpansionCallback::builder(10)
        .expand(At::fraction(0.5), Expansion::by("inner", 1.5))
        .build(&model)
        .unwrap();
    let before = everything(&model);
    let draw = || values(Tensor::<1>::random([8], Distribution::Default, &device));
    device.seed(7);
    let expected = draw();
    device.seed(7);
    let gradients =
        |model: &Regularized| GradientsParams::from_grads(model.loss().backward(), model);
    let found = callback.rehearse(&model, gradients).unwrap();
    assert_eq!(draw(), expected);
    assert_eq!(everything(&model), before);
    assert!(found.compared, "{found}");
    assert!(found.stages[0].difference.unwrap() < 1e-4, "{found}");
    // The model itself still trains as before.
    assert!(model.norm.training.is_enabled() && model.dropout.training.is_enabled());
    model.loss();
    assert_ne!(everything(&model), before);
}

/// A stack of layers that begins empty, with dropout behind it.
#[derive(Module, Growable, Debug)]
struct Tower {
    #[grow(fan_out = "hidden")]
    base: Linear,
    #[grow(depth = "layers", fresh = Self::floor, fan_in = "hidden", fan_out = "hidden")]
    floors: Vec<Linear>,
}

impl Tower {
    fn floor(&self) -> Linear {
        LinearConfig::new(4, 4).init(&self.base.weight.device())
    }
}

/// What fresh blocks draw is the same whatever was drawn before, and what is drawn afterwards is not
/// always the same.
#[test]
fn fresh_blocks_are_drawn_from_a_seed_of_their_own() {
    let _turn = turn();
    let device = Device::flex().autodiff();
    let tower = Tower {
        base: LinearConfig::new(3, 4).init(&device),
        floors: Vec::new(),
    };
    let grown = |expansion_seed: u64, stream: u64| {
        let layers = Expansion::to("layers", 2).with_blocks("layers", Blocks::fresh());
        let plan = Plan::new(
            &Blueprint::of(&tower).unwrap(),
            &layers.with_seed(expansion_seed),
        );
        device.seed(stream);
        let grown = plan.unwrap().apply(tower.clone()).unwrap();
        let floors = grown.floors.iter();
        let floors: Vec<_> = floors.map(|floor| values(floor.weight.val())).collect();
        let next = values(Tensor::<1>::random([8], Distribution::Default, &device));
        (floors, next)
    };
    let (floors, next) = grown(0, 1);
    assert_ne!(floors[0], floors[1]);
    let (same, other) = grown(0, 2);
    assert_eq!(same, floors);
    assert_ne!(other, next);
    assert_eq!(grown(0, 1), (floors.clone(), next));
    assert_ne!(grown(1, 1).0, floors);
}
