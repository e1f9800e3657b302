//! The feed-forward layer of experts.

use burn_core as burn;
use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;
use burn_grow_core::describe::ActiveFraction;
use burn_grow_derive::Growable;
use burn_grow_kernels::{ExpertMatrices, experts};

use crate::router::{Routed, Router};
use crate::weight_init::WeightInit;

/// A feed-forward layer of experts, which sends every token to `top_k` of them.
///
/// `y = sum_e w_e down_e (silu(gate_e x) * up_e x)` over the chosen experts. No token is dropped,
/// however uneven the load. The weights of all experts are stacked.
///
/// Growing `"experts"` copies whole experts, and the router's outputs with them.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct MoeFeedForward {
    /// Chooses the experts.
    pub router: Router,
    /// `[n_experts, hidden, inner]`
    #[grow(dims(gain = "experts", fan_in = "hidden", gate = "inner"), active = Self::active)]
    pub gate_proj: Param<Tensor<3>>,
    /// `[n_experts, hidden, inner]`
    #[grow(dims(gain = "experts", fan_in = "hidden", fan_out = "inner"), active = Self::active)]
    pub up_proj: Param<Tensor<3>>,
    /// `[n_experts, inner, hidden]`
    #[grow(dims(gain = "experts", fan_in = "inner", fan_out = "hidden"), active = Self::active)]
    pub down_proj: Param<Tensor<3>>,
}

impl MoeFeedForward {
    pub(crate) fn new(init: &WeightInit<'_>) -> Self {
        let (n_experts, hidden) = (init.config.n_experts, init.config.hidden);
        let inner = init.config.inner;
        Self {
            router: Router::new(init),
            gate_proj: init.matrix([n_experts, hidden, inner], hidden),
            up_proj: init.matrix([n_experts, hidden, inner], hidden),
            down_proj: init.matrix([n_experts, inner, hidden], inner),
        }
    }

    /// Applies the layer. Also returns the experts that every token was sent to.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(&self, x: Tensor<3>) -> (Tensor<3>, Routed) {
        let [batch, seq, hidden] = x.dims();
        let x = x.reshape([batch * seq, hidden]);
        let (routed, weights) = self.router.forward(x.clone());
        let matrices = ExpertMatrices {
            gate: self.gate_proj.val(),
            up: self.up_proj.val(),
            down: self.down_proj.val(),
        };
        let y = experts(x, weights, &routed.routing, matrices);
        (y.reshape([batch, seq, hidden]), routed)
    }

    /// The fraction of the experts that is active for a token: `top_k / n_experts`, also once
    /// grown.
    pub fn active(&self) -> ActiveFraction {
        ActiveFraction::ratio("top_k", "experts")
    }

    /// The number of experts.
    pub fn n_experts(&self) -> usize {
        self.gate_proj.dims()[0]
    }

    /// The width between the two matrices of an expert.
    pub fn inner(&self) -> usize {
        self.gate_proj.dims()[2]
    }
}
