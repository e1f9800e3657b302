//! The angles of rotary positions.

use core::ops::Range;
use std::sync::Arc;

/// The angles by which rotary positions turn the coordinates of a head.
///
/// `angle(t, i) = t theta^(-2i / head_dim)` ([arXiv 2104.09864](https://arxiv.org/abs/2104.09864)),
/// in the rotate-half convention of Hugging Face: coordinate `i` is paired with `i + head_dim / 2`
/// (burn-nn's `RotaryEncoding` pairs neighbours). Cloning shares the tables.
#[derive(Clone, Debug)]
pub struct RotaryAngles {
    /// Cosines, then sines: `[2, seq, head_dim / 2]`.
    table: Arc<[f32]>,
    range: Range<usize>,
}

impl RotaryAngles {
    /// The angles of the positions of `range`, for heads of an even size and the base `theta`.
    pub fn new(range: Range<usize>, head_dim: usize, theta: f64) -> Self {
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

    /// The positions.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
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
