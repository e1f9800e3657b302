//! Runs that trade time or bits for memory, through an expansion: accumulated gradients, activations
//! computed twice, parameters in half precision.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::harness::{EPOCHS, Net, Strategy, checkpoint, learner, local, parameters, training_on};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use burn::train::LearningResult;
use burn_grow::moe::{MoeConfig, MoeTransformer};
use burn_grow::optim::AsymmetricExt;
use burn_grow::optim::{MixedPrecision, expand_optimizer};
use burn_grow::prelude::*;
use burn_grow::train::Growing;
use burn_grow::{Growth, Rewarmup, StatePolicy};
use burn_grow_tests::data::cast;
use burn_grow_tests::dump;
use rstest::rstest;

/// How a run saves memory.
#[derive(Clone, Copy, Debug)]
struct Saving {
    checkpointing: bool,
    dtype: FloatDType,
}

impl Saving {
    /// Burn 0.22.1 computes nothing twice unless the model was made on such a device, whatever the training says.
    fn device(self) -> Device {
        let device = Device::flex().autodiff();
        match self.checkpointing {
            true => device.gradient_checkpointing(),
            false => device,
        }
    }

    /// One that needs no state in single precision has it all the same: it changes nothing.
    fn optim(self) -> ModuleOptimizer {
        let adamw = AdamWConfig::new().with_beta_2(0.95).with_weight_decay(0.1);
        ModuleOptimizer::from(MixedPrecision::new(adamw.build().asymmetric()))
    }

    fn run(
        self,
        directory: &Path,
        strategy: Strategy,
        from: Option<usize>,
    ) -> LearningResult<Growing<Net>> {
        // A resumed run begins with other values.
        let seed = if from.is_some() { 9.0 } else { 0.0 };
        let narrow = cast(Net::new(4, 4, seed, &self.device()), self.dtype);
        let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
        let callback = WidthExpansionCallback::builder(strategy.total_steps())
            .expand(
                At::fraction(0.5),
                Growth::new(both).with_rewarmup(Rewarmup::cosine(0.0).paper()),
            )
            .build(&narrow)
            .unwrap();
        let mut training = callback.attach(training_on(&local(), directory, strategy, EPOCHS));
        if self.checkpointing {
            training = training.gradient_checkpointing();
        }
        if let Some(from) = from {
            training = training.checkpoint(from);
        }
        let model = callback.wrap(narrow);
        let result = training.launch(learner(model, self.optim(), strategy));
        assert!(callback.failure().is_none());
        result
    }
}

/// Copies the checkpoints of a run, so that a second one can go on from them.
fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let checkpoints = to.path().join("checkpoint");
    std::fs::create_dir_all(&checkpoints).unwrap();
    for entry in std::fs::read_dir(from.join("checkpoint")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), checkpoints.join(entry.file_name())).unwrap();
    }
    to
}

#[rstest]
fn a_run_grows_and_resumes_bit_exactly(
    #[values(Strategy::Single, Strategy::Accumulate)] strategy: Strategy,
    #[values(true, false)] checkpointing: bool,
    #[values(FloatDType::F32, FloatDType::BF16)] dtype: FloatDType,
) {
    let saving = Saving {
        checkpointing,
        dtype,
    };
    let whole = tempfile::tempdir().unwrap();
    let result = saving.run(whole.path(), strategy, None);
    let model = result.model.into_inner();
    for (path, param) in dump::params(&model) {
        assert_eq!(param.dtype, DType::from(dtype), "{path}");
        assert!(
            param.values().iter().all(|value| value.is_finite()),
            "{path}"
        );
    }
    // From before the expansion, and from after it.
    for epoch in [1, 3] {
        let resumed = copied(whole.path());
        let result = saving.run(resumed.path(), strategy, Some(epoch));
        assert_eq!(
            parameters(result.model.into_inner()),
            parameters(model.clone())
        );
        assert_eq!(
            checkpoint(resumed.path(), EPOCHS),
            checkpoint(whole.path(), EPOCHS)
        );
    }
}

/// Computing activations again gives the same ones.
#[test]
fn gradient_checkpointing_changes_no_bit() {
    let run = |checkpointing| {
        let directory = tempfile::tempdir().unwrap();
        let saving = Saving {
            checkpointing,
            dtype: FloatDType::F32,
        };
        let result = saving.run(directory.path(), Strategy::Single, None);
        parameters(result.model.into_inner())
    };
    assert_eq!(run(true), run(false));
}

fn tokens(step: usize, device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i64> = (0..4 * 24)
        .map(|index| ((index % 24) * (index / 24 + 2) + step) as i64 % 32)
        .collect();
    Tensor::from_data(TensorData::new(tokens, [4, 24]), device)
}

/// The MoE transformer learns on after its expansion, and its loss does not jump at it.
#[rstest]
fn a_transformer_of_experts_grows(
    #[values(true, false)] checkpointing: bool,
    #[values(FloatDType::F32, FloatDType::BF16)] dtype: FloatDType,
) {
    let saving = Saving {
        checkpointing,
        dtype,
    };
    let device = saving.device();
    device.seed(1);
    let config = MoeConfig {
        vocab_size: 32,
        n_layers: 1,
        ..MoeConfig::default()
    };
    let mut model: MoeTransformer = cast(config.init(&device), dtype);
    let mut optim = saving.optim();
    let mut losses = Vec::new();
    for at in 0..40 {
        if at == 20 {
            let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
            let plan = Plan::new(&Blueprint::of(&model).unwrap(), &both).unwrap();
            let rewarmup = Rewarmup::cosine(0.0).paper();
            let ramp = Some(rewarmup.ramp(at, 40));
            let keep = StatePolicy::KeepAndZero;
            optim = expand_optimizer(&optim, &model, &plan, keep, ramp).unwrap();
            model = plan.apply(model).unwrap();
        }
        let tokens = tokens(at, &device);
        let loss = model.loss(
            tokens.clone().slice([0..4, 0..23]),
            tokens.slice([0..4, 1..24]),
        );
        losses.push(loss.cross_entropy.into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.total.backward(), &model);
        model = optim.step(3e-3, model, grads);
    }
    assert_eq!(model.config().hidden, 64);
    let (before, at, after) = (losses[19], losses[20], losses[39]);
    assert!((at - before).abs() < 0.2, "{before} to {at}");
    assert!(
        losses[0] > 1.3 * before && before > 1.2 * after,
        "{losses:?}"
    );
    let params = dump::params(&model);
    assert!(
        params
            .values()
            .all(|param| param.dtype == DType::from(dtype))
    );
}
