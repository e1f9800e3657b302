//! The choice of experts.

use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::{DType, Tensor};
use burn_grow_derive::Growable;
use burn_grow_kernels::Routing;
use burn_nn::Linear;

use crate::weight_init::WeightInit;

/// Chooses the experts of every token.
///
/// `p = softmax(W x)` in `f32`. The `top_k` most probable experts answer, weighted with `p` or, as
/// in Qwen3-MoE, with `p` divided by its sum over the chosen experts. [`Routing`] says where the
/// choice is made.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct Router {
    /// `[hidden, n_experts]`
    #[grow(with = scores)]
    pub linear: Linear,
    /// The number of experts a token is sent to.
    #[grow(count = "top_k")]
    pub top_k: usize,
    /// True if the weights of a token sum to one.
    pub norm_topk_prob: bool,
}

/// The router's outputs are gains of `"experts"`: under every init pair a new expert is a whole
/// copy, and so are the weights that choose it.
mod scores {
    use burn_grow_core::describe::{Constants, Describer, Role};
    use burn_nn::Linear;

    pub(super) fn describe(linear: &Linear, describe: &mut Describer) {
        let roles = [Role::fan_in("hidden"), Role::gain("experts")].map(Some);
        describe.param(&linear.weight, roles);
    }

    pub(super) fn update_constants(_linear: &mut Linear, _constants: &Constants<'_>) {}
}

/// The experts that one layer sent its tokens to.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The chosen experts, and the load of every expert.
    pub routing: Routing,
    /// The mean probability of each expert, `P_e`: `[n_experts]`.
    pub probabilities: Tensor<1>,
    /// The mean square of the log-partition of the router's logits: `[1]`.
    pub z: Tensor<1>,
}

impl Router {
    pub(crate) fn new(init: &WeightInit<'_>) -> Self {
        Self {
            linear: init.linear(init.config.hidden, init.config.n_experts),
            top_k: init.config.top_k,
            norm_topk_prob: init.config.norm_topk_prob,
        }
    }

    /// Chooses the experts of every token, and their weights.
    ///
    /// # Shapes
    ///
    /// - x: `[tokens, hidden]`
    /// - weights: `[tokens, top_k]`
    pub fn forward(&self, x: Tensor<2>) -> (Routed, Tensor<2>) {
        let dtype = x.dtype();
        let logits = self.linear.forward(x).cast(DType::F32);
        let [_, n_experts] = logits.dims();

        let largest = logits.clone().detach().max_dim(1);
        let exp = (logits - largest.clone()).exp();
        let total = exp.clone().sum_dim(1);
        let probabilities = exp / total.clone();

        let routing = Routing::choose(&probabilities, self.top_k);
        let mut weights = probabilities.clone().gather(1, routing.experts());
        if self.norm_topk_prob {
            weights = weights.clone() / weights.sum_dim(1);
        }
        let routed = Routed {
            routing,
            probabilities: probabilities.mean_dim(0).reshape([n_experts]),
            z: (total.log() + largest).square().mean(),
        };
        (routed, weights.cast(dtype))
    }
}
