//! The update of an optimizer, rescaled to the learning rate of each region.

mod cells;
#[cfg(feature = "flex")]
mod one_pass;
mod tensor_ops;

use burn_core::tensor::Tensor;
use burn_optim::LearningRate;

pub(crate) use tensor_ops::rescale as rescale_from;

use crate::region::Region;

/// Rescales the update `tensor -> updated`, taken at rate `run`, to the rate of each of `regions`:
/// in one pass if `tensor` is `f32` in host memory, by tensor operations elsewhere. The numbers are
/// the same, bit for bit.
pub(crate) fn rescale<const D: usize>(
    tensor: Tensor<D>,
    updated: Tensor<D>,
    regions: &[Region],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(before) = one_pass::host_tensor(&tensor) {
        return one_pass::rescale(&before, updated, regions, rates, run);
    }
    let moved = updated.clone();
    rescale_from(tensor, updated, moved, regions, rates, run)
}
