//! Against parameters held apart.

use super::*;

/// One parameter that grows along its second dimension.
#[derive(Module, Growable, Debug)]
struct Bare {
    #[grow(dims(_, fan_out = "width"))]
    weight: Param<Tensor<2>>,
}

#[rstest]
fn a_grown_parameter_equals_two_with_their_own_state_and_rate(
    #[values(0.95, 0.999)] beta_2: f32,
    #[values(false, true)] amsgrad: bool,
) {
    let adamw = AdamWConfig::new()
        .with_beta_2(beta_2)
        .with_weight_decay(0.1)
        .with_amsgrad(amsgrad)
        .build();
    let device = device();
    let plain = device.clone().without_autodiff();
    let first = random([3, 4], 1, &plain);
    let mut whole = Bare {
        weight: Param::from_tensor(first.clone().autodiff()),
    };
    let mut optim = ModuleOptimizer::from(adamw.clone().asymmetric());
    let (mut old, mut old_state) = (first, None);
    for at in 0..10 {
        let gradient = random([3, 4], 100 + at as u64, &plain);
        let mut gradients = GradientsParams::new();
        gradients.register(whole.weight.id, gradient.clone());
        whole = optim.step(base(at), whole, gradients);
        (old, old_state) = adamw.step(base(at), old, gradient, old_state);
    }
    assert_eq!(values(whole.weight.val()), values(old.clone()));

    let plan = plan(&whole, &Expansion::to("width", 7));
    let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(6);
    let ramp = rewarmup.ramp(10, TOTAL);
    whole = expand(whole, &mut optim, &plan, Some(ramp));
    let mut new = old.clone().narrow(1, 0, 3);
    let zeros = || Tensor::zeros([3, 3], &plain);
    let mut momentum = AdaptiveMomentumState::new(10, zeros(), zeros());
    momentum.max_moment_2 = amsgrad.then(zeros);
    let mut new_state = Some(AdamWState::new(momentum));
    for at in 10..TOTAL {
        let gradient = random([3, 7], 100 + at as u64, &plain);
        let (of_old, of_new) = (
            gradient.clone().narrow(1, 0, 4),
            gradient.clone().narrow(1, 4, 3),
        );
        let mut gradients = GradientsParams::new();
        gradients.register(whole.weight.id, gradient);
        whole = optim.step(base(at), whole, gradients);
        (old, old_state) = adamw.step(base(at), old, of_old, old_state);
        let rate = ramp.rate(at - 10, base(10), base(at));
        (new, new_state) = adamw.step(rate, new, of_new, new_state);
        let slices = Tensor::cat(vec![old.clone(), new.clone()], 1);
        let what = format!("after step {at}");
        assert_close(&values(whole.weight.val()), &values(slices), 1e-6, &what);
    }
}

/// Up to epsilon, which the correction does not reach. Burn computes `beta_2^t` in `f32`, which
/// costs `6e-5 / t` of the update for 0.999.
#[rstest]
fn a_restarted_bias_correction_equals_a_fresh_parameter(
    #[values(0.95, 0.999)] beta_2: f32,
    #[values("adam", "adamw", "lamb")] name: &str,
) {
    fn check<O: Optimizer>(optimizer: &O, beta_2: f32) {
        let plain = device().without_autodiff();
        let first = random([3, 4], 1, &plain);
        let mut whole = Bare {
            weight: Param::from_tensor(first.autodiff()),
        };
        let mut optim = ModuleOptimizer::from(optimizer.clone().asymmetric());
        let step = |whole: Bare, gradient: Tensor<2>, at: usize, optim: &mut ModuleOptimizer| {
            let mut gradients = GradientsParams::new();
            gradients.register(whole.weight.id, gradient);
            optim.step(base(at), whole, gradients)
        };
        for at in 0..10 {
            let gradient = random([3, 4], 100 + at as u64, &plain);
            whole = step(whole, gradient, at, &mut optim);
        }
        let plan = plan(&whole, &Expansion::to("width", 7));
        let rewarmup = Rewarmup::cosine(1e-3).paper().with_steps(6);
        let rewarmup = rewarmup.with_restarted_bias_correction(0.9, f64::from(beta_2));
        let ramp = rewarmup.ramp(10, TOTAL);
        whole = expand(whole, &mut optim, &plan, Some(ramp));
        let mut fresh = whole.weight.val().inner().narrow(1, 4, 3);
        let mut state = None;
        for at in 10..TOTAL {
            let gradient = random([3, 7], 100 + at as u64, &plain);
            let of_new = gradient.clone().narrow(1, 4, 3);
            whole = step(whole, gradient, at, &mut optim);
            let rate = ramp.rate(at - 10, base(10), base(at));
            (fresh, state) = optimizer.step(rate, fresh, of_new, state);
            let new = values(whole.weight.val().inner().narrow(1, 4, 3));
            let tolerance = if beta_2 > 0.99 { 2e-5 } else { 2e-6 };
            assert_close(
                &new,
                &values(fresh.clone()),
                tolerance,
                &format!("step {at}"),
            );
        }
    }
    match name {
        "adam" => check(
            &AdamConfig::new()
                .with_beta_2(beta_2)
                .with_epsilon(1e-8)
                .build(),
            beta_2,
        ),
        "adamw" => {
            let adamw = AdamWConfig::new().with_beta_2(beta_2).with_epsilon(1e-8);
            check(&adamw.with_weight_decay(0.0).build(), beta_2);
        }
        _ => {
            let lamb = LambConfig::new().with_beta_2(beta_2).with_epsilon(1e-8);
            check(&lamb.with_use_trust_ratio(false).build(), beta_2);
        }
    }
}

#[test]
fn a_restarted_bias_correction_needs_a_state_that_starts_from_zero() {
    let model = Mlp::narrow(1, &device());
    let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let ramp = Rewarmup::cosine(1e-3)
        .paper()
        .with_restarted_bias_correction(0.9, 0.999)
        .ramp(0, TOTAL);
    let new = RewarmupScope::NewCoordinates;
    for (policy, scope) in [
        (StatePolicy::KeepAndZero, RewarmupScope::All),
        (StatePolicy::CopyAll, new),
        (StatePolicy::DropAll, new),
        (StatePolicy::Scale, new),
    ] {
        let ramp = Ramp { scope, ..ramp };
        let result = expand_optimizer(&optim, &model, &plan, policy, Some(ramp));
        let error = result.err().unwrap();
        assert!(
            matches!(error, OptimError::RestartedBiasCorrection { .. }),
            "{error}"
        );
    }
    expand_optimizer(&optim, &model, &plan, StatePolicy::KeepAndZero, Some(ramp)).unwrap();
}
