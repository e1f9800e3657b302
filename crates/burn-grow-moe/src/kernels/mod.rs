//! The operations a step spends its time in, each behind one function.
//!
//! Every device runs [`tensor`], written with Burn's tensor API. On Flex, [`flex`] takes its place.

#[cfg(feature = "flex")]
mod flex;
mod positions;
mod tensor;
#[cfg(all(test, feature = "flex"))]
mod tests;

use burn_core::tensor::{Int, Tensor};

pub(crate) use positions::Angles;
pub use positions::Positions;

use crate::Routing;

/// Runs the Flex kernel when it can take `$x`.
macro_rules! on_flex {
    ($x:expr, $kernel:expr) => {
        #[cfg(feature = "flex")]
        if flex::supports(&$x) {
            return $kernel;
        }
    };
}

/// Root-mean-square normalization over the last dimension, with a gain.
///
/// `y = x / sqrt(mean(x^2) + eps) * gain` ([arXiv 1910.07467](https://arxiv.org/abs/1910.07467)).
///
/// # Shapes
///
/// - x: `[..., d]`
/// - gain: `[d]`
/// - output: `[..., d]`
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f64) -> Tensor<D> {
    on_flex!(x, flex::rms_norm(x, gain, eps));
    tensor::rms_norm(x, gain, eps)
}

/// The norm of every head, turned by its position: `rotary(rms_norm(x, gain))`.
///
/// `rotary(x) = x cos + rotate_half(x) sin`, `rotate_half([a, b]) = [-b, a]`, as Hugging Face has it
/// ([arXiv 2104.09864](https://arxiv.org/abs/2104.09864)).
///
/// # Shapes
///
/// - x: `[batch, seq, heads, head_dim]`
/// - gain: `[head_dim]`
/// - output: `[batch, seq, heads, head_dim]`
pub(crate) fn norm_rotate(
    x: Tensor<4>,
    gain: Tensor<1>,
    eps: f64,
    positions: &Positions,
) -> Tensor<4> {
    on_flex!(x, flex::norm_rotate(x, gain, eps, positions.angles()));
    positions.rotary().apply(tensor::rms_norm(x, gain, eps))
}

/// Every head turned by its position, as in [`norm_rotate`].
///
/// # Shapes
///
/// - x: `[batch, seq, heads, head_dim]`
/// - output: `[batch, seq, heads, head_dim]`
pub(crate) fn rotate(x: Tensor<4>, positions: &Positions) -> Tensor<4> {
    positions.rotary().apply(x)
}

/// Causal grouped-query attention, `softmax(q k^T / sqrt(head_dim)) v`
/// ([arXiv 2305.13245](https://arxiv.org/abs/2305.13245)): query head `h` looks at key head
/// `h / group`, `group = n_heads / n_kv_heads`. The queries are the last of the positions that have keys.
///
/// # Shapes
///
/// - q: `[batch, seq, n_heads, head_dim]`
/// - k, v: `[batch, past + seq, n_kv_heads, head_dim]`
/// - output: `[batch, seq, n_heads, head_dim]`
pub(crate) fn causal_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    positions: &Positions,
) -> Tensor<4> {
    if q.dims()[1] == k.dims()[1] {
        on_flex!(q, flex::causal_attention(q, k, v));
    }
    tensor::causal_attention(q, k, v, positions.mask())
}

/// The stacked weights of a layer's experts.
#[derive(Clone, Debug)]
pub(crate) struct Experts {
    /// `[n_experts, hidden, inner]`
    pub(crate) gate: Tensor<3>,
    /// `[n_experts, hidden, inner]`
    pub(crate) up: Tensor<3>,
    /// `[n_experts, inner, hidden]`
    pub(crate) down: Tensor<3>,
}

/// Sends every token through its experts and sums what they answer, weighted.
///
/// `y_n = sum_j w_nj down_e (silu(gate_e x_n) * up_e x_n)`, `e = e_nj`
/// ([arXiv 2002.05202](https://arxiv.org/abs/2002.05202) for SwiGLU). Dropless: every chosen expert
/// answers, and no other one is computed.
///
/// # Shapes
///
/// - x: `[tokens, hidden]`
/// - weights: `[tokens, top_k]`
/// - output: `[tokens, hidden]`
pub(crate) fn experts(
    x: Tensor<2>,
    weights: Tensor<2>,
    routing: &Routing,
    experts: Experts,
) -> Tensor<2> {
    on_flex!(x, flex::experts(x, weights, routing, experts));
    tensor::experts(x, weights, routing, experts)
}

/// The mean cross entropy in nats: `mean(logsumexp(logits) - logits[target])`.
///
/// # Shapes
///
/// - logits: `[tokens, vocab]`
/// - targets: `[tokens]`
/// - output: `[1]`
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    on_flex!(logits, flex::cross_entropy(logits, targets));
    tensor::cross_entropy(logits, targets)
}
