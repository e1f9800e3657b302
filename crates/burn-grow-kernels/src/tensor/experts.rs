//! SwiGLU experts with the tensor API.

use burn_core::tensor::activation::silu;
use burn_core::tensor::{Device, Int, Tensor, TensorData};

use crate::expert_matrices::ExpertMatrices;
use crate::routing::Routing;

/// [`experts`](crate::experts) as products over a padded batch.
///
/// Rows are gathered by expert into a batch with as many rows an expert as the busiest one has, so
/// that nothing is dropped. Padding holds a real row whose answer is never read, so it takes no
/// gradient. How many rows that are is known on the host only, which reads the routing if a device
/// chose.
pub(crate) fn experts(
    x: Tensor<2>,
    weights: Tensor<2>,
    routing: &Routing,
    matrices: ExpertMatrices,
) -> Tensor<2> {
    let device = x.device();
    let [tokens, hidden] = x.dims();
    let (n_experts, top_k) = (routing.n_experts(), routing.top_k());
    let (capacity, rows, slots) = routing.on_host().padded();

    let batch = x
        .select(0, indices(rows, &device))
        .reshape([n_experts, capacity, hidden]);
    let unit = silu(batch.clone().matmul(matrices.gate)) * batch.matmul(matrices.up);
    let answers = unit
        .matmul(matrices.down)
        .reshape([n_experts * capacity, hidden])
        .select(0, indices(slots, &device))
        .reshape([tokens, top_k, hidden]);
    (answers * weights.unsqueeze_dim(2))
        .sum_dim(1)
        .reshape([tokens, hidden])
}

fn indices(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
