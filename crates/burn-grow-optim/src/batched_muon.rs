use burn_core as burn;

use burn_core::config::Config;
use burn_core::tensor::{Device, Tensor};
use burn_optim::decay::WeightDecayConfig;
use burn_optim::momentum::{Momentum, MomentumConfig};
use burn_optim::{AdjustLrFn, LearningRate, ModuleOptimizer, MuonState, Optimizer};

/// Configuration of [`BatchedMuon`]: the settings of burn-optim's
/// [`MuonConfig`](burn_optim::MuonConfig), with its defaults. Neither has gradient clipping.
#[derive(Config, Debug)]
pub struct BatchedMuonConfig {
    /// The weight decay.
    weight_decay: Option<WeightDecayConfig>,
    /// The momentum, which Muon always has.
    #[config(default = "MomentumConfig { momentum: 0.95, dampening: 0.0, nesterov: true }")]
    momentum: MomentumConfig,
    /// The coefficients of `x`, `x^3` and `x^5` in a Newton-Schulz step.
    #[config(default = "(3.4445, -4.775, 2.0315)")]
    ns_coefficients: (f32, f32, f32),
    /// The lower bound of the norm that a matrix is divided by.
    #[config(default = 1e-7)]
    epsilon: f32,
    /// The number of Newton-Schulz steps.
    #[config(default = 5)]
    ns_steps: usize,
    /// The rule by which the learning rate follows the shape of a matrix.
    #[config(default = "AdjustLrFn::Original")]
    adjust_lr_fn: AdjustLrFn,
}

impl BatchedMuonConfig {
    /// The optimizer by itself, for
    /// [`ModuleOptimizer::with_group`](burn_optim::ModuleOptimizer::with_group).
    pub fn build(&self) -> BatchedMuon {
        BatchedMuon {
            momentum: Momentum::new(&self.momentum),
            config: self.clone(),
        }
    }

    /// The optimizer of a module of matrices.
    pub fn init(&self) -> ModuleOptimizer {
        ModuleOptimizer::from(self.build())
    }
}

/// Muon for stacks of matrices, all orthogonalized by the same matrix products.
///
/// It computes the same as [`PerExpert`](crate::PerExpert) around burn-optim's
/// [`Muon`](burn_optim::Muon), and reads and writes the same records. One batched product in place
/// of many takes less time if the matrices are small (on Flex below about `[128, 128]`), and as
/// much if they are large (`cargo xtask bench`).
///
/// # Shapes
///
/// A parameter `[.., rows, columns]` is a stack of matrices `[rows, columns]`.
///
/// ```
/// # use burn_core::module::ParamGroup;
/// # use burn_grow_optim::{AsymmetricConfig, AsymmetricGroups, BatchedMuonConfig};
/// # use burn_optim::{AdamWConfig, AdjustLrFn};
/// // With updates as large as AdamW's, both take the same learning rate.
/// let muon = BatchedMuonConfig::new().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
/// let optim = AdamWConfig::new()
///     .init_asymmetric()
///     .with_asymmetric_group(ParamGroup::from_predicate("experts"), &muon);
/// ```
///
/// Source: Jordan et al., [Muon](https://kellerjordan.github.io/posts/muon/), 2024.
#[derive(Clone)]
pub struct BatchedMuon {
    momentum: Momentum,
    config: BatchedMuonConfig,
}

impl BatchedMuon {
    /// The nearest orthogonal matrix of every matrix, by a quintic Newton-Schulz iteration on the
    /// smaller side.
    fn orthogonalized<const D: usize>(&self, stack: Tensor<D>) -> Tensor<D> {
        let (rows, columns) = (D - 2, D - 1);
        let shape = stack.dims();
        let tall = shape[rows] > shape[columns];
        let turned = |stack: Tensor<D>| {
            if tall {
                stack.swap_dims(rows, columns)
            } else {
                stack
            }
        };
        let mut x = turned(stack);
        let squares = x.clone().powi_scalar(2);
        let norm = squares.sum_dim(columns).sum_dim(rows).sqrt();
        x = x / norm.clamp_min(self.config.epsilon);
        let (a, b, c) = self.config.ns_coefficients;
        for _ in 0..self.config.ns_steps {
            let square = x.clone().matmul(x.clone().swap_dims(rows, columns));
            let fourth = square.clone().matmul(square.clone());
            let both = square.mul_scalar(b) + fourth.mul_scalar(c);
            x = x.clone().mul_scalar(a) + both.matmul(x);
        }
        turned(x)
    }

    /// Factor of the learning rate for a matrix of that shape.
    fn adjustment(&self, rows: usize, columns: usize) -> f64 {
        let (rows, columns) = (rows as f64, columns as f64);
        match self.config.adjust_lr_fn {
            AdjustLrFn::Original => (rows / columns).max(1.0).sqrt(),
            AdjustLrFn::MatchRmsAdamW => 0.2 * rows.max(columns).sqrt(),
        }
    }
}

impl Optimizer for BatchedMuon {
    type State<const D: usize> = MuonState<D>;

    /// Steps every matrix.
    ///
    /// # Panics
    ///
    /// When the parameter has less than two dimensions: it holds no matrix.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        assert!(
            D >= 2,
            "`BatchedMuon` takes stacks of matrices, and a parameter has {D} dimensions: give it another \
             optimizer, with a parameter group"
        );
        let shape = tensor.dims();
        let (grad, momentum) = self
            .momentum
            .transform(grad, state.map(|state| state.momentum));
        let update = self.orthogonalized(grad);
        let tensor = match &self.config.weight_decay {
            Some(decay) => tensor.mul_scalar(1.0 - lr * f64::from(decay.penalty)),
            None => tensor,
        };
        let rate = lr * self.adjustment(shape[D - 2], shape[D - 1]);
        let moved = tensor - update.mul_scalar(rate);
        (moved, Some(MuonState::new(momentum)))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
