//! The callback inside stock burn-train runs: what it leaves alone, what it reports, and how it
//! fails.
#![allow(clippy::unwrap_used)]

mod copies;

use std::fs;
use std::sync::{Arc, Mutex};

use crate::harness::{
    EPOCHS, Net, Strategy, adamw, checkpoint, learner, parameters, run, training,
};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Device;
use burn_grow::optim::{OptimError, RewarmupScope};
use burn_grow::prelude::*;
use burn_grow::train::{
    Event, ExpansionReport, WidthExpansionBuilder, discard_after, saved_epochs,
};
use burn_grow::{Growth, Rewarmup, Scaling, StatePolicy};
use burn_grow::{InitPair, TrainError};
use rstest::rstest;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

#[test]
fn a_callback_without_expansions_changes_nothing() {
    for strategy in Strategy::ALL {
        let plain = tempfile::tempdir().unwrap();
        let expected = training(plain.path(), strategy, EPOCHS)
            .launch(learner(narrow(), adamw(), strategy))
            .model;

        let wrapped = tempfile::tempdir().unwrap();
        let callback = WidthExpansionCallback::builder(strategy.total_steps())
            .build(&narrow())
            .unwrap();
        let model = run(&callback, wrapped.path(), strategy, None, EPOCHS).model;
        assert_eq!(
            parameters(model.into_inner()),
            parameters(expected),
            "{strategy:?}"
        );
    }
}

#[test]
fn an_expansion_to_the_present_width_changes_nothing() {
    let strategy = Strategy::Single;
    let build = |expansions: usize| {
        let mut builder = WidthExpansionCallback::builder(strategy.total_steps());
        for _ in 0..expansions {
            let growth = Growth::new(Expansion::to("inner", 4).and_by("hidden", 1.0))
                .with_rewarmup(Rewarmup::cosine(0.0).paper().with_rho(3.0));
            builder = builder.expand(At::step(7), growth);
        }
        builder.build(&narrow()).unwrap()
    };
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [never, once] = [0, 1].map(|expansions: usize| {
        let directory = directories[expansions].path();
        let result = run(&build(expansions), directory, strategy, None, EPOCHS);
        assert_eq!(result.model.position().stage, expansions);
        parameters(result.model.into_inner())
    });
    assert_eq!(never, once);
}

#[test]
fn every_strategy_expands_at_the_same_step_and_reports_it() {
    for strategy in Strategy::ALL {
        let reports: Arc<Mutex<Vec<ExpansionReport>>> = Arc::default();
        let seen = reports.clone();
        let callback = WidthExpansionCallback::builder(strategy.total_steps())
            .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
            .expand(At::fraction(0.75), Expansion::by("hidden", 1.5))
            .on_expand(move |report, _| seen.lock().unwrap().push(report.clone()))
            .build(&narrow())
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let result = run(&callback, directory.path(), strategy, None, EPOCHS);
        assert!(result.error.is_none(), "{:?}", result.error);
        let grown = Blueprint::of(result.model.inner()).unwrap();
        assert_eq!(grown.widths()[&"inner".into()], 8);
        assert_eq!(grown.widths()[&"hidden".into()], 6);

        let reports = reports.lock().unwrap();
        assert_eq!(reports.len(), 2, "{strategy:?}");
        assert_eq!(reports[0].step, strategy.total_steps() / 2);
        assert_eq!(
            reports[0].axes[0]
                .factor
                .as_ref()
                .and_then(|factor| factor.uniform()),
            Some(0.5)
        );
        assert_eq!(reports[1].step, strategy.total_steps() * 3 / 4);
        assert_eq!(reports[1].params.1, grown.num_params());
        assert_eq!(reports[0].params.1, reports[1].params.0);
    }
}

#[test]
fn observers_see_start_epochs_splits_items_and_end() {
    let names: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = names.clone();
    let strategy = Strategy::Single;
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .on_event(move |event| {
            let name = match event {
                Event::Start {
                    total_epochs,
                    starting_epoch,
                } => format!("start {starting_epoch}/{total_epochs}"),
                Event::SplitStart { split, total_items } => format!("{split} {total_items}"),
                Event::Items { processed } => format!("items {processed}"),
                Event::SplitEnd => "split end".into(),
                Event::Epoch { epoch, metrics } => {
                    let width = metrics.find_metric(
                        "Width inner",
                        *epoch,
                        burn::train::metric::store::Aggregate::Mean,
                        &burn::train::metric::store::Split::Train,
                    );
                    format!("epoch {epoch} width {}", width.unwrap())
                }
                Event::End => "end".into(),
                _ => return,
            };
            seen.lock().unwrap().push(name);
        })
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    run(&callback, directory.path(), strategy, None, 1);
    let names = names.lock().unwrap();
    let expected = [
        "start 1/1",
        "train 24",
        "items 4",
        "items 8",
        "items 12",
        "items 16",
        "items 20",
        "items 24",
        "split end",
        "valid 4",
        "items 4",
        "split end",
        "epoch 1 width 4",
        "end",
    ];
    assert_eq!(*names, expected);
}

