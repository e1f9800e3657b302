//! What a wrong description would do to a run is found on copies, before anything is trained.
#![allow(clippy::unwrap_used)]

mod models;

use std::collections::BTreeSet;

use self::models::{
    Flattened, FlattenedWrongly, ForgetsItsScale, GroupedHeads, HeadsOnOneAxis, ListOfExperts,
    Noisy, NormedAfter, NormedBefore, StoresItsWidth, Tied, TiedWithoutMultiplier, Toy, Untied,
    UntiedWithMultiplier,
};
use crate::harness::{
    EPOCHS, Net, Strategy, adamw, checkpoint_by_path, learner, parameters, scheduler, training,
};
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use burn::train::TrainStep;
use burn_grow::describe::Axis;
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow::train::{Rehearsal, RehearsalFault, TrainOptions};
use burn_grow::{GrowError, InitPair};
use burn_grow::{Growth, TrainError};
use rstest::rstest;

fn device() -> Device {
    Device::flex().autodiff()
}

fn axes(names: &[&str]) -> BTreeSet<Axis> {
    names.iter().map(|name| Axis::from(*name)).collect()
}

/// What rehearsing one expansion says.
fn rehearsed<T: Toy>(expansion: impl Into<Growth>) -> Result<Rehearsal, TrainError> {
    let model = T::new(&device());
    WidthExpansionCallback::builder(10)
        .expand(At::fraction(0.5), expansion)
        .build(&model)
        .unwrap()
        .rehearse(&model, T::grads)
}

