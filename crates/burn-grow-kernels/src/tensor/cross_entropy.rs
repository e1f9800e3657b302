//! Cross entropy with the tensor API.

use burn_core::tensor::{DType, Int, Tensor};

/// [`cross_entropy`](crate::cross_entropy), in `f32`.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = logits.cast(DType::F32);
    let largest = logits.clone().detach().max_dim(1);
    let shifted = logits - largest;
    let chosen = shifted.clone().gather(1, targets.unsqueeze_dim(1));
    (shifted.exp().sum_dim(1).log() - chosen).mean()
}
