//! Regions rescaled by tensor operations, on any device.

use burn_core::tensor::{Bool, Tensor, TensorData};
use burn_optim::LearningRate;

use super::cells::{Cell, cells, most_cells};
use crate::region::Region;

/// With more blocks than this, as interleaved copies make them, blocks take more operations than
/// the whole tensor.
const MAX_CELLS: usize = 64;

/// Replaces the regions of `updated` by the update `tensor -> moved`, taken at rate `run`, rescaled
/// to each region's rate. All other coordinates keep every bit.
pub(crate) fn rescale<const D: usize>(
    tensor: Tensor<D>,
    updated: Tensor<D>,
    moved: Tensor<D>,
    regions: &[Region],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let shape = tensor.dims();
    if most_cells(regions, shape) > MAX_CELLS {
        by_regions(tensor, updated, moved, regions, rates, run)
    } else {
        by_cells(tensor, updated, moved, cells(regions, shape), rates, run)
    }
}

/// [`rescale`], block by block: only what moves is read and written.
fn by_cells<const D: usize>(
    tensor: Tensor<D>,
    mut updated: Tensor<D>,
    moved: Tensor<D>,
    cells: Vec<Cell<D>>,
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let values: Vec<_> = cells
        .iter()
        .map(|cell| {
            let (from, to) = (
                tensor.clone().slice(cell.ranges.clone()),
                moved.clone().slice(cell.ranges.clone()),
            );
            from.clone() + (to - from).mul_scalar(rates[cell.region] / run)
        })
        .collect();
    // Now `updated` is the only handle and is written in place.
    drop((tensor, moved));
    for (cell, value) in cells.into_iter().zip(values) {
        updated = updated.slice_assign(cell.ranges, value);
    }
    updated
}

/// [`rescale`], all of the tensor for one region after the other, the newest last: as many
/// operations however its coordinates lie. The numbers are the same, bit for bit.
fn by_regions<const D: usize>(
    tensor: Tensor<D>,
    mut updated: Tensor<D>,
    moved: Tensor<D>,
    regions: &[Region],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let (shape, device) = (tensor.dims(), tensor.device());
    let update = moved - tensor.clone();
    for (region, rate) in regions.iter().zip(rates) {
        let value = tensor.clone() + update.clone().mul_scalar(rate / run);
        for (dim, extent) in region.extents.iter().enumerate() {
            let new: Vec<bool> = extent.is_old().map(|old| !old).collect();
            if !new.contains(&true) {
                continue;
            }
            let mut along = [1; D];
            along[dim] = shape[dim];
            let new = Tensor::<1, Bool>::from_data(TensorData::new(new, [shape[dim]]), &device);
            let new = new.reshape(along).expand(shape);
            updated = updated.mask_where(new, value.clone());
        }
    }
    updated
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::{Device, Distribution};

    use super::*;
    use crate::region::tests::region;

    #[test]
    fn the_whole_tensor_gives_the_bits_of_the_blocks() {
        let one = [1_usize; 16];
        let interleaved = [
            region(&[&one, &[8, 8], &[3]]),
            region(&[&[16], &one, &[1, 2]]),
        ];
        let random = || Tensor::<3>::random([16, 16, 3], Distribution::Default, &Device::flex());
        let (tensor, updated, moved) = (random(), random(), random());
        let cells = cells(&interleaved, tensor.dims());
        assert!(cells.len() > MAX_CELLS);
        let rates = [0.02, 0.03];
        let given = || (tensor.clone(), updated.clone(), moved.clone());
        let whole =
            |(tensor, updated, moved)| rescale(tensor, updated, moved, &interleaved, &rates, 0.007);
        let blocks = |(tensor, updated, moved)| {
            by_cells(tensor, updated, moved, cells.clone(), &rates, 0.007)
        };
        let (whole, blocks) = (whole(given()), blocks(given()));
        whole.into_data().assert_eq(&blocks.into_data(), true);
    }
}
