//! The operations: the tensor API for every device, and the kernels of Flex and CubeCL where they
//! can take over.

use burn_core::tensor::{Int, Tensor};

#[cfg(feature = "cube")]
use crate::cube;
use crate::expert_matrices::ExpertMatrices;
#[cfg(feature = "flex")]
use crate::flex;
use crate::positions::Positions;
use crate::routing::Routing;
use crate::tensor;

/// Returns the answer of the Flex kernel if it can take `$x`.
macro_rules! on_flex {
    ($x:expr, $kernel:expr) => {
        #[cfg(feature = "flex")]
        if flex::supports(&$x) {
            return $kernel;
        }
    };
}

/// Normalizes the last dimension to a root mean square of one, times a gain.
///
/// `y = x / sqrt(mean(x^2) + eps) * gain` ([arXiv 1910.07467](https://arxiv.org/abs/1910.07467)),
/// the mean in `f32`.
///
/// # Shapes
///
/// - x: `[..., d]`
/// - gain: `[d]`
/// - output: `[..., d]`
///
/// ```
/// use burn_core::tensor::{Device, Tensor};
/// use burn_grow_kernels::rms_norm;
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[3.0, 4.0]], &device);
/// let y = rms_norm(x, Tensor::ones([2], &device), 0.0);
/// // The root mean square of 3 and 4 is 3.5355.
/// let expected = Tensor::<2>::from_data([[0.8485, 1.1314]], &device);
/// assert!((y - expected).abs().max().into_scalar::<f32>() < 1e-4);
/// ```
pub fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, eps: f64) -> Tensor<D> {
    on_flex!(x, flex::rms_norm(x, gain, eps));
    tensor::rms_norm(x, gain, eps)
}

/// Normalizes every head and rotates it by its position: `rotate(rms_norm(x, gain))`.
///
/// # Shapes
///
/// - x: `[batch, seq, heads, head_dim]`
/// - gain: `[head_dim]`
/// - output: `[batch, seq, heads, head_dim]`
pub fn norm_rotate(x: Tensor<4>, gain: Tensor<1>, eps: f64, positions: &Positions) -> Tensor<4> {
    on_flex!(x, flex::norm_rotate(x, gain, eps, positions.angles()));
    positions.rotary().apply(tensor::rms_norm(x, gain, eps))
}

/// Rotates every head by its position.
///
/// `y = x cos + rotate_half(x) sin`, `rotate_half([a, b]) = [-b, a]`, as Hugging Face has it
/// ([arXiv 2104.09864](https://arxiv.org/abs/2104.09864)). Runs on the tensor API on every device.
///
/// # Shapes
///
/// - x: `[batch, seq, heads, head_dim]`
/// - output: `[batch, seq, heads, head_dim]`
pub fn rotate(x: Tensor<4>, positions: &Positions) -> Tensor<4> {
    positions.rotary().apply(x)
}

/// Causal grouped-query attention, `softmax(q k^T / sqrt(head_dim)) v`
/// ([arXiv 2305.13245](https://arxiv.org/abs/2305.13245)).
///
/// Query head `h` reads key head `h / group`, `group = n_heads / n_kv_heads`. The queries are the
/// last of the positions that have keys; with a past, as in token-by-token generation, the tensor
/// API answers on Flex, too.
///
/// # Shapes
///
/// - q: `[batch, seq, n_heads, head_dim]`
/// - k, v: `[batch, past + seq, n_kv_heads, head_dim]`
/// - output: `[batch, seq, n_heads, head_dim]`
pub fn causal_attention(
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

/// A linear layer without bias: `y = x weight`.
///
/// # Shapes
///
/// - x: `[rows, d_in]`
/// - weight: `[d_in, d_out]`
/// - output: `[rows, d_out]`
///
/// ```
/// use burn_core::tensor::{Device, Tensor};
/// use burn_grow_kernels::linear;
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[1.0, 2.0]], &device);
/// let weight = Tensor::<2>::from_data([[3.0, 5.0], [4.0, 6.0]], &device);
/// let y: Vec<f32> = linear(x, weight).into_data().iter().collect();
/// assert_eq!(y, [11.0, 17.0]);
/// ```
pub fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    on_flex!(x, flex::linear(x, weight));
    tensor::linear(x, weight)
}

/// Sends every token through its experts and sums their answers, weighted.
///
/// `y_n = sum_j w_nj down_e (silu(gate_e x_n) * up_e x_n)`, `e = e_nj`
/// ([arXiv 2002.05202](https://arxiv.org/abs/2002.05202) for SwiGLU). Dropless: every chosen expert
/// answers. The kernels of Flex and of CubeCL devices compute no other expert; the tensor API pads
/// every expert to the rows of the busiest one.
///
/// # Shapes
///
/// - x: `[tokens, hidden]`
/// - weights: `[tokens, top_k]`
/// - output: `[tokens, hidden]`
///
/// ```
/// use burn_core::tensor::{Device, Distribution, Tensor};
/// use burn_grow_kernels::{ExpertMatrices, Routing, experts};
///
/// let device = Device::flex();
/// let random = |shape: [usize; 3]| Tensor::random(shape, Distribution::Default, &device);
/// // Two tokens, each sent to one of three experts.
/// let probabilities = Tensor::from_data([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], &device);
/// let routing = Routing::choose(&probabilities, 1);
/// assert_eq!(routing.read_experts(), [1, 0]);
/// let matrices = ExpertMatrices {
///     gate: random([3, 4, 8]),
///     up: random([3, 4, 8]),
///     down: random([3, 8, 4]),
/// };
/// let x = Tensor::<2>::ones([2, 4], &device);
/// let weights = Tensor::<2>::ones([2, 1], &device);
/// assert_eq!(experts(x, weights, &routing, matrices).dims(), [2, 4]);
/// ```
pub fn experts(
    x: Tensor<2>,
    weights: Tensor<2>,
    routing: &Routing,
    matrices: ExpertMatrices,
) -> Tensor<2> {
    on_flex!(x, flex::experts(x, weights, routing, matrices));
    #[cfg(feature = "cube")]
    if let Some(groups) = routing.on_device()
        && cube::supports(&x)
    {
        return cube::experts(x, weights, groups, matrices);
    }
    tensor::experts(x, weights, routing, matrices)
}

/// The mean cross entropy in nats: `mean(logsumexp(logits) - logits[target])`, in `f32`.
///
/// # Shapes
///
/// - logits: `[tokens, vocab]`
/// - targets: `[tokens]`
/// - output: `[1]`
///
/// ```
/// use burn_core::tensor::{Device, Int, Tensor};
/// use burn_grow_kernels::cross_entropy;
///
/// let device = Device::flex();
/// let logits = Tensor::<2>::zeros([1, 4], &device);
/// let target = Tensor::<1, Int>::from_data([2], &device);
/// let nats = cross_entropy(logits, target).into_scalar::<f32>();
/// assert!((nats - 4f32.ln()).abs() < 1e-6);
/// ```
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    on_flex!(logits, flex::cross_entropy(logits, targets));
    tensor::cross_entropy(logits, targets)
}
