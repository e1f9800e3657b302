//! The coordinates of regions, on the device of their parameter.

use burn_core::tensor::{Bool, Device, Tensor, TensorData};

use crate::region::Region;

/// The coordinates of each region of a parameter, made once and kept between steps. A record does
/// not hold them: they follow from the regions.
#[derive(Clone, Debug)]
pub(crate) struct Masks<const D: usize> {
    /// In the order of the regions.
    masks: Vec<Mask<D>>,
}

/// The new coordinates of one region.
#[derive(Clone, Debug)]
pub(super) enum Mask<const D: usize> {
    /// All of them.
    Whole,
    /// Those that are new along any of these dimensions: true there, and one coordinate long along
    /// all other dimensions.
    Along(Vec<Tensor<D, Bool>>),
}

impl<const D: usize> Masks<D> {
    /// Sends the coordinates of `regions` to `device`.
    pub(super) fn of(regions: &[Region], device: &Device) -> Self {
        let masks = regions.iter().map(|region| Mask::of(region, device));
        Self {
            masks: masks.collect(),
        }
    }

    /// The coordinates of each region.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Mask<D>> {
        self.masks.iter()
    }

    /// The same on another device.
    pub(crate) fn moved_to(mut self, device: &Device) -> Self {
        for mask in &mut self.masks {
            if let Mask::Along(dims) = mask {
                *dims = dims.drain(..).map(|dim| dim.to_device(device)).collect();
            }
        }
        self
    }
}

impl<const D: usize> Mask<D> {
    fn of(region: &Region, device: &Device) -> Self {
        let mut dims = Vec::new();
        for (dim, extent) in region.extents.iter().enumerate() {
            let new: Vec<bool> = extent.is_old().map(|old| !old).collect();
            if new.iter().all(|new| *new) {
                return Self::Whole;
            }
            if new.contains(&true) {
                let mut shape = [1; D];
                shape[dim] = new.len();
                let new = TensorData::new(new, shape);
                dims.push(Tensor::from_data(new, device));
            }
        }
        Self::Along(dims)
    }
}
