//! A training loop of one's own grows as a stock `Learner` does, saves and resumes.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::harness::{
    EPOCHS, Net, Strategy, adamw, checkpoint_by_path, learner, loader, parameters, run, scheduler,
    training,
};
use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, TrainStep};
use burn_grow::optim::OptimError;
use burn_grow::prelude::*;
use burn_grow::train::{GrowthLoop, Position, Slope, discard_after};
use burn_grow::{Growth, Rewarmup, TrainError};
use rstest::rstest;

const STEPS: usize = 6;

fn narrow(seed: f32) -> Net {
    Net::new(4, 4, seed, &Device::flex().autodiff())
}

/// Two expansions, the first at an epoch boundary, the second inside an epoch.
fn callback() -> WidthExpansionCallback {
    let cosine = Rewarmup::cosine(1e-3).with_steps(2);
    WidthExpansionCallback::builder(STEPS * EPOCHS)
        .expand(At::step(STEPS), Expansion::by("inner", 2.0))
        .expand(
            At::step(2 * STEPS + 1),
            Growth::new(Expansion::by("hidden", 1.5).and_by("inner", 1.5)).with_rewarmup(cosine),
        )
        .build(&narrow(0.0))
        .unwrap()
}

/// A model with everything that trains it.
struct Loop {
    model: Net,
    optim: ModuleOptimizer,
    scheduler: ModuleLrScheduler,
    growth: GrowthLoop,
}

impl Loop {
    fn new(callback: &WidthExpansionCallback, seed: f32) -> Self {
        Self {
            model: narrow(seed),
            optim: adamw(),
            scheduler: scheduler(Strategy::Single),
            growth: callback.growth_loop().unwrap(),
        }
    }

    /// The epoch that burn-train takes, with its validation loss, and whether the model grew.
    fn epoch(&mut self, epoch: usize) -> Result<bool, TrainError> {
        let mut grown = false;
        let batches = loader(24).to_device(&Device::flex().autodiff());
        for batch in batches.iter() {
            let grads = TrainStep::step(&self.model, batch.unwrap()).grads;
            let lr = self.scheduler.step();
            let model = self.model.clone();
            self.model = self.optim.step(lr.clone(), model, grads);
            let (model, optim) = (&mut self.model, &mut self.optim);
            grown |= !self.growth.step(lr.base(), model, optim)?.is_empty();
        }
        let batches = loader(4).to_device(&Device::flex());
        let model = self.model.valid();
        let losses = batches.iter().map(|batch| {
            let output = InferenceStep::step(&model, batch.unwrap());
            f64::from(output.loss.into_scalar::<f32>())
        });
        self.growth.record_epoch(epoch, [("Loss", losses.sum())])?;
        Ok(grown)
    }

    /// Counts a step that was not taken.
    fn count(&mut self) -> Result<bool, TrainError> {
        let (model, optim) = (&mut self.model, &mut self.optim);
        Ok(!self.growth.step(1e-3, model, optim)?.is_empty())
    }

    fn save(&self, directory: &Path, epoch: usize) -> Result<(), TrainError> {
        self.growth
            .save(directory, epoch, &self.model, &self.optim)?;
        let path = directory.join(format!("checkpoint/scheduler-{epoch}.bpk"));
        self.scheduler.to_record().save(path).unwrap();
        Ok(())
    }

    /// Goes on from the newest checkpoint, if there is one, until the end of `epochs`.
    fn run(&mut self, directory: &Path, epochs: usize) -> Result<(), TrainError> {
        let growth = &mut self.growth;
        let resumed = growth.resume(directory, &mut self.model, &mut self.optim)?;
        let begun = resumed.map_or(0, |resumed| resumed.epoch);
        for _ in 0..begun * STEPS {
            self.scheduler.step();
        }
        for epoch in begun + 1..=epochs {
            self.epoch(epoch)?;
            self.save(directory, epoch)?;
        }
        Ok(())
    }
}

#[test]
fn a_loop_of_ones_own_ends_bit_identical_to_a_learner_and_resumes_across_expansions() {
    let learned = tempfile::tempdir().unwrap();
    let result = run(&callback(), learned.path(), Strategy::Single, None, EPOCHS);
    assert!(result.error.is_none(), "{:?}", result.error);
    let end = Position {
        step: STEPS * EPOCHS,
        stage: 2,
    };
    assert_eq!(result.model.position(), end);
    let expected = checkpoint_by_path(learned.path(), EPOCHS);

    for interrupted in 0..=EPOCHS {
        let own = tempfile::tempdir().unwrap();
        Loop::new(&callback(), 0.0)
            .run(own.path(), interrupted)
            .unwrap();
        for epoch in 1..=interrupted {
            let found = checkpoint_by_path(own.path(), epoch);
            assert_eq!(
                found,
                checkpoint_by_path(learned.path(), epoch),
                "epoch {epoch}"
            );
        }
        // Other values and other identities, until the checkpoint is loaded.
        let seed = if interrupted > 0 { 9.0 } else { 0.0 };
        let mut resumed = Loop::new(&callback(), seed);
        resumed.run(own.path(), EPOCHS).unwrap();
        assert_eq!(resumed.growth.position(), end);
        assert!(resumed.growth.shortfall().is_none());
        assert_eq!(
            checkpoint_by_path(own.path(), EPOCHS),
            expected,
            "resumed after epoch {interrupted}"
        );
    }
}

