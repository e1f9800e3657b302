//! Runs of burn-train: interrupted and resumed, over replicas, stopped by a NaN, saved as they go on.

use std::path::Path;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::train::TrainStep;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup, TrainError};
use burn_grow_tests::data::distance;
use burn_grow_tests::dump;

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::harness::observed::{assert_equal, replicas};
use crate::harness::{
    Batch, EPOCHS, Net, Strategy, adamw, checkpoint, learner, loader, run_on, training_on,
};
use crate::kind::Kind;

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    let check = |name, short, run| Check { name, short, run };
    checks.extend([
        check("run, resumed", false, |on, found| {
            resumed(on, found, Strategy::Single);
        }),
        check("run, gradients accumulated", false, |on, found| {
            resumed(on, found, Strategy::Accumulate);
        }),
        check("run, two replicas", false, |on, found| {
            resumed(on, found, Strategy::MultiMain);
        }),
        check("run, two replicas, sharded", false, |on, found| {
            resumed(on, found, Strategy::MultiSharded);
        }),
        check("replicas are equal", false, |on, _| {
            equal_replicas(on, Strategy::MultiMain);
        }),
        check("replicas are equal, sharded", false, |on, _| {
            equal_replicas(on, Strategy::MultiSharded);
        }),
        check("run, stopped by a NaN", true, |on, _| not_a_number(on)),
        check("run, saved as it goes on", true, |on, _| saved(on)),
    ]);
}

fn narrow(on: &On, seed: f32) -> Net {
    Net::new(4, 4, seed, &on.autodiff())
}

/// Two expansions, the first at an epoch boundary, the second inside an epoch.
fn callback(on: &On, strategy: Strategy) -> WidthExpansionCallback {
    let grow = |expansion| {
        let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(2);
        Growth::new(expansion).with_rewarmup(rewarmup)
    };
    let steps = strategy.steps_per_epoch();
    let both = Expansion::by("hidden", 1.5).and_by("inner", 1.5);
    WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::step(steps), grow(Expansion::by("inner", 2.0)))
        .expand(At::step(2 * steps + 1), grow(both))
        .build(&narrow(on, 0.0))
        .unwrap()
}

/// The resumed run ends bit-equal to the whole one, before, between and after the expansions.
fn resumed(on: &On, found: &mut Findings, strategy: Strategy) {
    let whole = tempfile::tempdir().unwrap();
    let run = |directory: &Path, from| {
        let callback = callback(on, strategy);
        let narrow = |seed| narrow(on, seed);
        let result = run_on(
            &on.two, &callback, narrow, directory, strategy, from, EPOCHS,
        );
        assert!(result.error.is_none(), "{:?}", result.error);
        result.model.into_inner()
    };
    let end = run(whole.path(), None);
    found.add_params(Kind::Training, "end", &end);
    let end = dump::params(&end);
    let expected = checkpoint(whole.path(), EPOCHS);
    for interrupted in 1..EPOCHS {
        let directory = tempfile::tempdir().unwrap();
        let files = directory.path().join("checkpoint");
        std::fs::create_dir_all(&files).unwrap();
        for name in ["model", "optim", "scheduler"] {
            let file = format!("checkpoint/{name}-{interrupted}.bpk");
            let copy = directory.path().join(&file);
            std::fs::copy(whole.path().join(&file), copy).unwrap();
        }
        let resumed = dump::params(&run(directory.path(), Some(interrupted)));
        for (path, param) in &end {
            let apart = distance(&resumed[path].values(), &param.values());
            assert_eq!(apart, 0.0, "{path}, resumed after epoch {interrupted}");
        }
        let found = checkpoint(directory.path(), EPOCHS);
        assert!(found == expected, "resumed after epoch {interrupted}");
    }
}

fn equal_replicas(on: &On, strategy: Strategy) {
    let directory = tempfile::tempdir().unwrap();
    assert_equal(&replicas(&on.two, directory.path(), strategy), strategy);
}

fn not_a_number(on: &On) {
    let (strategy, directory) = (Strategy::Single, tempfile::tempdir().unwrap());
    let callback = callback(on, strategy);
    let training = training_on(&on.two, directory.path(), strategy, EPOCHS);
    let model = callback.wrap(narrow(on, 0.0).not_a_number());
    let result = callback
        .attach(training)
        .launch(learner(model, adamw(), strategy));
    assert!(result.error.is_some());
    let failure = callback.failure().unwrap();
    let named = matches!(&*failure, TrainError::NotFinite { stage: 0, .. });
    assert!(named, "{failure}");
}

/// What a checkpoint is made of stays as it was, although burn-train writes it on another thread,
/// after the next steps maybe.
fn saved(on: &On) {
    let (strategy, directory) = (Strategy::Single, tempfile::tempdir().unwrap());
    let training = training_on(&on.two, directory.path(), strategy, EPOCHS);
    let _attached = callback(on, strategy).attach::<Net>(training);
    let batches = loader(24).to_device(&on.autodiff());
    let batches: Vec<Batch> = batches.iter().map(Result::unwrap).collect();
    let (mut model, mut optim) = (narrow(on, 0.0), adamw());
    for batch in &batches[..2] {
        model = step(model, &mut optim, batch);
    }
    let expected = (dump::params(&model), dump::record(&optim));
    let saved = (model.clone().into_record(), optim.to_record());
    for batch in &batches[2..] {
        model = step(model, &mut optim, batch);
    }
    assert_ne!(dump::params(&model), expected.0, "it goes on");
    let model = narrow(on, 9.0).load_record(saved.0);
    let optim = adamw().load_record(saved.1);
    assert_eq!(dump::params(&model), expected.0);
    assert_eq!(dump::record(&optim), expected.1);
}

fn step(model: Net, optim: &mut ModuleOptimizer, batch: &Batch) -> Net {
    let gradients = TrainStep::step(&model, batch.clone()).grads;
    optim.step(1e-2, model, gradients)
}
