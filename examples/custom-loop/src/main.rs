//! A training loop of one's own, without `Learner`, whose model widens midway and which resumes.

use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::grad_clipping::GradientClippingConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;

const DIRECTORY: &str = "target/custom-loop";
const STEPS_PER_EPOCH: usize = 64;
const EPOCHS: usize = 10;

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

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let y = x.clone().sin();
        let output = self.down.forward(self.up.forward(x).tanh());
        (output - y).square().mean()
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

/// From 0.01 to zero along a cosine: a function of the step, which needs no file to resume.
fn learning_rate(step: usize) -> f64 {
    let progress = step as f64 / (STEPS_PER_EPOCH * EPOCHS) as f64;
    5e-3 * (1.0 + (core::f64::consts::PI * progress).cos())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    let loader = |count: usize, device: &Device| {
        let points = (0..count).map(|point| point as f32 * core::f32::consts::TAU / count as f32);
        let points = InMemDataset::new(points.collect());
        let loader = DataLoaderBuilder::new(Points).batch_size(32).shuffle(0);
        loader.set_device(device.clone()).build(points)
    };
    let train = loader(32 * STEPS_PER_EPOCH, &device);
    let valid = loader(256, &Device::flex());

    let mut model = Sine::new(&device);
    let mut optim = AdamWConfig::new()
        .with_beta_2(0.95)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init_asymmetric(); // where Burn's own example says `init`
    let callback = WidthExpansionCallback::builder(STEPS_PER_EPOCH * EPOCHS)
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .on_expand(|report, _| println!("{report}"))
        .build(&model)?;

    let mut growth = callback.growth_loop()?;
    let resumed = growth.resume(DIRECTORY, &mut model, &mut optim)?;
    let first = resumed.map_or(1, |resumed| resumed.epoch + 1);
    for epoch in first..=EPOCHS {
        for batch in train.iter() {
            let lr = learning_rate(growth.position().step);
            let loss = model.loss(batch?);
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optim.step(lr, model, grads);
            growth.step(lr, &mut model, &mut optim)?;
        }
        let validated = model.valid();
        let losses: Result<Vec<f32>, _> = valid
            .iter()
            .map(|batch| batch.map(|x| validated.loss(x).into_scalar()))
            .collect();
        let losses = losses?;
        let mean = losses.iter().sum::<f32>() / losses.len() as f32;
        println!("epoch {epoch}: validation loss {mean:.6}");
        growth.save(DIRECTORY, epoch, &model, &optim)?;
    }
    match growth.shortfall() {
        Some(shortfall) => Err(shortfall.into()),
        None => {
            println!("{model}");
            Ok(())
        }
    }
}
