//! Parameters in half precision under a state in single precision.

use super::*;

const HALVES: [FloatDType; 2] = [FloatDType::BF16, FloatDType::F16];

fn mixed() -> ModuleOptimizer {
    ModuleOptimizer::from(MixedPrecision::new(adam_w().asymmetric()))
}

fn adam_w() -> AdamW {
    AdamWConfig::new()
        .with_beta_2(0.95)
        .with_weight_decay(0.1)
        .build()
}

/// A parameter of whatever type, its gradient at a step, and both in single precision.
fn half(dtype: FloatDType, seed: u64) -> (Tensor<2>, Tensor<2>) {
    let rounded = random([4, 6], seed, &Device::flex()).cast(dtype);
    (rounded.clone(), rounded.cast(FloatDType::F32))
}

#[test]
fn the_master_copy_moves_as_a_parameter_in_single_precision() {
    for dtype in HALVES {
        let (optim, plain) = (MixedPrecision::new(adam_w()), adam_w());
        let (mut tensor, mut expected) = half(dtype, 1);
        let (mut state, mut expected_state) = (None, None);
        for at in 0..20 {
            let (grad, exact) = half(dtype, 10 + at);
            let rate = base(at as usize);
            (tensor, state) = optim.step(rate, tensor, grad, state);
            (expected, expected_state) = plain.step(rate, expected, exact, expected_state);
            let state = state.as_ref().unwrap();
            let master = state.master.clone().unwrap();
            assert_eq!(values(master), values(expected.clone()), "step {at}");
            assert_eq!(values(tensor.clone()), values(expected.clone().cast(dtype)));
            assert_eq!(tensor.dtype(), DType::from(dtype));
        }
    }
}

#[test]
fn updates_below_a_last_place_add_up() {
    for dtype in HALVES {
        let start = Tensor::<1>::ones([3], &Device::flex()).cast(dtype);
        let grad = Tensor::<1>::ones([3], &Device::flex()).cast(dtype);
        let sgd = || SgdConfig::new().build();
        let (mut alone, mut kept, mut state) = (start.clone(), start.clone(), None);
        for _ in 0..64 {
            alone = sgd().step(1e-4, alone, grad.clone(), None).0;
            (kept, state) = MixedPrecision::new(sgd()).step(1e-4, kept, grad.clone(), state);
        }
        assert_eq!(
            values(alone),
            [1.0; 3],
            "a step is less than half a last place"
        );
        let expected = Tensor::<1>::full([3], 1.0 - 64e-4, &Device::flex()).cast(dtype);
        assert_eq!(values(kept), values(expected));
    }
}

#[test]
fn a_parameter_in_single_precision_has_no_copy() {
    let (tensor, grad) = (
        random([3, 3], 1, &Device::flex()),
        random([3, 3], 2, &Device::flex()),
    );
    let (found, state) =
        MixedPrecision::new(adam_w()).step(0.1, tensor.clone(), grad.clone(), None);
    let (expected, _) = adam_w().step(0.1, tensor, grad, None);
    assert_eq!(values(found), values(expected));
    assert!(state.unwrap().master.is_none());
}

/// Coordinates that something else moved start again, and only they.
#[test]
fn the_master_copy_follows_whatever_moves_the_parameter() {
    let optim = MixedPrecision::new(SgdConfig::new().build());
    let dtype = FloatDType::BF16;
    let start = Tensor::<1>::from_data([1.0, 1.0], &Device::flex()).cast(dtype);
    let grad = Tensor::<1>::ones([2], &Device::flex()).cast(dtype);
    let (tensor, state) = optim.step(1e-3, start, grad.clone(), None);
    assert_eq!(values(tensor.clone()), [1.0, 1.0]);
    let moved = tensor * Tensor::<1>::from_data([1.0, 0.5], &Device::flex()).cast(dtype);
    let (_, state) = optim.step(1e-3, moved, grad, state);
    assert_close(
        &values(state.unwrap().master.unwrap()),
        &[0.998, 0.499],
        1e-6,
        "master",
    );
}

#[rstest]
#[case::kept_and_zero(StatePolicy::KeepAndZero)]
#[case::copied(StatePolicy::CopyAll)]
#[case::dropped(StatePolicy::DropAll)]
#[case::scaled(StatePolicy::Scale)]
fn a_run_grows_and_resumes_bit_exactly(#[case] policy: StatePolicy) {
    let mut optim = mixed();
    let mut model = cast(Mlp::narrow(3, &device()), FloatDType::BF16);
    for at in 0..5 {
        model = step(model, &mut optim, at);
    }
    let plan = plan(&model, &Expansion::by("inner", 2.0));
    let rewarmup = Rewarmup::cosine(1e-3).with_rho(2.0).with_steps(4);
    let ramp = Some(rewarmup.ramp(5, TOTAL));
    optim = expand_optimizer(&optim, &model, &plan, policy, ramp).unwrap();
    model = plan.apply(model).unwrap();
    let saved = (dump::record(&optim), optim.into_bytes().unwrap());
    let mut loaded = mixed().from_bytes(saved.1).unwrap();
    assert_eq!(dump::record(&loaded), saved.0);
    let mut other = model.clone();
    for at in 5..15 {
        model = step(model, &mut optim, at);
        other = step(other, &mut loaded, at);
        assert_eq!(dump::params(&other), dump::params(&model), "step {at}");
        assert_eq!(dump::record(&loaded), dump::record(&optim), "step {at}");
    }
    assert!(
        dump::params(&model)
            .values()
            .all(|param| param.dtype == DType::BF16)
    );
    assert!(
        dump::record(&optim)
            .tensors
            .values()
            .all(|state| state.dtype == DType::F32)
    );
}

/// New coordinates move at their own rate, to within what their type holds.
#[test]
fn the_adapter_goes_inside() {
    assert!(burn_grow::optim::check_asymmetric(&mixed(), &Mlp::narrow(1, &device())).is_ok());
    let plain = ModuleOptimizer::from(MixedPrecision::new(adam_w()));
    assert!(burn_grow::optim::check_asymmetric(&plain, &Mlp::narrow(1, &device())).is_err());
    let run = |precision: FloatDType, mut optim: ModuleOptimizer| {
        // Rounded once, so that both begin alike.
        let model = cast(Mlp::narrow(3, &device()), FloatDType::BF16);
        let mut model = cast(model, precision);
        let plan = plan(&model, &Expansion::by("inner", 2.0));
        model = step(model, &mut optim, 0);
        let rewarmup = Rewarmup::cosine(1e-3).with_rho(3.0).with_steps(1);
        let ramp = Some(rewarmup.ramp(1, TOTAL));
        let keep = StatePolicy::KeepAndZero;
        optim = expand_optimizer(&optim, &model, &plan, keep, ramp).unwrap();
        model = plan.apply(model).unwrap();
        let before = dump::params(&model);
        (before, dump::params(&step(model, &mut optim, 1)))
    };
    let (before, after) = run(FloatDType::BF16, mixed());
    let (exact_before, exact) = run(
        FloatDType::F32,
        ModuleOptimizer::from(adam_w().asymmetric()),
    );
    for (path, after) in after {
        let update = |after: &ParamDump, before: &ParamDump| -> Vec<f32> {
            let pairs = after.values().into_iter().zip(before.values());
            pairs.map(|(after, before)| after - before).collect()
        };
        let found = update(&after, &before[&path]);
        let expected = update(&exact[&path], &exact_before[&path]);
        // The parameters are below one: half a last place of theirs, before and after.
        assert_close(&found, &expected, 2.0 / 256.0, &path);
    }
}
