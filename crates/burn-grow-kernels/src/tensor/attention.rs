//! Causal attention with the tensor API.

use core::ops::Range;

use burn_core::tensor::{Bool, DType, Device, Tensor};

/// Zero where a query may look, minus infinity in its future, once for each of `group` query heads
/// that share a key head. The queries are at the positions of `range`, the keys at all up to its
/// end.
///
/// # Shapes
///
/// - output: `[1, 1, group * range.len(), range.end]`
pub(crate) fn causal_mask(
    range: Range<usize>,
    group: usize,
    dtype: DType,
    device: &Device,
) -> Tensor<4> {
    let (seq, keys) = (range.len(), range.end);
    let future = Tensor::<2, Bool>::tril_mask([seq, keys], range.start as i64, device);
    let mask = Tensor::<2>::zeros([seq, keys], (device, dtype));
    mask.mask_fill(future, f32::NEG_INFINITY)
        .repeat_dim(0, group)
        .reshape([1, 1, group * seq, keys])
}

/// [`causal_attention`](crate::causal_attention) with a mask of `[1, 1, group * seq, keys]`.
///
/// The weights are divided by their sum after they met the values, where there is less to divide.
pub(crate) fn causal_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Tensor<4>,
) -> Tensor<4> {
    let [batch, seq, n_heads, head_dim] = q.dims();
    let [_, _, n_kv_heads, _] = k.dims();
    let group = n_heads / n_kv_heads;
    let scale = 1.0 / (head_dim as f64).sqrt();

    // The queries that share a key head are its rows, so no key is repeated.
    let mut q = (q * scale).swap_dims(1, 2);
    if group > 1 {
        q = q.reshape([batch, n_kv_heads, group * seq, head_dim]);
    }
    let scores = q.matmul(k.permute([0, 2, 3, 1])) + mask;
    let largest = scores.clone().detach().max_dim(3);
    let weights = (scores - largest).exp();
    let total = weights.clone().sum_dim(3);
    let mut out = weights.matmul(v.swap_dims(1, 2)) / total;
    if group > 1 {
        out = out.reshape([batch, n_heads, seq, head_dim]);
    }
    out.swap_dims(1, 2)
}