fn fault<T: Toy>(expansion: impl Into<Growth>) -> RehearsalFault {
    match rehearsed::<T>(expansion).unwrap_err() {
        TrainError::Rehearsal { stage, at, fault } => {
            assert_eq!((stage, at), (0, At::fraction(0.5)));
            *fault
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
fn assert_rejected<T: Toy>(axis: &str) {
    let found = fault::<T>(Expansion::by(axis, 2.0));
    let RehearsalFault::Function {
        axes: named,
        change,
        ..
    } = &found
    else {
        panic!("{found}");
    };
    assert_eq!(*named, axes(&[axis]));
    assert!(*change > 0.05, "{found}");
}

#[track_caller]
fn assert_accepted<T: Toy>(axis: &str) {
    let found = rehearsed::<T>(Expansion::by(axis, 2.0)).unwrap();
    assert!(found.compared);
    let [row] = found.stages.as_slice() else {
        panic!("{found}");
    };
    assert_eq!(row.doubled, axes(&[axis]));
    assert!(row.difference.unwrap() < 1e-4, "{found}");
    assert!(row.changed.is_empty() && row.left_out.is_empty(), "{found}");
}

#[test]
fn groups_for_unit_after_a_flatten_are_rejected() {
    assert_accepted::<Flattened>("channels");
    assert_rejected::<FlattenedWrongly>("channels");
}

#[test]
fn query_heads_as_one_axis_under_grouped_query_attention_are_rejected() {
    assert_accepted::<GroupedHeads>("queries");
    assert_rejected::<HeadsOnOneAxis>("queries");
}

#[test]
fn a_multiplier_too_many_or_too_few_is_rejected() {
    assert_accepted::<Tied>("hidden");
    assert_rejected::<TiedWithoutMultiplier>("hidden");
    assert_accepted::<Untied>("hidden");
    assert_rejected::<UntiedWithMultiplier>("hidden");
}

#[test]
fn experts_that_grow_by_their_router_alone_are_rejected() {
    assert_rejected::<ListOfExperts>("experts");
}

/// Identity blocks keep the function of any model that they are rightly planned for. Other blocks
/// change it, and are not compared.
#[test]
fn identity_blocks_that_change_the_function_are_rejected() {
    let layers = |blocks| Expansion::to("layers", 3).with_blocks("layers", blocks);
    let found = rehearsed::<NormedBefore>(layers(Blocks::identity())).unwrap();
    assert_eq!(found.stages[0].doubled, axes(&["layers"]));
    assert!(found.stages[0].difference.unwrap() < 1e-4, "{found}");
    let found = fault::<NormedAfter>(layers(Blocks::identity()));
    let RehearsalFault::Function { axes: named, .. } = &found else {
        panic!("{found}");
    };
    assert_eq!(*named, axes(&["layers"]));
    let found = rehearsed::<NormedAfter>(layers(Blocks::copies())).unwrap();
    assert_eq!(found.stages[0].left_out, axes(&["layers"]));
    assert_eq!(found.stages[0].difference, None);
}

#[rstest]
#[case::uneven(Expansion::by("channels", 1.5))]
#[case::random(Expansion::by("channels", 2.0).with_init(InitPair::RANDOM_RANDOM))]
#[case::silent(Expansion::by("channels", 1.25).with_init(InitPair::COPY_ZERO))]
fn the_function_is_compared_however_the_axis_grows(#[case] expansion: Expansion) {
    rehearsed::<Flattened>(expansion.clone()).unwrap();
    let found = fault::<FlattenedWrongly>(expansion);
    assert!(matches!(found, RehearsalFault::Function { .. }), "{found}");
}

#[test]
fn a_panic_of_the_wide_model_is_an_error_that_names_the_expansion() {
    let error = rehearsed::<StoresItsWidth>(Expansion::by("inner", 1.5)).unwrap_err();
    let message = error.to_string();
    for part in ["expansion 0 at fraction 0.5", "`inner` 4 -> 8", "panicked"] {
        assert!(message.contains(part), "{message}");
    }
    let TrainError::Rehearsal { fault, .. } = error else {
        panic!("{message}");
    };
    assert!(
        matches!(*fault, RehearsalFault::Panicked { params: 40, .. }),
        "{fault}"
    );
}

#[test]
fn a_constant_that_does_not_follow_its_width_is_an_error() {
    let found = fault::<ForgetsItsScale>(Expansion::by("inner", 2.0));
    let RehearsalFault::Model(GrowError::Description { what, .. }) = &found else {
        panic!("{found}");
    };
    assert_eq!(what, "the multipliers");
}

#[test]
fn a_model_that_draws_its_own_noise_is_not_compared_and_says_so() {
    let found = rehearsed::<Noisy>(Expansion::by("inner", 2.0)).unwrap();
    assert!(!found.compared);
    assert_eq!(found.stages[0].difference, None);
    assert!(found.to_string().contains("shapes only"), "{found}");
}

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &device())
}

fn two_stages() -> WidthExpansionCallback {
    let strategy = Strategy::Single;
    WidthExpansionCallback::builder(strategy.total_steps())
        .in_parts()
        .expand(At::step(8), Expansion::by("inner", 1.5))
        .expand(
            At::step(15),
            Expansion::by("hidden", 1.5).and_to("inner", 9),
        )
        .build(&narrow())
        .unwrap()
}

#[test]
fn a_rehearsed_run_is_bit_equal_to_one_without() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let run = |directory: &std::path::Path, rehearsal: bool| {
        let training = training(directory, Strategy::Single, EPOCHS);
        let (callback, scheduler) = (two_stages(), scheduler(Strategy::Single));
        let optim = AdamWConfig::new();
        if rehearsal {
            return callback
                .train(training, narrow(), optim, scheduler)
                .unwrap();
        }
        let options = TrainOptions::new().without_rehearsal();
        let trained = callback.train_with(training, narrow(), optim, scheduler, options);
        trained.unwrap()
    };
    let (with, without) = (run(first.path(), true), run(second.path(), false));
    assert_eq!(without.rehearsal, None);
    let found = with.rehearsal.unwrap();
    let stages: Vec<_> = found.stages.iter().map(|row| row.stage).collect();
    assert_eq!(stages, [0, 1], "{found}");
    assert!(found.compared && found.stages.iter().all(|row| row.difference.is_some()));
    assert_eq!(parameters(with.model), parameters(without.model));
    assert_eq!(
        checkpoint_by_path(first.path(), EPOCHS),
        checkpoint_by_path(second.path(), EPOCHS)
    );
}

#[test]
fn a_resumed_run_rehearses_what_is_left_from_the_width_that_was_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let run = |epochs: usize| {
        let (callback, model) = (two_stages(), narrow());
        let mut training = training(directory.path(), Strategy::Single, epochs);
        if let Some(resumed) = callback.resume(directory.path(), &model).unwrap() {
            training = training.checkpoint(resumed.epoch);
        }
        let scheduler = scheduler(Strategy::Single);
        let trained = callback.train(training, model, AdamWConfig::new(), scheduler);
        let found = trained.unwrap().rehearsal.unwrap();
        found.stages.iter().map(|row| row.stage).collect::<Vec<_>>()
    };
    assert_eq!(run(2), [0, 1]);
    assert_eq!(run(3), [1]);
    assert!(run(4).is_empty());
}

