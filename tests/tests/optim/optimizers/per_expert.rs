//! A matrix optimizer on stacks of matrices.

use burn_grow::optim::check_asymmetric;

use super::*;

/// The matrices of three experts.
#[derive(Module, Growable, Debug)]
pub(super) struct Stacked {
    #[grow(dims(gain = "experts", fan_in = "hidden", fan_out = "inner"))]
    up: Param<Tensor<3>>,
    #[grow(dims(gain = "experts", fan_in = "inner", fan_out = "hidden"))]
    down: Param<Tensor<3>>,
}

/// Those of one.
#[derive(Module, Growable, Debug)]
struct Alone {
    #[grow(dims(fan_in = "hidden", fan_out = "inner"))]
    up: Param<Tensor<2>>,
    #[grow(dims(fan_in = "inner", fan_out = "hidden"))]
    down: Param<Tensor<2>>,
}

const EXPERTS: usize = 3;

fn trained<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_inner(tensor.inner()).require_grad())
}

pub(super) fn stacked() -> Stacked {
    Stacked {
        up: trained(random([EXPERTS, 4, 8], 1, &device())),
        down: trained(random([EXPERTS, 8, 4], 2, &device())),
    }
}

fn expert<const D: usize>(stack: &Tensor<D>, index: usize) -> Tensor<2> {
    let [rows, columns] = [stack.dims()[D - 2], stack.dims()[D - 1]];
    let stack = stack.clone().reshape([-1, rows as i32, columns as i32]);
    stack.narrow(0, index, 1).reshape([rows, columns])
}

impl Stacked {
    fn alone(&self, index: usize) -> Alone {
        Alone {
            up: trained(expert(&self.up.val(), index)),
            down: trained(expert(&self.down.val(), index)),
        }
    }

    /// Drawn gradients, and those of every expert alone.
    fn gradients(&self, alone: &[Alone], seed: usize) -> (GradientsParams, Vec<GradientsParams>) {
        let draw = |param: &Param<Tensor<3>>, seed| {
            random(param.dims(), seed, &param.val().inner().device())
        };
        let (up, down) = (
            draw(&self.up, 2 * seed as u64 + 100),
            draw(&self.down, 2 * seed as u64 + 101),
        );
        let mut all = GradientsParams::new();
        all.register(self.up.id, up.clone());
        all.register(self.down.id, down.clone());
        let one = |(index, model): (usize, &Alone)| {
            let mut one = GradientsParams::new();
            one.register(model.up.id, expert(&up, index));
            one.register(model.down.id, expert(&down, index));
            one
        };
        (all, alone.iter().enumerate().map(one).collect())
    }
}

#[rstest]
#[case::muon(MuonConfig::new().with_weight_decay(Some(WeightDecayConfig::new(0.1))).build())]
#[case::adafactor(AdafactorConfig::new().build())]
#[case::lamb(LambConfig::new().with_weight_decay(0.1).build())]
#[case::adamw(AdamWConfig::new().build())]
#[case::sgd(SgdConfig::new().with_momentum(Some(MomentumConfig::new())).build())]
fn every_matrix_moves_as_it_would_alone<O: Optimizer>(#[case] optimizer: O) {
    let mut all = stacked();
    let mut alone: Vec<_> = (0..EXPERTS).map(|index| all.alone(index)).collect();
    let per_expert = PerExpert::new(optimizer.clone()).asymmetric();
    let mut optim = ModuleOptimizer::from(per_expert.clone());
    let mut optims = vec![ModuleOptimizer::from(optimizer.asymmetric()); EXPERTS];
    let expansion = Expansion::by("inner", 1.5).and_by("hidden", 2.0);
    let rewarmup = Rewarmup::cosine(1e-3).with_rho(2.0).with_steps(4);
    for at in 0..15 {
        if at == 5 || at == 10 {
            let rewarmup = Some(rewarmup.ramp(at, TOTAL));
            let larger = plan(&all, &expansion);
            all = expand(all, &mut optim, &larger, rewarmup);
            for (model, optim) in alone.iter_mut().zip(&mut optims) {
                let larger = plan(model, &expansion);
                *model = expand(model.clone(), optim, &larger, rewarmup);
            }
        }
        if at % 4 == 3 {
            let written = dump::record(&optim);
            let bytes = optim.into_bytes().unwrap();
            optim = ModuleOptimizer::from(per_expert.clone())
                .from_bytes(bytes)
                .unwrap();
            assert_eq!(dump::record(&optim), written);
        }
        let (gradients, one_by_one) = all.gradients(&alone, at);
        all = optim.step(base(at), all, gradients);
        let steps = optims.iter_mut().zip(one_by_one).zip(alone);
        let steps = steps.map(|((optim, gradients), model)| optim.step(base(at), model, gradients));
        alone = steps.collect();
        for (index, alone) in alone.iter().enumerate() {
            for (stack, matrix) in [(&all.up, &alone.up), (&all.down, &alone.down)] {
                let found = values(expert(&stack.val(), index));
                assert_eq!(found, values(matrix.val()), "expert {index}, step {at}");
            }
        }
    }
}

