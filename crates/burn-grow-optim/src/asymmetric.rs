use burn_core::tensor::{Bool, Device, Tensor, TensorData};
use burn_optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource, join_path};
use derive_new::new;

use crate::region::{Cell, cells, most_cells};
use crate::{Region, host};

/// The scalar names under which the regions of a parameter are recorded.
pub(crate) const REGIONS: &str = "grow";

/// By how much the update at the base rate is scaled up at most.
const MAX_QUOTIENT: f64 = 8.0;

/// More blocks than this, as copies between their originals make them, take more operations than the whole tensor.
const MAX_CELLS: usize = 64;

/// An optimizer around any other that gives the new coordinates of grown parameters their own
/// learning rate.
///
/// The inner optimizer runs at the base rate; the update of a [`Region`] is then rescaled by the
/// quotient of its rate and the base rate. That is exact for every optimizer whose update is
/// linear in the rate, weight decay included. Coordinates outside of all regions are bit-equal to
/// the inner optimizer's, and before the first expansion this is the inner optimizer.
///
/// Records are interchangeable with the inner optimizer's until something has grown.
///
/// ```
/// # use burn_grow_optim::AsymmetricExt;
/// # use burn_optim::{AdamWConfig, ModuleOptimizer};
/// let optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
/// ```
///
/// Burn's `LBFGS` cannot be adapted, as it is no [`Optimizer`]: it keeps one history of the whole model,
/// flattened, which cannot be told by parameter, and its step evaluates the loss again and has one length
/// for all coordinates.
///
/// ```compile_fail
/// # use burn_grow_optim::AsymmetricExt;
/// # use burn_optim::LBFGSConfig;
/// let optim = LBFGSConfig::new().init().asymmetric();
/// ```
#[derive(Clone, Debug, new)]
pub struct Asymmetric<O> {
    inner: O,
}

/// Adds [`asymmetric`](Self::asymmetric) to every optimizer.
pub trait AsymmetricExt: Optimizer {
    /// Wraps the optimizer so that it can follow a [`Rewarmup`](crate::Rewarmup).
    fn asymmetric(self) -> Asymmetric<Self> {
        Asymmetric::new(self)
    }
}

impl<O: Optimizer> AsymmetricExt for O {}

/// The state of [`Asymmetric`]: the inner state and the regions.
#[derive(Clone, Debug)]
pub struct AsymmetricState<S> {
    /// The state of the inner optimizer; none for a parameter that grew before its first gradient.
    pub inner: Option<S>,
    /// The regions, oldest first.
    pub regions: Vec<Region>,
}

impl<O: Optimizer> Optimizer for Asymmetric<O> {
    type State<const D: usize> = AsymmetricState<O::State<D>>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (inner, mut regions) = match state {
            Some(state) => (state.inner, state.regions),
            None => (None, Vec::new()),
        };
        if regions.is_empty() {
            let (tensor, inner) = self.inner.step(lr, tensor, grad, inner);
            let state = inner.map(|inner| AsymmetricState {
                inner: Some(inner),
                regions,
            });
            return (tensor, state);
        }
        let rates: Vec<_> = regions
            .iter_mut()
            .map(|region| region.advance(lr))
            .collect();
        let fastest = rates.iter().copied().fold(lr, f64::max);
        // A far slower base update has too few bits left to be scaled up, none at a rate of zero:
        // then the regions get a run of their own.
        let own_run = (fastest > lr * MAX_QUOTIENT)
            .then(|| (tensor.clone(), grad.clone(), inner.clone()))
            .map(|(tensor, grad, inner)| self.inner.step(fastest, tensor, grad, inner).0);
        let (updated, inner) = self.inner.step(lr, tensor.clone(), grad, inner);
        let updated = match own_run {
            Some(moved) => rescale(tensor, updated, moved, &regions, &rates, fastest),
            None if lr == 0.0 => updated,
            None => host::rescale(tensor, updated, &regions, &rates, lr),
        };
        (updated, Some(AsymmetricState { inner, regions }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AsymmetricState {
            inner: state.inner.map(|inner| O::to_device(inner, device)),
            regions: state.regions,
        }
    }
}

/// Replaces the regions of `updated` by the update `tensor -> moved`, taken at rate `run`, rescaled to
/// each region's rate. All other coordinates keep every bit.
pub(crate) fn rescale<const D: usize>(
    tensor: Tensor<D>,
    updated: Tensor<D>,
    moved: Tensor<D>,
    regions: &[Region],
    rates: &[LearningRate],
    run: LearningRate,
) -> Tensor<D> {
    let shape = tensor.dims();
    match most_cells(regions, shape) > MAX_CELLS {
        true => by_regions(tensor, updated, moved, regions, rates, run),
        false => by_cells(tensor, updated, moved, cells(regions, shape), rates, run),
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

/// [`rescale`], all of the tensor for one region after the other, the newest last: as many operations however its
/// coordinates lie. The numbers are the same, bit for bit.
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

impl<S: RecordState + Clone> RecordState for AsymmetricState<S> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(inner) = &self.inner {
            inner.state_flatten(prefix, out);
        }
        for (index, region) in self.regions.iter().enumerate() {
            let prefix = join_path(prefix, &format!("{REGIONS}.{index}"));
            for (name, value) in region.scalars() {
                out.push_scalar(&prefix, &name, value);
            }
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let inner = S::state_unflatten(prefix, src, device);
        let rank = usize::try_from(src.take_scalar(prefix, "__rank")?).ok()?;
        let regions: Vec<_> = (0..)
            .map_while(|index| {
                let prefix = join_path(prefix, &format!("{REGIONS}.{index}"));
                Region::from_scalars(rank, |name| src.take_scalar(&prefix, name))
            })
            .collect();
        (inner.is_some() || !regions.is_empty()).then_some(Self { inner, regions })
    }
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::Distribution;

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