#[test]
fn a_learner_goes_on_from_the_checkpoint_of_a_loop() {
    let learned = tempfile::tempdir().unwrap();
    run(&callback(), learned.path(), Strategy::Single, None, EPOCHS);
    let own = tempfile::tempdir().unwrap();
    Loop::new(&callback(), 0.0).run(own.path(), 2).unwrap();
    let callback = callback();
    let resumed = callback.resume(own.path(), &narrow(9.0)).unwrap().unwrap();
    assert_eq!((resumed.epoch, resumed.position.stage), (2, 1));
    let from = Some(resumed.epoch);
    run(&callback, own.path(), Strategy::Single, from, EPOCHS);
    assert_eq!(
        checkpoint_by_path(own.path(), EPOCHS),
        checkpoint_by_path(learned.path(), EPOCHS)
    );
}

/// No loss is steep enough for it: it fires as soon as it has two epochs.
fn on_a_metric() -> WidthExpansionCallback {
    WidthExpansionCallback::builder(STEPS * EPOCHS)
        .expand(Slope::new("Loss", 2, 1e6), Expansion::by("inner", 2.0))
        .build(&narrow(0.0))
        .unwrap()
}

#[test]
fn a_metric_that_is_told_by_hand_decides_as_under_a_learner() {
    let strategy = Strategy::Single;
    let callback = on_a_metric();
    let learned = tempfile::tempdir().unwrap();
    let keep = callback.checkpointing(KeepLastNCheckpoints::new(EPOCHS));
    let training = training(learned.path(), strategy, EPOCHS)
        .metric_valid_numeric(LossMetric::new())
        .with_checkpointing_strategy(keep);
    let learner = learner(callback.wrap(narrow(0.0)), adamw(), strategy);
    let result = callback.attach(training).launch(learner);
    assert!(result.error.is_none(), "{:?}", result.error);

    for interrupted in 0..EPOCHS {
        let own = tempfile::tempdir().unwrap();
        let mut first = Loop::new(&on_a_metric(), 0.0);
        first.run(own.path(), interrupted).unwrap();
        let mut resumed = Loop::new(&on_a_metric(), 0.0);
        resumed.run(own.path(), EPOCHS).unwrap();
        assert_eq!(resumed.growth.position(), result.model.position());
        assert_eq!(
            parameters(resumed.model),
            parameters(result.model.inner().clone())
        );
    }
}

#[test]
fn what_a_loop_cannot_do_is_a_typed_error_and_moves_nothing() {
    // burn-train's events and metrics.
    let builder = || WidthExpansionCallback::builder(STEPS * EPOCHS);
    for (builder, name) in [
        (builder().on_event(|_| ()), "on_event"),
        (builder().copy_metrics(), "copy_metrics"),
    ] {
        let callback = builder.build(&narrow(0.0)).unwrap();
        let error = callback.growth_loop().unwrap_err();
        assert!(
            matches!(error, TrainError::NeedsAttach { setting } if setting == name),
            "{error}"
        );
    }
    // A plain optimizer under a re-warmup.
    let mut plain = Loop::new(&callback(), 0.0);
    plain.optim = AdamWConfig::new().init();
    let error = plain.epoch(1).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Optimizer(OptimError::NotAsymmetric { .. })
        ),
        "{error}"
    );
    assert_eq!(plain.growth.position().step, 0);

    // Metrics that nobody told.
    let directory = tempfile::tempdir().unwrap();
    let mut watching = Loop::new(&on_a_metric(), 0.0);
    let error = watching.growth.record_epoch(1, [("Accuracy", 0.5)]);
    assert!(matches!(
        error.unwrap_err(),
        TrainError::MissingMetric { epoch: 1, .. }
    ));
    watching.count().unwrap();
    let error = watching.save(directory.path(), 1).unwrap_err();
    assert!(
        matches!(error, TrainError::NotRecorded { epoch: 1 }),
        "{error}"
    );
    assert!(!directory.path().join("checkpoint").exists());

    // Steps that were counted wrong.
    let shortfall = Loop::new(&callback(), 0.0).growth.shortfall().unwrap();
    assert!(
        matches!(shortfall, TrainError::NotExpanded { .. }),
        "{shortfall}"
    );
}

#[test]
fn a_model_that_diverged_is_neither_saved_nor_expanded() {
    let directory = tempfile::tempdir().unwrap();
    let mut diverged = Loop::new(&callback(), 0.0);
    for _ in 1..STEPS {
        diverged.count().unwrap();
    }
    diverged.model = diverged.model.not_a_number();
    let error = diverged.count().unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    assert_eq!(diverged.growth.position().stage, 0);
    let error = diverged.save(directory.path(), 1).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
}

