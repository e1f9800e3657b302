//! Checkpoints of models in which a part was replaced, and reports of expansions that buy nothing.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::harness::{Net, Strategy, adamw, loader, parameters, scheduler};
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::Device;
use burn::train::TrainStep;
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;
use burn_grow::train::{ExpansionReport, GrowthLoop};
use burn_grow::{Growth, Rewarmup, StatePolicy};
use burn_pack::Reader;

const TOTAL: usize = 24;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn callback(at: usize) -> WidthExpansionCallback {
    WidthExpansionCallback::builder(TOTAL)
        .expand(At::step(at), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap()
}

/// One epoch of six steps.
fn epoch(model: &mut Net, optim: &mut ModuleOptimizer, growth: &mut GrowthLoop) {
    let batches = loader(24).to_device(&Device::flex().autodiff());
    for batch in batches.iter() {
        let grads = TrainStep::step(model, batch.unwrap()).grads;
        *model = optim.step(1e-2, model.clone(), grads);
        growth.step(1e-2, model, optim).unwrap();
    }
}

fn reader(directory: &Path) -> Reader {
    Reader::from_file(directory.join("checkpoint/optim-1.bpk")).unwrap()
}

/// The optimizer keeps the state of a parameter that it no longer meets.
fn saved_with_a_new_head(
    directory: &Path,
    callback: &WidthExpansionCallback,
) -> (Net, ModuleOptimizer, GrowthLoop) {
    let mut model = narrow();
    let mut optim = adamw();
    let mut growth = callback.growth_loop().unwrap();
    // A step with the old head, which leaves it a state.
    let batch = loader(4)
        .to_device(&Device::flex().autodiff())
        .iter()
        .next()
        .unwrap();
    let grads = TrainStep::step(&model, batch.unwrap()).grads;
    model = optim.step(1e-2, model, grads).with_new_head(9.0);
    epoch(&mut model, &mut optim, &mut growth);
    growth.save(directory, 1, &model, &optim).unwrap();
    (model, optim, growth)
}

#[test]
fn a_run_whose_model_got_a_new_head_resumes_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let callback = callback(8);
    let (mut model, mut optim, mut growth) = saved_with_a_new_head(directory.path(), &callback);
    let ids: Vec<_> = reader(directory.path())
        .metadata()
        .values()
        .cloned()
        .collect();
    let heads = ids.iter().filter(|path| path.starts_with("head.")).count();
    assert_eq!(heads, 4, "the old head's state is in the file: {ids:?}");

    let mut resumed = (narrow(), adamw(), callback.growth_loop().unwrap());
    let found = resumed
        .2
        .resume(directory.path(), &mut resumed.0, &mut resumed.1)
        .unwrap();
    assert_eq!(found.map(|found| found.epoch), Some(1));
    epoch(&mut model, &mut optim, &mut growth);
    epoch(&mut resumed.0, &mut resumed.1, &mut resumed.2);
    assert_eq!(growth.position(), resumed.2.position());
    assert_eq!(growth.position().stage, 1);
    assert_eq!(parameters(model), parameters(resumed.0));
}

#[test]
fn a_checkpoint_widened_on_disk_leaves_the_state_of_a_replaced_head_behind() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let callback = callback(6);
    // Saved before the expansion that is due after its last step.
    let saving = self::callback(8);
    saved_with_a_new_head(from.path(), &saving);
    let path = from.path().join("checkpoint/scheduler-1.bpk");
    scheduler(Strategy::Single).to_record().save(path).unwrap();
    callback
        .expand_checkpoint(from.path(), 1, to.path(), &narrow())
        .unwrap();

    let (old, new) = (reader(from.path()), reader(to.path()));
    let heads = |reader: &Reader| {
        let paths = reader.metadata().values();
        paths.filter(|path| path.starts_with("head.")).count()
    };
    assert_eq!((heads(&old), heads(&new)), (4, 2));
    let known = |name: &str| {
        let id = name.split_once('.').unwrap().0;
        new.metadata().contains_key(id)
    };
    assert!(new.scalars().keys().all(|name| known(name)));
    assert!(new.tensor_names().iter().all(|name| known(name)));
}

/// A record in which nothing belongs to the model is of another run.
#[test]
fn the_optimizer_of_another_model_is_still_rejected() {
    let [mine, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let callback = callback(8);
    for directory in [&mine, &other] {
        let (mut model, mut optim) = (narrow(), adamw());
        let mut growth = callback.growth_loop().unwrap();
        epoch(&mut model, &mut optim, &mut growth);
        growth.save(directory.path(), 1, &model, &optim).unwrap();
    }
    let file = "checkpoint/optim-1.bpk";
    fs::copy(other.path().join(file), mine.path().join(file)).unwrap();
    let growth = callback.growth_loop().unwrap();
    let error = growth.last_good_epoch(mine.path(), &narrow()).unwrap_err();
    assert!(
        error.to_string().contains("belongs to no parameter"),
        "{error}"
    );
}

#[test]
fn an_expansion_that_leaves_copies_locked_reports_it() {
    let report = |growth: Growth, mut optim: ModuleOptimizer| {
        let reports: Arc<Mutex<Vec<ExpansionReport>>> = Arc::default();
        let seen = reports.clone();
        let callback = WidthExpansionCallback::builder(TOTAL)
            .expand(At::step(3), growth)
            .on_expand(move |report, _| seen.lock().unwrap().push(report.clone()))
            .build(&narrow())
            .unwrap();
        let mut growth = callback.growth_loop().unwrap();
        epoch(&mut narrow(), &mut optim, &mut growth);
        let reports = reports.lock().unwrap();
        reports[0].clone()
    };
    let by = || Growth::new(Expansion::by("inner", 2.0));
    let sgd = || SgdConfig::new().init_asymmetric();
    let one = || by().with_rewarmup(Rewarmup::proportional().with_rho(1.0));
    for growth in [by().without_rewarmup(), one()] {
        let report = report(growth, sgd());
        let locked = report.locked.clone().unwrap();
        assert_eq!(locked.axes, ["inner".into()]);
        assert!(report.to_string().contains(&locked.to_string()), "{report}");
    }
    for (growth, optim) in [
        (by(), sgd()),
        (by().without_rewarmup(), adamw()),
        (one(), adamw()),
    ] {
        assert_eq!(report(growth, optim).locked, None);
    }
    let copied = by().with_state(StatePolicy::CopyAll).without_rewarmup();
    assert!(report(copied, adamw()).locked.is_some());
}
