//! The optimizer whose rate follows the widths of its parameters.

use burn_core::tensor::{Device, Tensor};
use burn_grow_core::parametrization::ParamWidths;
use burn_optim::{LearningRate, Optimizer};

use crate::{AsymmetricConfig, OptimError};

/// Optimizer of parameters whose learning rate and weight decay follow their widths: those of the
/// configuration times the factors of a [parametrization](burn_grow_core::parametrization).
///
/// The factors are a function of the shape that a parameter has in a step. So from the first step
/// after an expansion on they are those of the new width, for old coordinates and new ones alike, and
/// a record is the inner optimizer's. Where they are 1, so are all bits.
///
/// [`Asymmetric`](crate::Asymmetric) goes outside: a re-warmup is a multiple of the base rate, which
/// the scheduler gives, and every factor applies to the result.
#[derive(Clone, Debug)]
pub struct ParametrizedOptimizer<C> {
    config: C,
    widths: ParamWidths,
}

impl<C: AsymmetricConfig> ParametrizedOptimizer<C> {
    /// Creates the optimizer of parameters with these widths.
    ///
    /// # Errors
    ///
    /// When the weight decay of the configuration cannot be scaled.
    pub fn new(config: C, widths: ParamWidths) -> Result<Self, OptimError> {
        config.with_decay(1.0)?;
        Ok(Self { config, widths })
    }
}

impl<C: AsymmetricConfig> Optimizer for ParametrizedOptimizer<C> {
    type State<const D: usize> = <C::Optimizer as Optimizer>::State<D>;

    /// Steps the parameter at its own rate.
    ///
    /// # Panics
    ///
    /// When the weight decay of the configuration cannot be scaled, though [`new`](Self::new) has
    /// seen that it can.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let factors = self.widths.factors(&tensor.dims(), self.config.update());
        let optim = if factors.decay == 1.0 {
            self.config.build_plain()
        } else {
            match self.config.with_decay(factors.decay) {
                Ok(config) => config.build_plain(),
                Err(error) => panic!("{error}"),
            }
        };
        optim.step(lr * factors.rate, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        C::Optimizer::to_device(state, device)
    }
}
