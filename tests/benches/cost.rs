//! What growing costs: the wrapped model and optimizer against the plain ones, and an expansion
//! against saving and loading the same checkpoint.
//!
//! `cargo xtask bench` prints the ratios, measured in turns so that both sides see the same machine;
//! `cargo bench -p burn-grow-tests -- --divan` times each side by itself.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::module::{Module, Param};
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamW, AdamWConfig, AdanConfig, GradientsParams,
    LambConfig, LionConfig, ModuleOptimizer, MuonConfig, Optimizer, RmsPropConfig, SgdConfig,
};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use burn::train::{InferenceStep, Learner, TrainOutput, TrainStep};
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::{AsymmetricExt, PerExpert};
use burn_grow::optim::{BatchedMuonConfig, expand_optimizer};
use burn_grow::prelude::*;
use burn_grow::train::Growing;
use burn_grow::{Growth, Rewarmup, StatePolicy};

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if std::env::args().any(|argument| argument == "--divan") {
        divan::Divan::from_args().main();
        return;
    }
    ratio(
        "training step, Growing without a due expansion / bare model",
        1.01,
        200,
        model_step(wrapped()),
        model_step(bare()),
    );
    ratio(
        "AdamW step 1024 x 1024, Asymmetric before growth / plain",
        1.01,
        400,
        optimizer_step(asymmetric(adamw(), None)),
        optimizer_step(plain()),
    );
    ratio(
        "AdamW step 1024 x 1024, Asymmetric after one axis grew / plain",
        1.10,
        400,
        optimizer_step(asymmetric(adamw(), Some(Expansion::by("inner", 2.0)))),
        optimizer_step(plain()),
    );
    ratio(
        "AdamW step 1024 x 1024, Asymmetric after both axes grew / plain",
        1.10,
        400,
        optimizer_step(asymmetric(
            adamw(),
            Some(Expansion::by("inner", 2.0).and_by("hidden", 2.0)),
        )),
        optimizer_step(plain()),
    );
    adapters();
    for shape in [[8, 16, 32], [8, 32, 64], [16, 128, 128], [8, 256, 512]] {
        ratio(
            &format!("Muon step {shape:?}, PerExpert / BatchedMuon"),
            None,
            20,
            stack_step(PerExpert::new(MuonConfig::new().build()), shape),
            stack_step(BatchedMuonConfig::new().build(), shape),
        );
    }
    ratio(
        "expansion of model and optimizer / saving and loading its checkpoint",
        1.0,
        20,
        expansion(),
        save_and_load(),
    );
    ratio(
        "expansion of model and optimizer / copying as many bytes",
        None,
        20,
        expansion(),
        copying(),
    );
}

/// What every optimizer costs once both axes have grown. The cheaper the optimizer, the more one pass over
/// three quarters of the matrix counts.
fn adapters() {
    fn adapter<O: Optimizer>(name: &str, rounds: usize, optimizer: O) {
        let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
        ratio(
            &format!("{name} step 1024 x 1024, Asymmetric after both axes grew / plain"),
            None,
            rounds,
            optimizer_step(asymmetric(optimizer.clone(), Some(both))),
            optimizer_step(stepped(optimizer, [1024, 1024])),
        );
    }
    adapter("Adam", 100, AdamConfig::new().build());
    adapter("Adan", 100, AdanConfig::new().build());
    adapter("AdaGrad", 100, AdaGradConfig::new().build());
    adapter("Adafactor", 100, AdafactorConfig::new().build());
    adapter("Lamb", 100, LambConfig::new().build());
    adapter("Lion", 100, LionConfig::new().build());
    adapter("RmsProp", 100, RmsPropConfig::new().build());
    adapter("SGD", 100, SgdConfig::new().build());
    adapter("Muon", 6, MuonConfig::new().build());
}

/// A step on a stack of matrices.
fn stack_step<O: Optimizer>(optimizer: O, shape: [usize; 3]) -> impl FnMut() {
    let drawn = |shape| Tensor::<3>::random(shape, Distribution::Default, &chosen());
    let (mut stack, grad, mut state) = (drawn(shape), drawn(shape), None);
    move || {
        let (moved, next) = optimizer.step(1e-3, stack.clone(), grad.clone(), state.take());
        (stack, state) = (moved, next);
        black_box(stack.clone().into_data());
    }
}

/// The device that `BURN_GROW_DEVICE` names.
fn chosen() -> Device {
    device::chosen().1
}

