//! A checkpoint that is expanded on disk resumes as if the run had expanded there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use crate::harness::{EPOCHS, Net, Strategy, checkpoint_by_path, run};
use burn::module::ParamGroup;
use burn::tensor::Device;
use burn_grow::optim::StateRules;
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow::train::{Position, Resumed};
use burn_grow::{Growth, Rewarmup, StatePolicy};
use burn_grow::{InitPair, TrainError};
use rstest::rstest;

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

/// A callback with these expansions: after how many steps, and what.
fn callback(
    rules: impl Into<StateRules>,
    expansions: &[(usize, Expansion)],
) -> WidthExpansionCallback {
    let rules = rules.into();
    let mut builder = WidthExpansionCallback::builder(Strategy::Single.total_steps());
    for (step, expansion) in expansions {
        let mut rules = rules.clone();
        rules
            .axes
            .retain(|axis, _| expansion.targets.contains_key(axis));
        let growth = Growth::new(expansion.clone())
            .with_state(rules)
            .with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2));
        builder = builder.expand(At::step(*step), growth);
    }
    builder.build(&narrow()).unwrap()
}

fn read(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory.join("checkpoint"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Widths alone, or with them a stack of blocks, from none on: what is in the checkpoint already, the
/// two that are due, and one that follows.
fn expansions(deep: bool) -> [Expansion; 4] {
    let early = Expansion::by("inner", 1.5);
    let due = Expansion::by("hidden", 1.5);
    let more = Expansion::by("inner", 2.0).with_init(InitPair::RANDOM_ZERO);
    let late = Expansion::by("hidden", 2.0);
    if !deep {
        return [early, due, more, late];
    }
    let layers = |expansion: Expansion, layers, blocks| {
        expansion
            .and_to("layers", layers)
            .with_blocks("layers", blocks)
    };
    [
        layers(early, 2, Blocks::fresh()),
        layers(due, 3, Blocks::copies().interleaved()),
        layers(more, 5, Blocks::identity()),
        layers(late, 7, Blocks::fresh().interleaved()),
    ]
}

/// The first blocks come from disk, too.
#[test]
fn an_empty_stack_is_filled_on_disk() {
    let fresh = |expansion: Expansion| {
        let layers = expansion.and_to("layers", 2);
        layers.with_blocks("layers", Blocks::fresh())
    };
    let step = Strategy::Single.steps_per_epoch();
    let [online, source, target] = [0; 3].map(|_| tempfile::tempdir().unwrap());
    let deep = callback(
        StatePolicy::KeepAndZero,
        &[(step, fresh(Expansion::by("hidden", 1.5)))],
    );
    let expected = run(&deep, online.path(), Strategy::Single, None, EPOCHS);
    assert!(expected.error.is_none(), "{:?}", expected.error);
    let before = callback(StatePolicy::KeepAndZero, &[]);
    run(&before, source.path(), Strategy::Single, None, 1);
    deep.expand_checkpoint(source.path(), 1, target.path(), &narrow())
        .unwrap();
    assert_eq!(
        checkpoint_by_path(target.path(), 1),
        checkpoint_by_path(online.path(), 1)
    );
    let resumed = run(&deep, target.path(), Strategy::Single, Some(1), EPOCHS);
    assert!(resumed.error.is_none(), "{:?}", resumed.error);
    assert_eq!(
        checkpoint_by_path(target.path(), EPOCHS),
        checkpoint_by_path(online.path(), EPOCHS)
    );
}

#[rstest]
#[case::keep_and_zero(StatePolicy::KeepAndZero.into())]
#[case::copy_all(StatePolicy::CopyAll.into())]
#[case::drop_all(StatePolicy::DropAll.into())]
#[case::scale(StatePolicy::Scale.into())]
#[case::by_axis_and_group(
    StateRules::from(StatePolicy::KeepAndZero)
        .on("inner", StatePolicy::Scale)
        .with_group(ParamGroup::from_predicate("norm"), StatePolicy::CopyAll)
        .with_group(ParamGroup::from_regex("^head").unwrap(), StatePolicy::DropAll)
)]
fn a_run_resumed_wide_ends_as_the_one_that_expanded_there(
    #[case] rules: StateRules,
    #[values(false, true)] deep: bool,
) {
    let strategy = Strategy::Single;
    let epoch = 2;
    let step = epoch * strategy.steps_per_epoch();
    // One expansion is in the checkpoint already, two are due, one follows.
    let [early, due, more, late] = expansions(deep);
    let (early, late) = ((3, early), (step + 2, late));
    let due = [(step, due), (step, more)];

    let [online, source, target] = [0; 3].map(|_| tempfile::tempdir().unwrap());
    let [first, second] = due;
    let wide = callback(rules.clone(), &[early.clone(), first, second, late]);
    let expected = run(&wide, online.path(), strategy, None, EPOCHS);
    assert!(expected.error.is_none(), "{:?}", expected.error);

    let before = callback(rules, &[early]);
    run(&before, source.path(), strategy, None, epoch);
    let untouched = read(source.path());
    let position = wide
        .expand_checkpoint(source.path(), epoch, target.path(), &narrow())
        .unwrap();
    assert_eq!(position, Position { step, stage: 3 });
    assert_eq!(read(source.path()), untouched);
    assert_eq!(
        wide.last_good_epoch(target.path(), &narrow()).unwrap(),
        Some(Resumed { epoch, position })
    );
    assert_eq!(
        checkpoint_by_path(target.path(), epoch),
        checkpoint_by_path(online.path(), epoch)
    );

    let resumed = run(&wide, target.path(), strategy, Some(epoch), EPOCHS);
    assert!(resumed.error.is_none(), "{:?}", resumed.error);
    assert_eq!(resumed.model.position(), expected.model.position());
    assert_eq!(
        checkpoint_by_path(target.path(), EPOCHS),
        checkpoint_by_path(online.path(), EPOCHS)
    );
}

