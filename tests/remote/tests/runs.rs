//! A run over two servers equals the one over two local devices, bit for bit.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod servers;

use burn::tensor::Device;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};
use harness::observed::{assert_equal, replicas};
use harness::{EPOCHS, Net, Strategy, checkpoint_by_path, local, run_on};
use rstest::rstest;

fn narrow(seed: f32) -> Net {
    Net::new(4, 4, seed, &Device::flex().autodiff())
}

#[rstest]
#[case::single(Strategy::Single)]
#[case::gradient_accumulation(Strategy::Accumulate)]
#[case::multi_device_main(Strategy::MultiMain)]
#[case::multi_device_sharded(Strategy::MultiSharded)]
fn a_run_over_two_servers_ends_as_one_on_local_devices(#[case] strategy: Strategy) {
    let (_servers, remote) = servers::two();
    assert_ne!(remote[0], remote[1]);
    let [expected, found] = [local(), remote].map(|devices| {
        let callback = WidthExpansionCallback::builder(strategy.total_steps())
            .expand(
                At::fraction(0.5),
                Growth::new(Expansion::by("inner", 2.0).and_by("hidden", 1.5))
                    .with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2)),
            )
            .build(&narrow(0.0))
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let result = run_on(&devices, &callback, narrow, path, strategy, None, EPOCHS);
        assert!(result.error.is_none(), "{:?}", result.error);
        assert_eq!(result.model.position().stage, 1);
        (1..=EPOCHS)
            .map(|epoch| checkpoint_by_path(path, epoch))
            .collect::<Vec<_>>()
    });
    assert_eq!(found, expected);
}

#[rstest]
#[case::main(Strategy::MultiMain)]
#[case::sharded(Strategy::MultiSharded)]
fn replicas_on_two_servers_are_equal_at_every_step(#[case] strategy: Strategy) {
    let (_servers, devices) = servers::two();
    let directory = tempfile::tempdir().unwrap();
    let steps = replicas(&devices, directory.path(), strategy);
    assert_equal(&steps, strategy);
    for replicas in &steps {
        let [one, other] = replicas.each_ref().map(|replica| &replica.devices);
        assert_eq!((one.len(), other.len()), (1, 1));
        assert_ne!(one, other);
    }
}
