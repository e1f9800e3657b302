//! The update of an optimizer, rescaled to the learning rate of each region.

#[cfg(feature = "flex")]
mod cells;
mod masks;
#[cfg(feature = "flex")]
mod one_pass;
mod tensor_ops;

use burn_core::tensor::Tensor;
use burn_optim::LearningRate;

pub(crate) use masks::Masks;

use crate::region::Region;

/// Replaces the regions of `updated` by the update `tensor -> moved`, taken at rate `run`, rescaled
/// to the rate of each of `regions`. Without `moved`, `updated` is what was taken at that rate.
///
/// Takes one pass if `tensor` is `f32` in host memory, and tensor operations elsewhere, for which
/// `masks` keeps the coordinates on the device. The numbers are the same, bit for bit.
pub(crate) fn rescale<const D: usize>(
    tensor: Tensor<D>,
    updated: Tensor<D>,
    moved: Option<Tensor<D>>,
    regions: &[Region],
    masks: &mut Option<Masks<D>>,
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(before) = one_pass::host_tensor(&tensor) {
        return one_pass::rescale(&before, updated, moved, regions, rates, run);
    }
    let masks = masks.get_or_insert_with(|| Masks::of(regions, &tensor.device()));
    let moved = moved.unwrap_or_else(|| updated.clone());
    tensor_ops::rescale(tensor, updated, moved, masks, rates, run)
}
