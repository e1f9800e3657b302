//! Positions and causal mask, shared by the layers of one forward pass.

use std::sync::OnceLock;

use burn_core::tensor::{DType, Device, Tensor};

use crate::angles::RotaryAngles;
use crate::tensor::{Rotary, causal_mask};

/// The positions of one forward pass, shared by its layers.
///
/// The angles of the rotary positions and, for the devices that need them, their tables and the
/// causal mask, each made when it is first needed.
#[derive(Clone, Debug)]
pub struct Positions {
    angles: RotaryAngles,
    group: usize,
    dtype: DType,
    device: Device,
    rotary: OnceLock<Rotary>,
    mask: OnceLock<Tensor<4>>,
}

impl Positions {
    /// The positions of `angles`, where `group` query heads share a key head.
    ///
    /// `dtype` and `device` are those of the activations.
    pub fn new(angles: RotaryAngles, group: usize, dtype: DType, device: Device) -> Self {
        Self {
            angles,
            group,
            dtype,
            device,
            rotary: OnceLock::new(),
            mask: OnceLock::new(),
        }
    }

    /// The angles.
    #[cfg(feature = "flex")]
    pub(crate) fn angles(&self) -> RotaryAngles {
        self.angles.clone()
    }

    /// The rotary tables.
    pub(crate) fn rotary(&self) -> &Rotary {
        self.rotary
            .get_or_init(|| Rotary::new(&self.angles, self.dtype, &self.device))
    }

    /// `[1, 1, group * seq, past + seq]`
    pub(crate) fn mask(&self) -> Tensor<4> {
        let make = || causal_mask(self.angles.range(), self.group, self.dtype, &self.device);
        self.mask.get_or_init(make).clone()
    }
}
