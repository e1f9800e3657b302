//! What the metrics of copies show, epoch by epoch.

use std::collections::BTreeMap;

use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn_grow::verify::grown_rms;

use super::*;

/// The epoch whose last step the model widens after.
const AT: usize = 2;

type Seen = Arc<Mutex<BTreeMap<usize, [f64; 3]>>>;

fn read(epoch: usize, metrics: &EventStoreClient) -> [f64; 3] {
    ["Copy Symmetry", "RMS Drift", "RMS New to Old"].map(|name| {
        let found = metrics.find_metric(name, epoch, Aggregate::Mean, &Split::Valid);
        found.unwrap_or_else(|| panic!("no {name} in epoch {epoch}"))
    })
}

/// A callback that doubles the inner width, and what its metrics are, by epoch.
fn observed(
    strategy: Strategy,
    arm: impl Fn(WidthExpansionBuilder, Expansion) -> WidthExpansionBuilder,
) -> (WidthExpansionCallback, Seen) {
    let seen = Seen::default();
    let sink = seen.clone();
    let builder = WidthExpansionCallback::builder(strategy.total_steps())
        .copy_metrics()
        .on_event(move |event| {
            if let Event::Epoch { epoch, metrics } = event {
                sink.lock().unwrap().insert(*epoch, read(*epoch, metrics));
            }
        });
    let builder = arm(builder, Expansion::by("inner", 2.0));
    (builder.build(&narrow()).unwrap(), seen)
}

fn at(strategy: Strategy) -> At {
    At::step(AT * strategy.steps_per_epoch())
}

fn sparkling(strategy: Strategy) -> (WidthExpansionCallback, Seen) {
    observed(strategy, |builder, expansion| {
        let rewarmup = Rewarmup::proportional().paper().with_rho(2.0).with_steps(2);
        let growth = Growth::new(expansion).with_rewarmup(rewarmup);
        builder.expand(at(strategy), growth)
    })
}

fn locked(strategy: Strategy) -> (WidthExpansionCallback, Seen) {
    observed(strategy, |builder, expansion| {
        let naive = expansion.with_scaling(Scaling::FunctionPreserving);
        let everything = Rewarmup::proportional()
            .paper()
            .with_scope(RewarmupScope::All);
        let growth = Growth::new(naive)
            .with_state(StatePolicy::CopyAll)
            .with_rewarmup(everything);
        builder.expand(at(strategy), growth)
    })
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
}

#[rstest]
#[case(Strategy::Single)]
#[case(Strategy::Accumulate)]
#[case(Strategy::MultiMain)]
#[case(Strategy::MultiSharded)]
fn copies_are_one_at_first_stay_so_when_locked_and_part_under_sparkling(
    #[case] strategy: Strategy,
) {
    for (is_locked, (callback, seen)) in [(true, locked(strategy)), (false, sparkling(strategy))] {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [at_once, later] = [AT, EPOCHS].map(|epochs| {
            let directory = directories[usize::from(epochs == EPOCHS)].path();
            let result = run(&callback, directory, strategy, None, epochs);
            assert!(result.error.is_none(), "{:?}", result.error);
            result.model.into_inner()
        });
        let seen = seen.lock().unwrap();
        assert!(seen[&1].iter().all(|value| value.is_nan()), "{seen:?}");
        // Each unit stands twice, so new coordinates are the old ones.
        for value in seen[&AT] {
            assert_near(value, 1.0);
        }
        assert_eq!(seen[&AT][1], 1.0);
        let [symmetry, drift, _] = seen[&EPOCHS];
        match is_locked {
            true => assert_near(symmetry, 1.0),
            false => assert!(symmetry < 0.9999, "{seen:?}"),
        }
        let plan = callback.stages().next().unwrap().plan;
        let rms = |model: &Net| grown_rms(model, plan).unwrap().unwrap().all;
        assert_near(drift, rms(&later) / rms(&at_once));
        assert_ne!(drift, 1.0);
    }
}

#[rstest]
#[case::at_the_expansion(AT)]
#[case::after_it(AT + 1)]
fn a_resumed_run_shows_the_same(#[case] from: usize) {
    let strategy = Strategy::Single;
    let directory = tempfile::tempdir().unwrap();
    let (callback, expected) = sparkling(strategy);
    run(&callback, directory.path(), strategy, None, EPOCHS);
    let (callback, resumed) = sparkling(strategy);
    run(&callback, directory.path(), strategy, Some(from), EPOCHS);
    let (expected, resumed) = (expected.lock().unwrap(), resumed.lock().unwrap());
    assert_eq!(resumed.len(), EPOCHS - from);
    for (epoch, values) in &*resumed {
        assert_eq!(*values, expected[epoch], "epoch {epoch}");
    }
}

/// What is looked at is not touched.
#[test]
fn metrics_of_copies_change_nothing() {
    let strategy = Strategy::Single;
    let [plain, watched] = [false, true].map(|watch| {
        let mut builder = WidthExpansionCallback::builder(strategy.total_steps())
            .expand(at(strategy), Expansion::by("inner", 2.0));
        if watch {
            builder = builder.copy_metrics();
        }
        let callback = builder.build(&narrow()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let result = run(&callback, directory.path(), strategy, None, EPOCHS);
        parameters(result.model.into_inner())
    });
    assert_eq!(plain, watched);
}