#[rstest]
#[case::single(Strategy::Single)]
#[case::accumulated(Strategy::Accumulate)]
#[case::main_device(Strategy::MultiMain)]
#[case::sharded(Strategy::MultiSharded)]
fn every_strategy_rehearses_once(#[case] strategy: Strategy) {
    let directory = tempfile::tempdir().unwrap();
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
        .build(&narrow())
        .unwrap();
    let training = training(directory.path(), strategy, EPOCHS);
    let trained = callback.train(training, narrow(), AdamWConfig::new(), scheduler(strategy));
    let found = trained.unwrap().rehearsal.unwrap();
    assert!(found.compared && found.stages.len() == 1, "{found}");
}

#[test]
fn an_expansion_that_does_not_pass_stops_the_run_before_its_first_step() {
    let directory = tempfile::tempdir().unwrap();
    let options = TrainOptions::new().with_rehearsal_limit(100);
    let training = training(directory.path(), Strategy::Single, EPOCHS);
    let scheduler = scheduler(Strategy::Single);
    let callback = two_stages();
    let trained = callback.train_with(training, narrow(), AdamWConfig::new(), scheduler, options);
    let error = trained.unwrap_err();
    let TrainError::Rehearsal {
        stage: 0, fault, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(
        matches!(**fault, RehearsalFault::TooLarge { limit: 100, .. }),
        "{fault}"
    );
    assert!(
        burn_grow::train::saved_epochs(directory.path())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_long_form_rehearses_by_one_word() {
    let directory = tempfile::tempdir().unwrap();
    let callback = two_stages();
    let training = training(directory.path(), Strategy::Single, EPOCHS);
    let learner = learner(
        callback.wrap(narrow()).rehearsing(),
        adamw(),
        Strategy::Single,
    );
    let result = callback.attach(training).launch(learner);
    assert!(result.error.is_none());
    assert_eq!(callback.rehearsal().unwrap().stages.len(), 2);
}

#[test]
fn a_loop_of_ones_own_rehearses_by_a_closure() {
    let batch = || crate::harness::loader(4).to_device(&device());
    let model = narrow();
    let growth = two_stages().growth_loop().unwrap();
    let before = parameters(model.clone());
    let found = growth.rehearse(&model, |model| {
        let batch = batch().iter().next().unwrap().unwrap();
        TrainStep::step(model, batch).grads
    });
    assert_eq!(found.unwrap().stages.len(), 2);
    assert_eq!(parameters(model), before);
}

/// The transformer, whose loss counts the experts.
mod experts {
    use super::*;
    use burn::optim::GradientsParams;
    use burn::tensor::{Int, Tensor, TensorData};
    use burn_grow::moe::{MoeConfig, MoeTransformer};

    fn rehearsed(expansion: Expansion) -> Rehearsal {
        let device = device();
        let model = MoeConfig::default().init(&device);
        let grads = |model: &MoeTransformer| {
            let tokens = |start: i64| {
                let tokens: Vec<i64> = (start..start + 32).map(|it| it * 37 % 256).collect();
                Tensor::<2, Int>::from_data(TensorData::new(tokens, [2, 16]), &device)
            };
            let loss = model.loss(tokens(0), tokens(1)).total;
            GradientsParams::from_grads(loss.backward(), model)
        };
        WidthExpansionCallback::builder(10)
            .expand(At::fraction(0.5), expansion)
            .build(&model)
            .unwrap()
            .rehearse(&model, grads)
            .unwrap()
    }

    #[test]
    fn every_axis_of_the_transformer_passes() {
        let found = rehearsed(Expansion::by("inner", 1.5).and_by("hidden", 1.5));
        assert!(found.stages[0].difference.unwrap() < 1e-2, "{found}");
        assert!(found.stages[0].changed.is_empty(), "{found}");
        let found = rehearsed(Expansion::by("kv_heads", 2.0).and_by("queries", 2.0));
        assert!(found.stages[0].changed.is_empty(), "{found}");
    }

    #[test]
    fn a_part_of_the_loss_that_counts_experts_is_no_fault() {
        let found = rehearsed(Expansion::by("experts", 2.0).and_by("vocab", 2.0));
        let row = &found.stages[0];
        assert_eq!(row.doubled, axes(&["experts", "top_k"]));
        assert_eq!(row.left_out, axes(&["vocab"]));
        assert!(row.difference.is_some());
        assert!(
            row.changed.iter().any(|path| path.contains("router")),
            "{found}"
        );
        assert!(found.to_string().contains("the number of units"), "{found}");
    }
}
