//! A clipped optimizer is still clipped through every documented recipe.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::{Module, Param, ParamGroup};
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use burn_grow::optim::{AsymmetricConfig, AsymmetricGroups, IntoModuleOptimizer};
use burn_grow::prelude::*;
use burn_grow::train::TrainOptions;
use burn_grow::{Growth, Scaling};
use rstest::rstest;

/// Two matrices, each under a gradient of norm 400.
#[derive(Module, Growable, Debug)]
struct Steep {
    #[grow(dims(fan_in = "hidden", fan_out = "inner"))]
    up: Param<Tensor<2>>,
    #[grow(dims(fan_in = "inner", fan_out = "hidden"))]
    down: Param<Tensor<2>>,
}

impl Steep {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let matrix = |shape: [usize; 2]| Param::from_tensor(Tensor::ones(shape, &device));
        Self {
            up: matrix([2, 4]),
            down: matrix([4, 2]),
        }
    }

    fn loss(&self) -> Tensor<1> {
        [&self.up, &self.down]
            .map(|matrix| {
                let size = matrix.val().shape().num_elements() as f32;
                matrix.val().sum().mul_scalar(400.0 / size.sqrt())
            })
            .into_iter()
            .reduce(|a, b| a + b)
            .unwrap()
    }

    /// How far each matrix is from where it began to be of this width.
    fn norms(&self) -> [f32; 2] {
        [&self.up, &self.down].map(|matrix| {
            let values: Vec<f32> = matrix.val().into_data().iter().collect();
            let first = values[0];
            (first - 1.0).abs() * (values.len() as f32).sqrt()
        })
    }
}

impl TrainStep for Steep {
    type Input = ();
    type Output = ();

    fn step(&self, (): ()) -> TrainOutput<()> {
        TrainOutput::new(self, self.loss().backward(), ())
    }
}

impl InferenceStep for Steep {
    type Input = ();
    type Output = ();

    fn step(&self, (): ()) {}
}

#[derive(Clone)]
struct Nothing;

impl Batcher<(), ()> for Nothing {
    fn batch(&self, _items: Vec<()>, _device: &Device) {}
}

fn batches(count: usize) -> Arc<dyn DataLoader<()>> {
    DataLoaderBuilder::new(Nothing)
        .batch_size(1)
        .build(InMemDataset::new(vec![(); count]))
}

/// How a model is trained for two steps at learning rate 1.
type Recipe = fn(&WidthExpansionCallback, ModuleOptimizer, &Path) -> Steep;

fn one_act(callback: &WidthExpansionCallback, optim: ModuleOptimizer, directory: &Path) -> Steep {
    let training = SupervisedTraining::new(directory, batches(2), batches(1))
        .with_application_logger(None)
        .num_epochs(1);
    // A sum of weights is no network, and a doubling does not keep it.
    let options = TrainOptions::new().without_rehearsal();
    let scheduler = ConstantLr::new(1.0);
    let trained = callback.train_with(training, Steep::new(), optim, scheduler, options);
    trained.unwrap().model
}

fn long_form(callback: &WidthExpansionCallback, optim: ModuleOptimizer, directory: &Path) -> Steep {
    let training = SupervisedTraining::new(directory, batches(2), batches(1))
        .with_application_logger(None)
        .num_epochs(1);
    let learner = Learner::new(callback.wrap(Steep::new()), optim, ConstantLr::new(1.0));
    let result = callback.attach(training).launch(learner);
    assert!(result.error.is_none(), "{:?}", result.error);
    result.model.into_inner()
}

fn own_loop(
    callback: &WidthExpansionCallback,
    mut optim: ModuleOptimizer,
    _directory: &Path,
) -> Steep {
    let mut growth = callback.growth_loop().unwrap();
    let mut model = Steep::new();
    for _ in 0..2 {
        let grads = GradientsParams::from_grads(model.loss().backward(), &model);
        model = optim.step(1.0, model, grads);
        growth.step(1.0, &mut model, &mut optim).unwrap();
    }
    model
}

/// Every documented recipe clips as the configuration says, before an expansion and after.
#[rstest]
fn a_clipped_optimizer_clips_through_every_recipe(
    #[values(one_act, long_form, own_loop)] recipe: Recipe,
    #[values(false, true)] grows: bool,
) {
    let clipped = |norm| SgdConfig::new().with_gradient_clipping(Some(norm));
    let whole = clipped(GradientClippingConfig::Norm(0.1));
    let group = clipped(GradientClippingConfig::Norm(3.0));
    let groups = whole
        .init_asymmetric()
        .with_asymmetric_group(ParamGroup::from_path("down"), &group);
    for (optim, expected) in [
        (whole.into_module_optimizer(), [0.2, 0.2]),
        (groups, [0.2, 6.0]),
    ] {
        let mut builder = WidthExpansionCallback::builder(2);
        if grows {
            // Nothing is rescaled, so that the distances stay as they are.
            let double = Expansion::by("inner", 2.0).with_scaling(Scaling::None);
            builder = builder.expand(At::step(1), Growth::new(double).without_rewarmup());
        }
        let callback = builder.build(&Steep::new()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let model = recipe(&callback, optim, directory.path());
        let [up, down] = model.norms();
        let expected = expected.map(|norm| {
            // The first step was taken with half as many elements, the second one with all.
            if grows {
                norm / 2.0 * (2.0_f32.sqrt() + 1.0)
            } else {
                norm
            }
        });
        for (found, expected) in [(up, expected[0]), (down, expected[1])] {
            assert!((found - expected).abs() < 1e-3, "{found}, not {expected}");
        }
    }
}
