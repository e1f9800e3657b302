use core::ops::Range;
use std::sync::{Arc, OnceLock};

use burn_core::tensor::{DType, Device, Tensor};

use super::tensor::{Rotary, causal_mask};

/// What the layers of one forward pass share about its positions: the angles of the rotary
/// embedding and, for the devices that need them, its tables and the causal mask.
#[derive(Clone, Debug)]
pub struct Positions {
    angles: Angles,
    group: usize,
    dtype: DType,
    device: Device,
    rotary: OnceLock<Rotary>,
    mask: OnceLock<Tensor<4>>,
}

impl Positions {
    /// The positions of `angles`, for `group` query heads a key head.
    pub(crate) fn new(angles: Angles, group: usize, dtype: DType, device: Device) -> Self {
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
    pub(super) fn angles(&self) -> Angles {
        self.angles.clone()
    }

    /// The rotary tables, made when first asked for.
    pub(super) fn rotary(&self) -> &Rotary {
        self.rotary
            .get_or_init(|| Rotary::new(&self.angles, self.dtype, &self.device))
    }

    /// `[1, 1, group * seq, past + seq]`, made when first asked for.
    pub(super) fn mask(&self) -> Tensor<4> {
        let range = self.angles.range.clone();
        let make = || causal_mask(range, self.group, self.dtype, &self.device);
        self.mask.get_or_init(make).clone()
    }
}

/// The angles that rotary positions turn the coordinates of a head by, in the rotate-half
/// convention of Hugging Face: coordinate `i` is paired with `i + head_dim / 2` (burn-nn's
/// `RotaryEncoding` pairs neighbours).
///
/// `angle(t, i) = t theta^(-2i / head_dim)` ([arXiv 2104.09864](https://arxiv.org/abs/2104.09864)).
#[derive(Clone, Debug)]
pub(crate) struct Angles {
    /// Cosines, then sines: `[2, seq, head_dim / 2]`.
    table: Arc<[f32]>,
    range: Range<usize>,
}

impl Angles {
    /// The angles of the positions of `range`.
    pub(crate) fn new(range: Range<usize>, head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64))
            .collect();
        let angles = range
            .clone()
            .flat_map(|t| frequencies.iter().map(move |f| t as f64 * f));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles
            .map(|angle: f64| angle.sin_cos())
            .map(|(sin, cos)| (sin as f32, cos as f32))
            .unzip();
        let table = [cos, sin].concat().into();
        Self { table, range }
    }

    /// The number of positions.
    pub(crate) fn seq(&self) -> usize {
        self.range.len()
    }

    /// `[seq, head_dim / 2]`
    pub(crate) fn cos(&self) -> &[f32] {
        &self.table[..self.table.len() / 2]
    }

    /// `[seq, head_dim / 2]`
    pub(crate) fn sin(&self) -> &[f32] {
        &self.table[self.table.len() / 2..]
    }
}