/// Prints the median of the quotients of paired timings.
fn ratio(
    name: &str,
    limit: impl Into<Option<f64>>,
    rounds: usize,
    mut numerator: impl FnMut(),
    mut denominator: impl FnMut(),
) {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        chosen().sync().unwrap();
        start.elapsed()
    };
    for _ in 0..rounds / 10 + 1 {
        numerator();
        denominator();
    }
    let mut pairs: Vec<(Duration, Duration)> = (0..rounds)
        .map(|_| (time(&mut numerator), time(&mut denominator)))
        .collect();
    let quotient = |pair: &(Duration, Duration)| pair.0.as_secs_f64() / pair.1.as_secs_f64();
    pairs.sort_by(|a, b| quotient(a).total_cmp(&quotient(b)));
    let at = |fraction: f64| quotient(&pairs[((rounds - 1) as f64 * fraction) as usize]);
    let fastest = |side: fn(&(Duration, Duration)) -> Duration| pairs.iter().map(side).min();
    let limit = limit.into();
    let limit = limit.map_or_else(String::new, |limit: f64| format!(", limit {limit:.2}"));
    println!(
        "{:.3} (quartiles {:.3} to {:.3}{limit}): {name} [fastest {:.2?} / {:.2?}]",
        at(0.5),
        at(0.25),
        at(0.75),
        fastest(|pair| pair.0).unwrap(),
        fastest(|pair| pair.1).unwrap(),
    );
}

/// A language model for burn-train.
#[derive(Module, Growable, Debug)]
struct Language {
    model: MoeTransformer,
}

#[derive(Clone)]
struct Tokens(Tensor<2, Int>);

impl TrainStep for Language {
    type Input = Tokens;
    type Output = ();

    fn step(&self, item: Tokens) -> TrainOutput<()> {
        let loss = self.model.loss(item.0.clone(), item.0);
        TrainOutput::new(self, loss.total.backward(), ())
    }
}

impl InferenceStep for Language {
    type Input = Tokens;
    type Output = ();

    fn step(&self, _item: Tokens) {}
}

fn language(hidden: usize, inner: usize) -> Language {
    let config = MoeConfig {
        hidden,
        inner,
        ..MoeConfig::default()
    };
    Language {
        model: config.init(&chosen().autodiff()),
    }
}

fn tokens() -> Tokens {
    let values = (0..4 * 64)
        .map(|index| index * 31 % 256)
        .collect::<Vec<i64>>();
    Tokens(Tensor::from_data(
        TensorData::new(values, [4, 64]),
        &chosen().autodiff(),
    ))
}

fn adamw() -> AdamW {
    AdamWConfig::new().with_weight_decay(0.1).build()
}

fn bare() -> Learner<Language> {
    let optim = ModuleOptimizer::from(adamw().asymmetric());
    Learner::new(language(32, 16), optim, ConstantLr::new(1e-3))
}

fn wrapped() -> Learner<Growing<Language>> {
    let model = language(32, 16);
    let callback = WidthExpansionCallback::builder(usize::MAX >> 12)
        .expand(
            At::fraction(0.5),
            Growth::new(Expansion::by("inner", 2.0)).with_rewarmup(Rewarmup::cosine(0.0).paper()),
        )
        .build(&model)
        .unwrap();
    let optim = ModuleOptimizer::from(adamw().asymmetric());
    Learner::new(callback.wrap(model), optim, ConstantLr::new(1e-3))
}

fn model_step<M>(mut learner: Learner<M>) -> impl FnMut()
where
    M: TrainStep<Input = Tokens, Output = ()> + InferenceStep + Module,
    M: core::fmt::Display + 'static,
{
    let tokens = tokens();
    move || {
        let output = learner.train_step(tokens.clone());
        learner.lr_step();
        learner.optimizer_step(output.grads);
    }
}

#[divan::bench]
fn training_step_bare(bencher: divan::Bencher) {
    bencher.bench_local(model_step(bare()));
}

#[divan::bench]
fn training_step_progressive(bencher: divan::Bencher) {
    bencher.bench_local(model_step(wrapped()));
}

/// One matrix `[inner, hidden]`.
#[derive(Module, Growable, Debug)]
struct Matrix {
    #[grow(dims(fan_out = "inner", fan_in = "hidden"))]
    weight: Param<Tensor<2>>,
}

fn random(shape: [usize; 2]) -> Tensor<2> {
    Tensor::random(shape, Distribution::Default, &chosen())
}

struct Stepped {
    optim: ModuleOptimizer,
    matrix: Matrix,
}