#[rstest]
#[case::first_step(At::step(0))]
#[case::after_the_end(At::step(24))]
#[case::fraction_of_one(At::fraction(1.0))]
fn a_trigger_outside_of_the_run_is_rejected(#[case] at: At) {
    let error = WidthExpansionCallback::builder(24)
        .expand(at, Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap_err();
    assert!(matches!(error, TrainError::Trigger { .. }), "{error}");
    assert!(error.to_string().contains("1 to 23"), "{error}");
}

#[test]
fn a_mistake_in_a_later_expansion_is_found_before_the_run() {
    let error = WidthExpansionCallback::builder(24)
        .expand(At::step(4), Expansion::to("inner", 8))
        .expand(At::step(8), Expansion::to("inner", 6))
        .build(&narrow())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "expansion 1: axis `inner` has width 8 and cannot shrink to 6"
    );
}

#[test]
fn a_rewarmup_of_nan_is_rejected() {
    let growth =
        Growth::new(Expansion::by("inner", 2.0)).with_rewarmup(Rewarmup::cosine(f64::NAN).paper());
    let error = WidthExpansionCallback::builder(24)
        .expand(At::step(12), growth)
        .build(&narrow())
        .unwrap_err();
    assert!(error.to_string().contains("min_lr"), "{error}");
}

#[test]
fn a_rewarmup_without_an_asymmetric_optimizer_stops_the_run_untouched() {
    let strategy = Strategy::Single;
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let optim: ModuleOptimizer = AdamWConfig::new().init();
    let result = callback
        .attach(training(directory.path(), strategy, EPOCHS))
        .launch(learner(callback.wrap(narrow()), optim, strategy));
    let message = result.error.unwrap().to_string();
    assert!(message.contains(".asymmetric()"), "{message}");
    let failure = callback.failure().unwrap();
    assert!(matches!(
        &*failure,
        TrainError::Optimizer(OptimError::NotAsymmetric { path }) if path == "down.bias"
    ));
    assert_eq!(parameters(result.model.into_inner()), parameters(narrow()));
}

#[test]
fn a_model_other_than_the_planned_one_stops_the_run_before_its_expansion() {
    let strategy = Strategy::Single;
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let other = Net::new(4, 5, 0.0, &Device::flex().autodiff());
    let directory = tempfile::tempdir().unwrap();
    let result = callback
        .attach(training(directory.path(), strategy, EPOCHS))
        .launch(learner(callback.wrap(other), adamw(), strategy));
    assert!(result.error.is_some());
    let failure = callback.failure().unwrap();
    // Of which parameter first, depends on their identities.
    assert!(
        matches!(&*failure, TrainError::Optimizer(OptimError::State { path, .. }) if path != "down.bias"),
        "{failure}"
    );
    // As soon as there is an optimizer state to look at.
    assert_eq!(result.model.position().step, 1);
    assert_eq!(result.model.position().stage, 0);
}

#[test]
fn a_run_resumed_under_another_plan_is_rejected_and_says_what_to_do() {
    let strategy = Strategy::Single;
    let plain = WidthExpansionCallback::builder(strategy.total_steps())
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    run(&plain, directory.path(), strategy, None, 2);
    let growing = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::step(12), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let error = growing
        .check_checkpoint(directory.path(), 2, &narrow())
        .unwrap_err();
    assert!(error.to_string().contains("step 13 or later"), "{error}");
}

