//! Muon on a stack at once, against burn-optim's on every matrix.

use super::*;

#[rstest]
#[case::original(AdjustLrFn::Original, None)]
#[case::like_adamw(AdjustLrFn::MatchRmsAdamW, Some(0.1))]
fn every_matrix_moves_as_under_burns_muon(
    #[case] adjust: AdjustLrFn,
    #[case] decay: Option<f32>,
    #[values([3, 4, 8], [3, 8, 4], [1, 5, 5], [4, 1, 6])] shape: [usize; 3],
    #[values(true, false)] nesterov: bool,
) {
    let momentum = MomentumConfig {
        momentum: 0.9,
        dampening: 0.1,
        nesterov,
    };
    let decay = decay.map(WeightDecayConfig::new);
    let plain = MuonConfig::new()
        .with_adjust_lr_fn(adjust)
        .with_momentum(momentum.clone())
        .with_weight_decay(decay.clone());
    let batched = BatchedMuonConfig::new()
        .with_adjust_lr_fn(adjust)
        .with_momentum(momentum)
        .with_weight_decay(decay);
    follow(PerExpert::new(plain.build()), batched.build(), shape);
}

#[test]
fn other_settings_of_the_iteration_are_heeded() {
    let plain = MuonConfig::new()
        .with_ns_steps(3)
        .with_ns_coefficients((2.0, -1.5, 0.5))
        .with_epsilon(100.0);
    let batched = BatchedMuonConfig::new()
        .with_ns_steps(3)
        .with_ns_coefficients((2.0, -1.5, 0.5))
        .with_epsilon(100.0);
    follow(PerExpert::new(plain.build()), batched.build(), [2, 4, 6]);
}

/// Steps both side by side, to where rounding alone would not take them apart.
fn follow<const D: usize>(one_by_one: PerExpert<Muon>, batched: BatchedMuon, shape: [usize; D]) {
    let device = Device::flex();
    let mut expected = random(shape, 1, &device);
    let mut found = expected.clone();
    let (mut expected_state, mut found_state) = (None, None);
    for at in 0..6 {
        let grad = random(shape, 10 + at, &device);
        let rate = base(at as usize);
        (expected, expected_state) = one_by_one.step(rate, expected, grad.clone(), expected_state);
        (found, found_state) = batched.step(rate, found, grad, found_state);
        assert_close(
            &values(found.clone()),
            &values(expected.clone()),
            2e-5,
            &format!("step {at}"),
        );
    }
}

#[test]
fn the_defaults_are_those_of_burns_muon() {
    let ours = serde_json::to_value(BatchedMuonConfig::new()).unwrap();
    assert_eq!(ours, serde_json::to_value(MuonConfig::new()).unwrap());
}

/// A matrix is a stack of one.
#[test]
fn a_matrix_moves_as_under_burns_muon() {
    let (tensor, grad) = (
        random([4, 6], 1, &Device::flex()),
        random([4, 6], 2, &Device::flex()),
    );
    let (expected, _) = MuonConfig::new()
        .build()
        .step(0.1, tensor.clone(), grad.clone(), None);
    let (found, _) = BatchedMuonConfig::new()
        .build()
        .step(0.1, tensor, grad, None);
    assert_close(&values(found), &values(expected), 1e-5, "a matrix");
}

/// Whoever changes from one to the other goes on with the same momentum.
#[test]
fn each_reads_the_records_of_the_other() {
    let fresh = || ModuleOptimizer::from(BatchedMuonConfig::new().build().asymmetric());
    let other = || {
        let muon = PerExpert::new(MuonConfig::new().build());
        ModuleOptimizer::from(muon.asymmetric())
    };
    let mut optim = fresh();
    step(per_expert::stacked(), &mut optim, 0);
    let written = dump::record(&optim);
    let optim = other().from_bytes(optim.into_bytes().unwrap()).unwrap();
    assert_eq!(dump::record(&optim), written);
    let optim = fresh().from_bytes(optim.into_bytes().unwrap()).unwrap();
    assert_eq!(dump::record(&optim), written);
}

#[test]
#[should_panic(expected = "a parameter has 1 dimensions: give it another optimizer")]
fn a_vector_is_no_stack_of_matrices() {
    let mut optim = ModuleOptimizer::from(BatchedMuonConfig::new().build());
    step(Mlp::narrow(1, &device()), &mut optim, 0);
}
