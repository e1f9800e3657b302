//! A generator and its critic, which train in a loop of one's own and grow apart from each other.

use burn::module::Module;
use burn::nn::{
    BatchNorm, BatchNormConfig, LeakyRelu, LeakyReluConfig, Linear, LinearConfig, Relu,
};
use burn::optim::{AdamWConfig, GradientsParams, RmsPropConfig};
use burn::tensor::{Device, Tensor};
use burn_grow::TrainError;
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;
use burn_grow_tests::data::values;

use crate::checks::narrow;
use crate::model::{Model, Sample, Size};

const LATENT: usize = 3;
const DATA: usize = 4;

#[derive(Module, Growable, Debug)]
pub(crate) struct Generator {
    #[grow(fan_out = "first")]
    linear1: Linear,
    #[grow(gain = "first")]
    norm: BatchNorm,
    #[grow(fan_in = "first", fan_out = "second")]
    linear2: Linear,
    #[grow(fan_in = "second")]
    linear3: Linear,
    activation: Relu,
}

impl Generator {
    fn forward(&self, noise: Tensor<2>) -> Tensor<2> {
        let x = self.norm.forward(self.linear1.forward(noise));
        let x = self.linear2.forward(self.activation.forward(x));
        self.linear3.forward(self.activation.forward(x)).tanh()
    }
}

impl Model for Generator {
    const AXES: &'static [(&'static str, usize)] = &[("first", 8), ("second", 10)];

    fn built(size: &Size, device: &Device) -> Self {
        let (first, second) = (size.of("first"), size.of("second"));
        Self {
            linear1: LinearConfig::new(LATENT, first).init(device),
            norm: BatchNormConfig::new(first).init(device),
            linear2: LinearConfig::new(first, second).init(device),
            linear3: LinearConfig::new(second, DATA).init(device),
            activation: Relu::new(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([6, LATENT]))
    }

    fn loss(&self, sample: &Sample) -> Tensor<1> {
        sample.regressed(self.output(sample))
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Critic {
    #[grow(fan_out = "wide")]
    linear1: Linear,
    #[grow(fan_in = "wide", fan_out = "narrow")]
    linear2: Linear,
    #[grow(fan_in = "narrow")]
    linear3: Linear,
    activation: LeakyRelu,
}

impl Critic {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.activation.forward(self.linear1.forward(x));
        let x = self.activation.forward(self.linear2.forward(x));
        self.linear3.forward(x)
    }
}

impl Model for Critic {
    const AXES: &'static [(&'static str, usize)] = &[("wide", 10), ("narrow", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let (wide, narrow) = (size.of("wide"), size.of("narrow"));
        Self {
            linear1: LinearConfig::new(DATA, wide).init(device),
            linear2: LinearConfig::new(wide, narrow).init(device),
            linear3: LinearConfig::new(narrow, 1).init(device),
            activation: LeakyReluConfig::new().init(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([6, DATA]))
    }

    fn loss(&self, sample: &Sample) -> Tensor<1> {
        sample.regressed(self.output(sample))
    }
}

/// Three steps of the critic for one of the generator; each model has a loop of its own.
#[test]
fn a_generator_and_its_critic_grow_in_one_loop() -> Result<(), TrainError> {
    let device = Device::flex().autodiff();
    let (mut generator, mut critic): (Generator, Critic) = (narrow(1, &device), narrow(2, &device));
    let rounds = 8;
    let mut generators = WidthExpansionCallback::builder(rounds)
        .expand(
            At::step(3),
            Expansion::by("first", 2.0).and_by("second", 1.5),
        )
        .build(&generator)?
        .growth_loop()?;
    let mut critics = WidthExpansionCallback::builder(3 * rounds)
        .expand(At::step(10), Expansion::by("wide", 2.0))
        .build(&critic)?
        .growth_loop()?;
    let mut generator_optim = RmsPropConfig::new().init_asymmetric();
    let mut critic_optim = RmsPropConfig::new().init_asymmetric();
    let lr = 1e-3;
    for round in 0..rounds as u64 {
        for step in 0..3 {
            let sample = Sample::new(10 * round + step, &device);
            let fake = generator.output(&sample).detach();
            let real = sample.floats([6, DATA]);
            let loss = critic.forward(fake).mean() - critic.forward(real).mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &critic);
            critic = critic_optim.step(lr, critic, gradients);
            critics.step(lr, &mut critic, &mut critic_optim)?;
        }
        let fake = generator.output(&Sample::new(10 * round, &device));
        let loss = critic.forward(fake).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &generator);
        generator = generator_optim.step(lr, generator, gradients);
        generators.step(lr, &mut generator, &mut generator_optim)?;
    }
    assert!(generators.shortfall().is_none() && critics.shortfall().is_none());
    assert_eq!(generator.linear2.weight.dims(), [16, 15]);
    assert_eq!(critic.linear2.weight.dims(), [20, 6]);
    let judged = critic.forward(generator.output(&Sample::new(99, &device)));
    let judged: Vec<f32> = judged.try_into_vec_as().unwrap();
    assert!(judged.iter().all(|score| score.is_finite()), "{judged:?}");
    Ok(())
}

/// Burn keeps the last update of batch statistics aside until the next forward pass or validation,
/// and its records do not hold what is kept aside.
#[test]
fn a_checkpoint_has_the_last_batch_statistics() -> Result<(), TrainError> {
    let device = Device::flex().autodiff();
    let mut model: Generator = narrow(1, &device);
    let mut optim = AdamWConfig::new().init_asymmetric();
    let mut growth = WidthExpansionCallback::builder(20)
        .expand(At::step(10), Expansion::by("first", 2.0))
        .build(&model)?
        .growth_loop()?;
    let loss = model.loss(&Sample::new(3, &device));
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    model = optim.step(1e-3, model, gradients);
    growth.step(1e-3, &mut model, &mut optim)?;
    let directory = tempfile::tempdir().unwrap();
    growth.save(directory.path(), 1, &model, &optim)?;
    let mut loaded: Generator = narrow(9, &device);
    let mut fresh = AdamWConfig::new().init_asymmetric();
    growth.load(directory.path(), 1, &mut loaded, &mut fresh)?;
    let mean = values(model.norm.running_mean.value_sync());
    assert!(mean.iter().any(|mean| *mean != 0.0));
    assert_eq!(values(loaded.norm.running_mean.value()), mean);
    Ok(())
}