#[test]
fn a_run_that_grew_otherwise_is_not_resumed() {
    let strategy = Strategy::Single;
    let total = strategy.total_steps();
    let callback = |total, expansion: Expansion, rewarmup| {
        let builder = WidthExpansionCallback::builder(total);
        let growth = Growth::new(expansion).with_rewarmup(rewarmup);
        let builder = builder.expand(At::step(3), growth);
        builder.build(&narrow()).unwrap()
    };
    let by = || Expansion::by("inner", 2.0);
    let cosine = || Rewarmup::cosine(0.0).paper().with_steps(2);
    let proportional = || Rewarmup::proportional().paper().with_steps(2);
    let directory = tempfile::tempdir().unwrap();
    let epochs = 2;
    let rejected = |other: WidthExpansionCallback| {
        let checked = other.check_checkpoint(directory.path(), epochs, &narrow());
        checked
            .err()
            .map_or(String::new(), |error| error.to_string())
    };
    run(
        &callback(total, by(), cosine()),
        directory.path(),
        strategy,
        None,
        epochs,
    );
    for (other, difference) in [
        (by().with_init(InitPair::RANDOM_ZERO), "sparkling.init"),
        (by().with_scaling(Scaling::None), "sparkling.scaling"),
        (by().with_seed(7), "`seed` was 0 and is now 7"),
        (
            Expansion::by("inner", 3.0),
            "`axes.inner.to` was 8 and is now 12",
        ),
        (
            Expansion::by("hidden", 2.0),
            "`axes.hidden.from` was absent",
        ),
    ] {
        let message = rejected(callback(total, other, cosine()));
        assert!(message.contains("another expansion 0"), "{message}");
        assert!(message.contains(difference), "{message}");
    }
    for (total, other, difference) in [
        (
            total,
            cosine().with_rho(2.0),
            "`rho` was 1.3 and is now 2.0",
        ),
        (2 * total, cosine(), "`steps_left` was 21 and is now 45"),
        (total, proportional(), "`schedule"),
    ] {
        let message = rejected(callback(total, by(), other));
        assert!(
            message.contains("another re-warmup after expansion 0"),
            "{message}"
        );
        assert!(message.contains(difference), "{message}");
    }
    assert_eq!(rejected(callback(total, by(), cosine())), "");
    // A rate that follows the base rate is of no length.
    run(
        &callback(total, by(), proportional()),
        directory.path(),
        strategy,
        None,
        epochs,
    );
    assert_eq!(rejected(callback(2 * total, by(), proportional())), "");
}

#[test]
fn a_climb_that_does_not_end_is_rejected() {
    let build = |steps| {
        let builder = WidthExpansionCallback::builder(10);
        let growth = Growth::new(Expansion::by("inner", 2.0))
            .with_rewarmup(Rewarmup::cosine(0.0).paper().with_steps(steps));
        builder.expand(At::step(6), growth).build(&narrow())
    };
    assert!(build(3).is_ok());
    let error = build(4).unwrap_err();
    assert!(error.to_string().contains("`steps` is 4"), "{error}");
}

#[test]
fn checkpoints_of_a_run_that_was_given_up_can_be_discarded() {
    let strategy = Strategy::Single;
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    discard_after(directory.path(), 0).unwrap();
    run(&callback, directory.path(), strategy, None, 3);
    let note = directory.path().join("checkpoint").join("note-9.txt");
    fs::write(&note, "").unwrap();
    let before = checkpoint(directory.path(), 2);
    discard_after(directory.path(), 2).unwrap();
    assert_eq!(saved_epochs(directory.path()).unwrap()[0], 2);
    assert_eq!(checkpoint(directory.path(), 2), before);
    let folder = fs::read_dir(note.parent().unwrap()).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let late: Vec<_> = names.filter(|name| name.contains("-3")).collect();
    assert!(late.is_empty() && note.exists(), "{late:?}");
}

/// Every way a checkpoint can be wrong is a typed error that names the file and touches none.
#[test]
fn a_damaged_or_foreign_checkpoint_is_rejected_by_name() {
    let strategy = Strategy::Single;
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(
            At::step(3),
            Growth::new(Expansion::by("inner", 2.0)).with_rewarmup(Rewarmup::cosine(0.0).paper()),
        )
        .build(&narrow())
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    run(&callback, directory.path(), strategy, None, 1);
    let original = checkpoint(directory.path(), 1);
    let rejected = |file: &str, model: &Net| {
        let error = callback
            .check_checkpoint(directory.path(), 1, model)
            .unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    };

    let foreign = Net::new(5, 4, 0.0, &Device::flex().autodiff());
    rejected("model-1.bpk", &foreign);
    // A scheduler holds no tensors: its file ends in padding, which may go.
    for (name, tensors) in [
        ("model-1.bpk", true),
        ("optim-1.bpk", true),
        ("scheduler-1.bpk", false),
    ] {
        let path = directory.path().join("checkpoint").join(name);
        let bytes = fs::read(&path).unwrap();
        let mut lengths = vec![0, 7, 24];
        if tensors {
            lengths.extend([bytes.len() / 2, bytes.len() - 1]);
        }
        for length in lengths {
            fs::write(&path, &bytes[..length]).unwrap();
            rejected(name, &narrow());
        }
        fs::remove_file(&path).unwrap();
        rejected(name, &narrow());
        fs::write(&path, &bytes).unwrap();
    }
    callback
        .check_checkpoint(directory.path(), 1, &narrow())
        .unwrap();
    assert_eq!(checkpoint(directory.path(), 1), original);
}
