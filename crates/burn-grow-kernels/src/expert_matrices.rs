//! The weights of a layer's experts.

use burn_core::tensor::Tensor;

/// The weights of a layer's experts, stacked.
#[derive(Clone, Debug)]
pub struct ExpertMatrices {
    /// `[n_experts, hidden, inner]`
    pub gate: Tensor<3>,
    /// `[n_experts, hidden, inner]`
    pub up: Tensor<3>,
    /// `[n_experts, inner, hidden]`
    pub down: Tensor<3>,
}
