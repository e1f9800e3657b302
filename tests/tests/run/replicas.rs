//! Every device of a run holds the same weights, also after an expansion; and what Burn rejects to run.
#![allow(clippy::unwrap_used)]

use std::panic::catch_unwind;

use crate::harness::observed::{assert_equal, replicas};
use crate::harness::{Strategy, local};
use burn::tensor::Device;
use burn::tensor::distributed::{DistributedConfig, ReduceOperation};
use burn::train::ExecutionStrategy;
use rstest::rstest;

#[rstest]
#[case::main(Strategy::MultiMain)]
#[case::sharded(Strategy::MultiSharded)]
fn replicas_are_equal_at_every_step_before_and_after_an_expansion(#[case] strategy: Strategy) {
    let directory = tempfile::tempdir().unwrap();
    assert_equal(&replicas(&local(), directory.path(), strategy), strategy);
}

/// When this fails, Burn takes it: update the table in `docs/src/reference/support-matrix.md` and
/// test the strategy.
#[test]
fn burn_rejects_distributed_training_on_flex() {
    let ddp = catch_unwind(|| {
        let all_reduce_op = ReduceOperation::Mean;
        let config = DistributedConfig { all_reduce_op };
        ExecutionStrategy::ddp(vec![Device::flex(), Device::flex()], config)
    });
    let rejection = ddp.err().unwrap();
    assert_eq!(
        rejection.downcast_ref::<String>().unwrap(),
        "Distributed operations are not supported for device Flex(Cpu)"
    );
}