#[test]
fn what_cannot_be_expanded_is_rejected_and_nothing_written() {
    let strategy = Strategy::Single;
    let [source, target] = [0; 2].map(|_| tempfile::tempdir().unwrap());
    let step = strategy.steps_per_epoch();
    let by = |factor| Expansion::by("inner", factor);
    let wide = callback(StatePolicy::default(), &[(step, by(2.0))]);
    let plain = callback(StatePolicy::default(), &[]);
    run(&plain, source.path(), strategy, None, 2);
    let untouched = read(source.path());

    // Not due at the end of the second epoch, nor at that of the first under another callback.
    let later = callback(StatePolicy::default(), &[(step + 1, by(2.0))]);
    for (callback, epoch) in [(&wide, 2), (&later, 1)] {
        let error = callback
            .expand_checkpoint(source.path(), epoch, target.path(), &narrow())
            .unwrap_err();
        assert!(matches!(error, TrainError::NotDue { .. }), "{error}");
    }
    // A run that expanded elsewhere before, which the resumed one would reject.
    let twice = |first| {
        let stages = [(first, by(2.0)), (2 * step, by(2.0))];
        callback(StatePolicy::default(), &stages)
    };
    let other = tempfile::tempdir().unwrap();
    let once = callback(StatePolicy::default(), &[(step + 2, by(2.0))]);
    run(&once, other.path(), strategy, None, 2);
    for (callback, rejected) in [(twice(step + 1), true), (twice(step + 2), false)] {
        let to = tempfile::tempdir().unwrap();
        let found = callback.expand_checkpoint(other.path(), 2, to.path(), &narrow());
        assert_eq!(found.is_err(), rejected, "{found:?}");
        assert_eq!(to.path().join("checkpoint").exists(), !rejected);
    }
    // Another model, a missing epoch, and the checkpoint itself as target.
    let foreign = Net::new(5, 4, 0.0, &Device::flex().autodiff());
    let cases = [
        (1, &foreign, target.path()),
        (3, &narrow(), target.path()),
        (1, &narrow(), source.path()),
    ];
    for (epoch, model, to) in cases {
        let error = wide
            .expand_checkpoint(source.path(), epoch, to, model)
            .unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    }
    assert_eq!(read(source.path()), untouched);
    assert!(!target.path().join("checkpoint").exists());
}
