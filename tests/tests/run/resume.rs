//! A run that is interrupted and resumed, before, between and after two expansions, ends
//! bit-identical to the uninterrupted one.
#![allow(clippy::unwrap_used)]

use std::fs;

use crate::harness::{EPOCHS, Net, Strategy, checkpoint, run, training};
use burn::module::Module;
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::train::TrainStep;
use burn_grow::optim::AsymmetricExt;
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow::train::{Growing, Position};
use burn_grow::{Growth, Rewarmup};
use burn_grow_tests::data::gradients;
use burn_grow_tests::dump;
use rstest::rstest;

fn grow(expansion: Expansion) -> Growth {
    Growth::new(expansion).with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2))
}

/// Two expansions, the first at an epoch boundary, the second inside an epoch.
fn callback(strategy: Strategy) -> WidthExpansionCallback {
    growing(
        strategy,
        Expansion::by("inner", 2.0),
        Expansion::by("hidden", 1.5).and_by("inner", 1.5),
    )
}

/// The same in depth, from no block on, and in width.
fn deepening(strategy: Strategy) -> WidthExpansionCallback {
    let more = Blocks::identity().interleaved();
    growing(
        strategy,
        Expansion::to("layers", 2).with_blocks("layers", Blocks::fresh()),
        Expansion::to("layers", 5)
            .and_by("hidden", 1.5)
            .with_blocks("layers", more),
    )
}

fn growing(strategy: Strategy, first: Expansion, second: Expansion) -> WidthExpansionCallback {
    let steps = strategy.steps_per_epoch();
    WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::step(steps), grow(first))
        .expand(At::step(2 * steps + 1), grow(second))
        .build(&Net::new(
            4,
            4,
            0.0,
            &burn::tensor::Device::flex().autodiff(),
        ))
        .unwrap()
}

#[rstest]
#[case::single_device(Strategy::Single)]
#[case::gradient_accumulation(Strategy::Accumulate)]
#[case::multi_device_main(Strategy::MultiMain)]
#[case::multi_device_sharded(Strategy::MultiSharded)]
fn a_resumed_run_ends_bit_identical_at_every_epoch_boundary(
    #[case] strategy: Strategy,
    #[values(callback, deepening)] callback: fn(Strategy) -> WidthExpansionCallback,
) {
    let whole = tempfile::tempdir().unwrap();
    let result = run(&callback(strategy), whole.path(), strategy, None, EPOCHS);
    assert!(result.error.is_none(), "{:?}", result.error);
    let end = Position {
        step: strategy.total_steps(),
        stage: 2,
    };
    assert_eq!(result.model.position(), end);
    let expected = checkpoint(whole.path(), EPOCHS);

    for interrupted in 1..EPOCHS {
        let resumed = tempfile::tempdir().unwrap();
        let files = resumed.path().join("checkpoint");
        fs::create_dir_all(&files).unwrap();
        for name in ["model", "optim", "scheduler"] {
            let file = format!("{name}-{interrupted}.bpk");
            fs::copy(
                whole.path().join("checkpoint").join(&file),
                files.join(&file),
            )
            .unwrap();
        }
        let callback = callback(strategy);
        let position = callback
            .check_checkpoint(
                resumed.path(),
                interrupted,
                &Net::new(4, 4, 9.0, &burn::tensor::Device::flex().autodiff()),
            )
            .unwrap();
        assert_eq!(position.step, interrupted * strategy.steps_per_epoch());
        let result = run(
            &callback,
            resumed.path(),
            strategy,
            Some(interrupted),
            EPOCHS,
        );
        assert!(result.error.is_none(), "{:?}", result.error);
        assert_eq!(result.model.position(), end);
        assert_eq!(
            checkpoint(resumed.path(), EPOCHS),
            expected,
            "resumed after epoch {interrupted}"
        );
    }
}

#[test]
fn the_file_of_a_grown_run_loads_into_the_bare_wide_model() {
    use burn::module::Module;
    use burn::store::ModuleRecord;

    let directory = tempfile::tempdir().unwrap();
    let strategy = Strategy::Single;
    let result = run(
        &callback(strategy),
        directory.path(),
        strategy,
        None,
        EPOCHS,
    );
    let grown = result.model.into_inner();
    let widths = Blueprint::of(&grown).unwrap().widths().clone();
    let device = burn::tensor::Device::flex();
    let wide = Net::new(
        widths[&"hidden".into()],
        widths[&"inner".into()],
        5.0,
        &device,
    );
    let record = ModuleRecord::load(directory.path().join("checkpoint/model-4.bpk")).unwrap();
    let wide = wide.try_load_record(record.allow_unused(true)).unwrap();
    assert_eq!(
        crate::harness::parameters(wide),
        crate::harness::parameters(grown)
    );
}

/// Burn compares a record with the shape that an initialized parameter shows, which is not the one it is
/// saved in.
#[test]
fn a_column_layout_is_loaded_before_and_after_an_expansion() {
    let device = burn::tensor::Device::flex().autodiff();
    let net = |seed| Net::new(4, 6, seed, &device).with_column_head();
    let narrow = net(0.0);
    let callback = WidthExpansionCallback::builder(10)
        .expand(
            At::step(1),
            Growth::new(Expansion::by("hidden", 1.5)).without_rewarmup(),
        )
        .build(&narrow)
        .unwrap();
    let mut optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let gradients = gradients(&narrow, 1, |_| true);
    // A wrapped model steps in an attached training.
    let directory = tempfile::tempdir().unwrap();
    let training = training::<Growing<Net>>(directory.path(), Strategy::Single, 1);
    let _training = callback.attach(training);
    let before = callback.wrap(narrow);
    let after = TrainStep::optimize(before.clone(), &mut optim, 1e-2.into(), gradients);
    assert_eq!(after.position().stage, 1);
    for trained in [before, after] {
        let record = trained.clone().into_record();
        let loaded = callback.wrap(net(1.0)).try_load_record(record);
        let loaded = dump::params(&loaded.unwrap());
        for (path, param) in dump::params(&trained) {
            assert_eq!(loaded[&path].values(), param.values(), "{path}");
        }
    }
}