fn stepped<O: Optimizer>(optim: O, shape: [usize; 2]) -> Stepped {
    let weight = Param::from_tensor(Tensor::from_inner(random(shape)));
    let mut stepped = Stepped {
        optim: ModuleOptimizer::from(optim),
        matrix: Matrix { weight },
    };
    stepped.step(&random(shape));
    stepped
}

impl Stepped {
    fn step(&mut self, grad: &Tensor<2>) {
        let mut grads = GradientsParams::new();
        grads.register(self.matrix.weight.id, grad.clone());
        self.matrix = self.optim.step(1e-3, self.matrix.clone(), grads);
    }
}

fn plain() -> Stepped {
    stepped(adamw(), [1024, 1024])
}

fn asymmetric<O: Optimizer>(optimizer: O, expansion: Option<Expansion>) -> Stepped {
    let Some(expansion) = expansion else {
        return stepped(optimizer.asymmetric(), [1024, 1024]);
    };
    let grown = |axis: &str| usize::from(expansion.targets.contains_key(&axis.into())) + 1;
    let shape = [1024 / grown("inner"), 1024 / grown("hidden")];
    let mut stepped = stepped(optimizer.asymmetric(), shape);
    let plan = Plan::new(&Blueprint::of(&stepped.matrix).unwrap(), &expansion).unwrap();
    let rewarmup = Rewarmup::cosine(1e-6).paper();
    stepped.optim = expand_optimizer(
        &stepped.optim,
        &stepped.matrix,
        &plan,
        StatePolicy::KeepAndZero,
        Some(rewarmup.ramp(100, 1_000_000)),
    )
    .unwrap();
    stepped.matrix = plan.apply(stepped.matrix).unwrap();
    stepped
}

fn optimizer_step(mut stepped: Stepped) -> impl FnMut() {
    let grad = random([1024, 1024]);
    move || stepped.step(&grad)
}

#[divan::bench]
fn adamw_plain(bencher: divan::Bencher) {
    bencher.bench_local(optimizer_step(plain()));
}

#[divan::bench]
fn adamw_asymmetric_one_axis(bencher: divan::Bencher) {
    let stepped = asymmetric(adamw(), Some(Expansion::by("inner", 2.0)));
    bencher.bench_local(optimizer_step(stepped));
}

#[divan::bench]
fn adamw_asymmetric_both_axes(bencher: divan::Bencher) {
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    bencher.bench_local(optimizer_step(asymmetric(adamw(), Some(both))));
}

fn trained(hidden: usize, inner: usize) -> (Language, ModuleOptimizer) {
    let mut learner_model = language(hidden, inner);
    let mut optim = ModuleOptimizer::from(adamw().asymmetric());
    let output = TrainStep::step(&learner_model, tokens());
    learner_model = optim.step(1e-3, learner_model, output.grads);
    (learner_model, optim)
}

fn expansion() -> impl FnMut() {
    let (model, optim) = trained(256, 256);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    let plan = Plan::new(&Blueprint::of(&model).unwrap(), &both).unwrap();
    let rewarmup = Rewarmup::cosine(1e-6).paper();
    move || {
        let ramp = Some(rewarmup.ramp(100, 1000));
        let policy = StatePolicy::KeepAndZero;
        let optim = expand_optimizer(&optim, &model, &plan, policy, ramp).unwrap();
        black_box((plan.apply(model.clone()).unwrap(), optim));
    }
}

/// The checkpoint of the expanded model, as the expansion leaves it behind.
fn save_and_load() -> impl FnMut() {
    let (model, optim) = trained(512, 512);
    let directory = tempfile::tempdir().unwrap();
    move || {
        let [file, state] = ["model.bpk", "optim.bpk"].map(|name| directory.path().join(name));
        model.clone().into_record().save(&file).unwrap();
        optim.save(&state).unwrap();
        let record = ModuleRecord::load(&file).unwrap();
        let model = model.clone().try_load_record(record).unwrap();
        black_box((model, optim.clone().load(&state).unwrap()));
    }
}

/// The bytes that the expanded parameters and their two moments hold, once.
fn copying() -> impl FnMut() {
    let (model, _) = trained(512, 512);
    let bytes = vec![1u8; 3 * 4 * model.num_params()];
    move || {
        black_box(bytes.clone());
    }
}

#[divan::bench]
fn expansion_both_axes(bencher: divan::Bencher) {
    bencher.bench_local(expansion());
}

#[divan::bench]
fn checkpoint_save_and_load(bencher: divan::Bencher) {
    bencher.bench_local(save_and_load());
}
