//! The initialization of a model's parameters.

use burn_core::module::Param;
use burn_core::tensor::{Device, Tensor};
use burn_nn::{Embedding, Initializer, Linear, RmsNorm, RmsNormConfig};

use crate::config::MoeConfig;

/// Initializes the parameters of a model: normal matrices with the configuration's
/// deviation, gains of one.
pub(crate) struct WeightInit<'a> {
    pub(crate) config: &'a MoeConfig,
    pub(crate) device: &'a Device,
}

impl WeightInit<'_> {
    /// A matrix of so many inputs.
    pub(crate) fn matrix<const D: usize>(
        &self,
        shape: [usize; D],
        fan_in: usize,
    ) -> Param<Tensor<D>> {
        let std = self.config.init_std.of(fan_in);
        Initializer::Normal { mean: 0.0, std }.init(shape, self.device)
    }

    pub(crate) fn linear(&self, d_input: usize, d_output: usize) -> Linear {
        Linear {
            weight: self.matrix([d_input, d_output], d_input),
            bias: None,
        }
    }

    pub(crate) fn embedding(&self, n_embedding: usize, d_model: usize) -> Embedding {
        Embedding {
            weight: self.matrix([n_embedding, d_model], d_model),
        }
    }

    pub(crate) fn norm(&self, d_model: usize) -> RmsNorm {
        RmsNormConfig::new(d_model)
            .with_epsilon(self.config.norm_eps)
            .init(self.device)
    }
}