#[test]
fn whatever_comes_before_the_matrix_is_a_stack() {
    let muon = MuonConfig::new().build();
    let tensor = random([2, 3, 4, 5], 1, &Device::flex());
    let grad = random([2, 3, 4, 5], 2, &Device::flex());
    let (moved, state) = PerExpert::new(muon.clone()).step(0.1, tensor.clone(), grad.clone(), None);
    assert!(state.is_some());
    for index in 0..6 {
        let (expected, _) = muon.step(0.1, expert(&tensor, index), expert(&grad, index), None);
        assert_eq!(values(expert(&moved, index)), values(expected));
    }
}

#[rstest]
#[case::kept_and_zero(StatePolicy::KeepAndZero)]
#[case::copied(StatePolicy::CopyAll)]
fn new_experts_get_the_state_that_the_policy_says(#[case] policy: StatePolicy) {
    let optimizer = PerExpert::new(MuonConfig::new().build()).asymmetric();
    let mut optim = ModuleOptimizer::from(optimizer);
    let mut model = step(stacked(), &mut optim, 0);
    let before = dump::record(&optim).tensors;
    let plan = plan(&model, &Expansion::by("experts", 2.0));
    optim = expand_optimizer(&optim, &model, &plan, policy, None).unwrap();
    model = plan.apply(model).unwrap();
    let after = dump::record(&optim).tensors;
    assert_eq!(after.len(), 2);
    for (name, state) in after {
        let (old, new) = (before[&name].values(), state.values());
        assert_eq!(state.shape[0], 2 * EXPERTS, "{name}");
        assert_eq!(new[..old.len()], old);
        match policy {
            StatePolicy::CopyAll => assert_eq!(new[old.len()..], old),
            _ => assert!(new[old.len()..].iter().all(|value| *value == 0.0)),
        }
    }
    let moved = step(model.clone(), &mut optim, 1);
    assert_ne!(dump::params(&moved), dump::params(&model));
}

/// Regions tell coordinates of the parameter, not of one matrix.
#[test]
fn the_adapter_goes_around_it_and_not_inside() {
    let inside = PerExpert::new(MuonConfig::new().build().asymmetric());
    let error = check_asymmetric(&inside.into(), &stacked()).unwrap_err();
    assert!(matches!(error, OptimError::NotAsymmetric { path } if path == "down"));
}

#[test]
#[should_panic(expected = "a parameter has 1 dimensions: give it another optimizer")]
fn a_vector_is_no_stack_of_matrices() {
    let mut optim = ModuleOptimizer::from(PerExpert::new(MuonConfig::new().build()));
    step(Mlp::narrow(1, &device()), &mut optim, 0);
}