#[rstest]
#[case::damaged(true)]
#[case::of_another_plan(false)]
fn a_checkpoint_that_cannot_be_resumed_from_is_left_to_its_owner(#[case] damaged: bool) {
    let directory = tempfile::tempdir().unwrap();
    Loop::new(&callback(), 0.0)
        .run(directory.path(), 3)
        .unwrap();
    let newest = directory.path().join("checkpoint/optim-3.bpk");
    let narrower = Expansion::by("inner", 1.5);
    let other = WidthExpansionCallback::builder(STEPS * EPOCHS)
        .expand(At::step(STEPS), Expansion::by("inner", 2.0))
        .expand(At::step(2 * STEPS + 1), narrower)
        .build(&narrow(0.0))
        .unwrap();
    let callback = if damaged { callback() } else { other };
    if damaged {
        std::fs::write(&newest, "").unwrap();
    }
    let mut resumed = Loop::new(&callback, 9.0);
    let growth = &mut resumed.growth;
    let found = growth.resume(directory.path(), &mut resumed.model, &mut resumed.optim);
    if damaged {
        assert_eq!(found.unwrap().unwrap().epoch, 2);
        assert!(!newest.exists());
    } else {
        let error = found.unwrap_err();
        assert!(error.to_string().contains("another expansion"), "{error}");
        assert!(newest.exists());
        assert_eq!(parameters(resumed.model), parameters(narrow(9.0)));
    }
}

/// A generator and a discriminator, each with its plan and its directory.
#[test]
fn two_models_that_train_together_resume_from_the_same_epoch() {
    let plans = || {
        [(At::step(8), "inner"), (At::step(13), "hidden")].map(|(at, axis)| {
            WidthExpansionCallback::builder(STEPS * EPOCHS)
                .expand(at, Expansion::by(axis, 2.0))
                .build(&narrow(0.0))
                .unwrap()
        })
    };
    let root = tempfile::tempdir().unwrap();
    let folders = [root.path().join("generator"), root.path().join("critic")];
    let train = |both: &mut [Loop; 2], epochs: std::ops::RangeInclusive<usize>| {
        for epoch in epochs {
            for (one, folder) in both.iter_mut().zip(&folders) {
                one.epoch(epoch).unwrap();
                one.save(folder, epoch).unwrap();
            }
        }
    };
    let begin = |seed| plans().map(|plan| Loop::new(&plan, seed));
    let mut whole = begin(0.0);
    train(&mut whole, 1..=EPOCHS);
    let expected = folders
        .each_ref()
        .map(|folder| checkpoint_by_path(folder, EPOCHS));

    // A crash between the two: the second one lacks its last epoch.
    discard_after(&folders[1], 2).unwrap();
    let mut resumed = begin(9.0);
    let good = resumed.iter().zip(&folders).map(|(one, folder)| {
        let found = one.growth.last_good_epoch(folder, &one.model).unwrap();
        found.unwrap().epoch
    });
    let epoch = good.min().unwrap();
    assert_eq!(epoch, 2);
    for (one, folder) in resumed.iter_mut().zip(&folders) {
        let (model, optim) = (&mut one.model, &mut one.optim);
        one.growth.load(folder, epoch, model, optim).unwrap();
        discard_after(folder, epoch).unwrap();
        for _ in 0..epoch * STEPS {
            one.scheduler.step();
        }
    }
    train(&mut resumed, epoch + 1..=EPOCHS);
    for (folder, expected) in folders.iter().zip(expected) {
        assert_eq!(checkpoint_by_path(folder, EPOCHS), expected);
    }
}

#[test]
fn a_moving_average_follows_the_model_by_its_plans() {
    let mut one = Loop::new(&callback(), 0.0);
    // An average without memory is the model itself.
    let mut ema = one.model.clone();
    let mut plans = 0;
    for batch in loader(24 * EPOCHS)
        .to_device(&Device::flex().autodiff())
        .iter()
    {
        let grads = TrainStep::step(&one.model, batch.unwrap()).grads;
        one.model = one.optim.step(1e-3, one.model, grads);
        ema = one.model.clone();
        for plan in one
            .growth
            .step(1e-3, &mut one.model, &mut one.optim)
            .unwrap()
        {
            ema = plan.apply(ema).unwrap();
            plans += 1;
        }
        assert_eq!(parameters(ema.clone()), parameters(one.model.clone()));
    }
    assert_eq!(plans, 2);
    drop(ema);

    // Under a `Learner` the hook is handed the plan.
    let follower = Arc::new(Mutex::new(narrow(0.0)));
    let own = follower.clone();
    let callback = WidthExpansionCallback::builder(STEPS * EPOCHS)
        .expand(At::step(8), Expansion::by("inner", 2.0))
        .on_expand(move |_, plan| {
            let mut follower = own.lock().unwrap();
            *follower = plan.apply(follower.clone()).unwrap();
        })
        .build(&narrow(0.0))
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let result = run(&callback, directory.path(), Strategy::Single, None, EPOCHS);
    let widths = |model: &Net| Blueprint::of(model).unwrap().widths().clone();
    assert_eq!(
        widths(&follower.lock().unwrap()),
        widths(result.model.inner())
    );
}
