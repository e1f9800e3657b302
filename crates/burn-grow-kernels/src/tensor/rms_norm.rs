//! Root-mean-square normalization with the tensor API.

use burn_core::tensor::{DType, Tensor};

/// [`rms_norm`](crate::rms_norm), the statistic in `f32`.
///
/// The same function as burn-nn's `RmsNorm`, which divides by the root: multiplying by its
/// reciprocal is cheaper to differentiate.
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f64) -> Tensor<D> {
    let dtype = x.dtype();
    let scale = (x.clone().cast(DType::F32).square().mean_dim(D - 1) + eps)
        .sqrt()
        .recip();
    x * scale.cast(dtype) * gain.unsqueeze()
}
