//! A Q network, which learns from a target network in a loop of one's own.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use burn_grow::TrainError;
use burn_grow::optim::AsymmetricConfig;
use burn_grow::prelude::*;
use burn_grow_tests::data::{assert_close, values};

use crate::checks::narrow;
use crate::model::{Model, Sample, Size};

const STATE: usize = 4;
const ACTIONS: usize = 3;

#[derive(Module, Growable, Debug)]
pub(crate) struct Dqn {
    #[grow(fan_out = "first")]
    linear_0: Linear,
    #[grow(fan_in = "first", fan_out = "second")]
    linear_1: Linear,
    #[grow(fan_in = "second")]
    linear_2: Linear,
    activation: Relu,
}

impl Dqn {
    /// # Shapes
    ///
    /// - `state`: `[batch, state]`
    /// - output: `[batch, actions]`
    fn forward(&self, state: Tensor<2>) -> Tensor<2> {
        let x = self.activation.forward(self.linear_0.forward(state));
        let x = self.activation.forward(self.linear_1.forward(x));
        self.linear_2.forward(x)
    }
}

impl Model for Dqn {
    const AXES: &'static [(&'static str, usize)] = &[("first", 8), ("second", 6)];

    fn built(size: &Size, device: &Device) -> Self {
        let (first, second) = (size.of("first"), size.of("second"));
        Self {
            linear_0: LinearConfig::new(STATE, first).init(device),
            linear_1: LinearConfig::new(first, second).init(device),
            linear_2: LinearConfig::new(second, ACTIONS).init(device),
            activation: Relu::new(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([6, STATE]))
    }

    fn loss(&self, sample: &Sample) -> Tensor<1> {
        sample.regressed(self.output(sample))
    }
}

/// A target network that grows by the policy's plan keeps its values; copied anew, it follows.
#[test]
fn a_target_network_follows_its_policy_across_an_expansion() -> Result<(), TrainError> {
    let device = Device::flex().autodiff();
    let mut policy: Dqn = narrow(1, &device);
    let mut target = policy.clone();
    let mut optim = AdamWConfig::new().init_asymmetric();
    let expansion = Expansion::by("first", 2.0).and_by("second", 2.0);
    let mut growth = WidthExpansionCallback::builder(12)
        .expand(At::step(7), expansion.clone())
        .build(&policy)?
        .growth_loop()?;
    let (lr, gamma) = (1e-2, 0.9);
    for step in 0..12 {
        let sample = Sample::new(step % 2, &device);
        let next = target.output(&Sample::new(step % 2 + 50, &device)).detach();
        let wanted = sample.floats([6, 1]) + next.max_dim(1) * gamma;
        let chosen = policy.output(&sample).narrow(1, 0, 1);
        let loss = (chosen - wanted).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &policy);
        policy = optim.step(lr, policy, gradients);
        for plan in growth.step(lr, &mut policy, &mut optim)? {
            let before = values(target.output(&sample));
            target = plan.apply(target)?;
            assert_close(&values(target.output(&sample)), &before, 1e-5, "the target");
        }
        if step % 4 == 3 {
            target = policy.clone();
        }
    }
    assert!(growth.shortfall().is_none());
    for network in [policy, target] {
        assert_eq!(network.linear_1.weight.dims(), [16, 12]);
    }
    Ok(())
}
