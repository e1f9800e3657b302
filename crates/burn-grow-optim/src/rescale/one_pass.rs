//! Regions rescaled in one pass over host memory.
//!
//! Tensor operations take four passes over a region, too much beside an optimizer step of fifteen.

use burn_core::backend::{Flex, flex::FlexTensor};
use burn_core::tensor::{DType, Tensor};
use burn_optim::LearningRate;

use super::cells::{Cell, cells};
use crate::region::Region;

/// Replaces the regions of `updated` by the update `before -> moved`, taken at rate `run`, rescaled
/// to the rate of each of `regions`, in place. Without `moved`, `updated` is what was taken at that
/// rate.
pub(crate) fn rescale<const D: usize>(
    before: &FlexTensor,
    updated: Tensor<D>,
    moved: Option<Tensor<D>>,
    regions: &[Region],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let cells = cells(regions, updated.dims());
    let moved = moved.as_ref().and_then(host_tensor);
    in_place(before, updated, moved.as_ref(), &cells, rates, run)
}

/// The memory of `tensor`, not copied, in its logical order, if it is `f32` in host memory.
pub(crate) fn host_tensor<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    if D == 0 || tensor.dtype() != DType::F32 {
        return None;
    }
    let tensor = tensor.clone().try_into_primitive::<Flex>().ok()?;
    Some(tensor.to_contiguous())
}

fn in_place<const D: usize>(
    before: &FlexTensor,
    updated: Tensor<D>,
    moved: Option<&FlexTensor>,
    cells: &[Cell<D>],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let before = before.as_slice::<f32>().expect("contiguous `f32`");
    let moved = moved.map(|moved| moved.as_slice::<f32>().expect("contiguous `f32`"));
    let (shape, device, dtype) = (updated.dims(), updated.device(), updated.dtype());
    let mut data = updated.into_data();
    let values = data
        .as_mut_slice::<f32>()
        .expect("an optimizer keeps the type of its parameter");
    for cell in cells {
        let quotient = (rates[cell.region] / run) as f32;
        let width = cell.ranges[D - 1].len();
        let rows: usize = cell.ranges[..D - 1]
            .iter()
            .map(ExactSizeIterator::len)
            .product();
        for row in 0..rows {
            let start = offset(cell, shape, row);
            let row = start..start + width;
            if let Some(moved) = moved {
                values[row.clone()].copy_from_slice(&moved[row.clone()]);
            }
            for (value, before) in values[row.clone()].iter_mut().zip(&before[row]) {
                *value = before + (*value - before) * quotient;
            }
        }
    }
    Tensor::from_data(data, (&device, dtype))
}

/// Where row `row` of a cell begins in a tensor of `shape`.
fn offset<const D: usize>(cell: &Cell<D>, shape: [usize; D], mut row: usize) -> usize {
    let mut offset = cell.ranges[D - 1].start;
    let mut stride = shape[D - 1];
    for dim in (0..D - 1).rev() {
        let range = &cell.ranges[dim];
        offset += (range.start + row % range.len()) * stride;
        row /= range.len();
        stride *= shape[dim];
    }
    offset
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::{Device, Distribution, FloatDType};

    use super::*;
    use crate::region::tests::region;
    use crate::rescale::masks::Masks;
    use crate::rescale::tensor_ops;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Default, &Device::flex())
    }

    fn check<const D: usize>(tensor: Tensor<D>, updated: Tensor<D>, regions: &[Region]) {
        let rates: Vec<_> = (1..=regions.len()).map(|n| 0.01 * n as f64).collect();
        let before = host_tensor(&tensor).expect("Flex keeps tensors in host memory");
        let masks = Masks::of(regions, &Device::flex());
        for moved in [None, Some(random(tensor.dims()))] {
            let found = rescale(
                &before,
                updated.clone(),
                moved.clone(),
                regions,
                &rates,
                0.007,
            );
            let moved = moved.unwrap_or_else(|| updated.clone());
            let (tensor, updated) = (tensor.clone(), updated.clone());
            let expected = tensor_ops::rescale(tensor, updated, moved, &masks, &rates, 0.007);
            found.into_data().assert_eq(&expected.into_data(), true);
        }
    }

    #[test]
    fn one_pass_gives_the_bits_of_the_tensor_operations() {
        let vector = [region(&[&[3, 4]])];
        check(random([7]), random([7]), &vector);
        let twice = [
            region(&[&[4, 2, 4, 2], &[3, 3, 2, 2]]),
            region(&[&[8, 4], &[6, 4]]),
        ];
        check(random([12, 10]), random([12, 10]), &twice);
        check(random([10, 12]).transpose(), random([12, 10]), &twice);
        let experts = [region(&[&[3], &[2, 2], &[3, 2]])];
        check(random([3, 4, 5]), random([3, 4, 5]), &experts);
        let all = [region(&[&[0, 2], &[0, 3]])];
        check(random([2, 3]), random([2, 3]), &all);
    }

    #[test]
    fn half_precision_takes_the_tensor_operations() {
        let half = random([4]).cast(FloatDType::F16);
        assert!(host_tensor(&half).is_none());
    }
}
