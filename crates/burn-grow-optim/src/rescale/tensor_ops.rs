//! Regions rescaled by tensor operations, on any device.

use burn_core::tensor::Tensor;
use burn_optim::LearningRate;

use super::masks::{Mask, Masks};

/// Replaces the regions of `updated` by the update `tensor -> moved`, taken at rate `run`, rescaled
/// to each region's rate. All other coordinates keep every bit.
///
/// Takes one region after the other, the newest last, over the whole tensor: elementwise operations
/// that a device fuses with those of the optimizer, and few however its coordinates lie.
pub(crate) fn rescale<const D: usize>(
    tensor: Tensor<D>,
    mut updated: Tensor<D>,
    moved: Tensor<D>,
    masks: &Masks<D>,
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let shape = tensor.dims();
    let update = moved - tensor.clone();
    for (mask, rate) in masks.iter().zip(rates) {
        let value = tensor.clone() + update.clone().mul_scalar(rate / run);
        updated = match mask {
            Mask::Whole => value,
            Mask::Along(dims) => dims.iter().fold(updated, |updated, new| {
                updated.mask_where(new.clone().expand(shape), value.clone())
            }),
        };
    }
    updated
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::{Device, Distribution, FloatDType};

    use super::*;
    use crate::region::Region;
    use crate::region::tests::region;

    /// Rescales coordinate by coordinate, each by the newest region it is new in.
    fn naive<const D: usize>(
        [tensor, updated, moved]: [Tensor<D>; 3],
        regions: &[Region],
        rates: &[LearningRate],
        run: LearningRate,
    ) -> Vec<f32> {
        let shape = tensor.dims();
        let [tensor, updated, moved] = [tensor, updated, moved]
            .map(|tensor| tensor.into_data().iter::<f32>().collect::<Vec<f32>>());
        let coordinate = |flat: usize, dim: usize| {
            let inner: usize = shape[dim + 1..].iter().product();
            flat / inner % shape[dim]
        };
        let is_new = |region: &Region, flat: usize| {
            (0..D).any(|dim| {
                let mut old = region.extents[dim].is_old();
                old.nth(coordinate(flat, dim)) == Some(false)
            })
        };
        let value = |flat: usize| match regions.iter().rposition(|it| is_new(it, flat)) {
            Some(region) => {
                let quotient = (rates[region] / run) as f32;
                tensor[flat] + (moved[flat] - tensor[flat]) * quotient
            }
            None => updated[flat],
        };
        (0..tensor.len()).map(value).collect()
    }

    fn check<const D: usize>(shape: [usize; D], regions: &[Region]) {
        let device = Device::flex();
        let random = || Tensor::<D>::random(shape, Distribution::Default, &device);
        let given = [random(), random(), random()];
        let rates = [0.02, 0.03];
        let expected = naive(given.clone(), regions, &rates, 0.007);
        let [tensor, updated, moved] = given;
        let masks = Masks::of(regions, &device);
        let found = rescale(tensor, updated, moved, &masks, &rates, 0.007);
        assert_eq!(
            found.into_data().iter::<f32>().collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn every_coordinate_follows_the_newest_region_it_is_new_in() {
        let one = [1_usize; 16];
        let interleaved = [
            region(&[&one, &[8, 8], &[3]]),
            region(&[&[16], &one, &[1, 2]]),
        ];
        check([16, 16, 3], &interleaved);
        check([5], &[region(&[&[2, 3]])]);
        let all = region(&[&[0, 4], &[0, 6]]);
        check([4, 6], &[region(&[&[2, 2], &[6]]), all.clone()]);
        check([4, 6], &[all, region(&[&[2, 2], &[3, 3]])]);
        check([4, 6], &[region(&[&[4], &[6]])]);
    }

    #[test]
    fn half_precision_keeps_the_bits_of_old_coordinates() {
        let device = Device::flex();
        let random = || {
            let tensor = Tensor::<2>::random([4, 6], Distribution::Default, &device);
            tensor.cast(FloatDType::BF16)
        };
        let (tensor, updated) = (random(), random());
        let masks = Masks::of(&[region(&[&[4], &[3, 3]])], &device);
        let moved = updated.clone();
        let found = rescale(tensor, updated.clone(), moved, &masks, &[0.02], 0.007);
        let old = |tensor: Tensor<2>| tensor.narrow(1, 0, 3).into_data();
        old(found).assert_eq(&old(updated), true);
    }
}
