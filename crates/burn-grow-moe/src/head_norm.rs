use burn_core as burn;
use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;
use burn_grow_core::{Describer, Layer, LayerRoles};
use burn_nn::RmsNorm;
use serde::{Deserialize, Serialize};

use crate::init::Init;
use crate::kernels::rms_norm;

/// What the norm of queries and keys takes its mean square over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// Over every head by itself, with one gain for all, as in Qwen3-MoE.
    #[default]
    PerHead,
    /// Over all heads of a token, with a gain for each of their coordinates, as in OLMoE.
    ///
    /// Copies keep the mean square if every head is copied equally often. New heads of zeros do not:
    /// they make the others louder.
    FullWidth,
}

/// The RMSNorm of queries or keys.
///
/// Over single heads ([arXiv 2302.05442](https://arxiv.org/abs/2302.05442)) the gain never grows; over
/// the full width it rides along the heads.
#[derive(Module, Debug)]
pub struct HeadNorm {
    /// `[head_dim]` or, over the full width, `[heads * head_dim]`.
    pub gamma: Param<Tensor<1>>,
    /// What keeps the norm from dividing by zero.
    pub epsilon: f64,
    /// What the mean square is taken over.
    #[module(skip)]
    pub over: QkNorm,
}

impl HeadNorm {
    pub(crate) fn new(init: &Init<'_>, heads: usize) -> Self {
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

/// Gain `[gain]` over the full width, `[head_dim]` per head.
impl Layer for HeadNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        let role = match self.over {
            QkNorm::PerHead => None,
            QkNorm::FullWidth => roles.gain.clone(),
        };
        describe.param(&self.gamma, [role]);
    }
}
