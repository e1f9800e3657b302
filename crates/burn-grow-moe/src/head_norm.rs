//! The norm of queries and keys.

use burn_core as burn;
use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;
use burn_grow_core::describe::{Constants, Describer, Layer, LayerRoles};
use burn_grow_kernels::rms_norm;
use burn_nn::RmsNorm;

use crate::config::QkNorm;
use crate::weight_init::WeightInit;

/// The RMSNorm of queries or keys.
///
/// Over single heads ([arXiv 2302.05442](https://arxiv.org/abs/2302.05442)) the gain never grows;
/// over the full width it grows with the heads.
#[derive(Module, Debug)]
pub struct HeadNorm {
    /// `[head_dim]` or, over the full width, `[heads * head_dim]`.
    pub gamma: Param<Tensor<1>>,
    /// The number added to the mean square, so that the norm never divides by zero.
    pub epsilon: f64,
    /// The coordinates that the mean square is taken over.
    #[module(skip)]
    pub over: QkNorm,
}

impl HeadNorm {
    pub(crate) fn new(init: &WeightInit<'_>, heads: usize) -> Self {
        let over = init.config.qk_norm;
        let RmsNorm { gamma, epsilon } = init.norm(match over {
            QkNorm::PerHead => init.config.head_dim,
            QkNorm::FullWidth => heads * init.config.head_dim,
        });
        Self {
            gamma,
            epsilon,
            over,
        }
    }

    /// Normalizes heads.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, heads, head_dim]`
    /// - output: `[batch, seq, heads, head_dim]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let gain = self.gamma.val();
        match self.over {
            QkNorm::PerHead => rms_norm(x, gain, self.epsilon),
            QkNorm::FullWidth => {
                let shape @ [batch, seq, heads, head_dim] = x.dims();
                let x = x.reshape([batch, seq, heads * head_dim]);
                rms_norm(x, gain, self.epsilon).reshape(shape)
            }
        }
    }
}

/// Describes the gain as `[gain]` over the full width, as `[head_dim]` per head.
impl Layer for HeadNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        let role = match self.over {
            QkNorm::PerHead => None,
            QkNorm::FullWidth => roles.gain.clone(),
        };
        describe.param(&self.gamma, [role]);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}
