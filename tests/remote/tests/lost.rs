//! A server that is killed ends the run with a message, and the run goes on from its last checkpoint as
//! if nothing had happened.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod servers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup, TrainError};
use harness::observed::{Observed, Pass};
use harness::{
    EPOCHS, Net, Strategy, adamw, checkpoint_by_path, local, run_on, scheduler, training_on,
};
use rstest::rstest;
use servers::Server;

/// Far more than a run takes: what is slower hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn observed(seed: f32, observe: impl Fn(Pass, &Net) + Send + Sync + 'static) -> Observed {
    let net = Net::new(4, 4, seed, &Device::flex().autodiff());
    Observed::new(net, observe)
}

fn plain(seed: f32) -> Observed {
    observed(seed, |_, _| ())
}

fn grow(expansion: Expansion) -> Growth {
    Growth::new(expansion).with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2))
}

/// Grows in the second and in the third epoch of three steps.
fn callback(strategy: Strategy) -> WidthExpansionCallback {
    WidthExpansionCallback::builder(strategy.total_steps())
        .expand(At::step(4), grow(Expansion::by("inner", 2.0)))
        .expand(At::step(8), grow(Expansion::by("hidden", 1.5)))
        .build(&plain(0.0))
        .unwrap()
}

/// Runs until the server `lost` is killed before the pass of that kind and number; what the run says.
fn broken_run(
    strategy: Strategy,
    directory: PathBuf,
    lost: usize,
    (kind, number): (Pass, usize),
) -> TrainError {
    let (servers, devices) = servers::two();
    let servers: Mutex<[Server; 2]> = Mutex::new(servers);
    let passes = AtomicUsize::new(0);
    let model = observed(0.0, move |pass, _| {
        if pass == kind && passes.fetch_add(1, Ordering::SeqCst) == number {
            servers.lock().unwrap()[lost].kill();
        }
    });
    let callback = callback(strategy);
    let training = training_on(&devices, &directory, strategy, EPOCHS);
    callback
        .train(training, model, adamw(), scheduler(strategy))
        .expect_err("a lost server")
}

fn end(directory: &Path) -> [harness::Contents; 3] {
    checkpoint_by_path(directory, EPOCHS)
}

#[rstest]
fn a_run_that_loses_a_server_says_so_and_can_be_resumed(
    #[values(Strategy::MultiMain, Strategy::MultiSharded)] strategy: Strategy,
    #[values(0, 1)] lost: usize,
    // Two passes a step: before the second expansion, at it, after it; and one validation an epoch.
    #[values(
        (Pass::Training, 12),
        (Pass::Training, 15),
        (Pass::Training, 17),
        (Pass::Validation, 2)
    )]
    moment: (Pass, usize),
) {
    let whole = tempfile::tempdir().unwrap();
    let path = whole.path();
    let uninterrupted = callback(strategy);
    let result = run_on(
        &local(),
        &uninterrupted,
        plain,
        path,
        strategy,
        None,
        EPOCHS,
    );
    assert!(result.error.is_none(), "{:?}", result.error);

    let broken = tempfile::tempdir().unwrap();
    let directory = broken.path().to_owned();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(broken_run(strategy, directory, lost, moment)));
    let said = receiver
        .recv_timeout(PATIENCE)
        .expect("the run ends by itself");

    // While it is validated, the model lies on the first device; only a sharded optimizer needs the other.
    let whole_after_all = (strategy, lost, moment.0);
    let saved = matches!(whole_after_all, (Strategy::MultiMain, 1, Pass::Validation));
    match (moment, &said) {
        ((Pass::Training, 17), TrainError::Device { step, stage, .. }) => {
            assert_eq!((*step, *stage), (9, 2), "{said}");
        }
        ((Pass::Training, _), TrainError::Device { step, stage, .. }) => {
            assert_eq!((*step, *stage), (8, 1), "{said}");
        }
        ((Pass::Validation, _), TrainError::Device { .. }) if saved => {}
        ((Pass::Validation, _), TrainError::Panicked { .. }) if !saved => {}
        _ => panic!("{said}"),
    }
    assert!(said.to_string().contains("Failed to read tensor"), "{said}");

    let callback = callback(strategy);
    let good = callback.last_good_epoch(broken.path(), &plain(9.0));
    let epoch = good.unwrap().unwrap().epoch;
    assert_eq!(epoch, if saved { 3 } else { 2 });
    let (_servers, devices) = servers::two();
    let path = broken.path();
    let result = run_on(
        &devices,
        &callback,
        plain,
        path,
        strategy,
        Some(epoch),
        EPOCHS,
    );
    assert!(result.error.is_none(), "{:?}", result.error);
    assert_eq!(end(broken.path()), end(whole.path()));
}
