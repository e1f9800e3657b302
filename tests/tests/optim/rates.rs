//! Learning rates of new coordinates where groups of parameters have rates of their own.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param, ParamGroup};
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};

const TOTAL: usize = 20;
const GROWN: usize = 4;

#[derive(Module, Growable, Debug)]
struct Pair {
    #[grow(dims(fan_out = "inner"))]
    fast: Param<Tensor<1>>,
    #[grow(dims(fan_out = "inner"))]
    slow: Param<Tensor<1>>,
}

fn values(param: &Param<Tensor<1>>) -> Vec<f64> {
    param.val().into_data().iter().collect()
}

/// Under plain SGD and gradients of one, a coordinate moves by its learning rate.
#[test]
fn under_a_cosine_each_group_climbs_to_a_rate_of_its_own() {
    let device = Device::flex().autodiff();
    let zeros = || Param::from_tensor(Tensor::<1>::zeros([2], &device));
    let mut model = Pair {
        fast: zeros(),
        slow: zeros(),
    };
    let cosine = Rewarmup::cosine(1e-4).with_rho(3.0).with_steps(3);
    let callback = WidthExpansionCallback::builder(TOTAL)
        .expand(
            At::step(GROWN),
            Growth::new(Expansion::by("inner", 2.0)).with_rewarmup(cosine.clone()),
        )
        .build(&model)
        .unwrap();
    let ramp = cosine.ramp(GROWN, TOTAL);
    let mut optim = SgdConfig::new().init_asymmetric();
    let mut growth = callback.growth_loop().unwrap();
    let mut scheduler = ModuleLrScheduler::new(ConstantLr::new(0.1))
        .with_group(ParamGroup::from_predicate("slow"), ConstantLr::new(0.01));
    for step in 0..TOTAL {
        let mut grads = GradientsParams::new();
        for param in [&model.fast, &model.slow] {
            grads.register(param.id, param.val().inner().ones_like());
        }
        let before = [&model.fast, &model.slow].map(values);
        let lr = scheduler.step();
        model = optim.step(lr.clone(), model, grads);
        for ((before, param), base) in before
            .iter()
            .zip([&model.fast, &model.slow])
            .zip([0.1, 0.01])
        {
            let after = values(param);
            let moved = before
                .iter()
                .zip(&after)
                .map(|(before, after)| before - after);
            for (coordinate, moved) in moved.enumerate() {
                let rate = match (step >= GROWN, coordinate < 2) {
                    (true, false) => ramp.rate(step - GROWN, base, base),
                    _ => base,
                };
                let off = (moved - rate).abs();
                assert!(
                    off < 1e-3 * rate,
                    "step {step}, {coordinate} at {base}: {moved} for {rate}"
                );
            }
        }
        growth.step(lr.base(), &mut model, &mut optim).unwrap();
    }
}
