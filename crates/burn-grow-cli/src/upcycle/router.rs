//! A router, which the dense model does not have.

use burn_grow_core::plan::{AddedNoise, NoiseSize, Streamed};

use crate::error::Error;
use crate::folder::Float;

/// A router that is drawn, or zero.
#[derive(Debug)]
pub(crate) struct DrawnRouter {
    /// The copies of the feed-forward.
    pub(super) copies: usize,
    /// The parts of each, whose rows are equal: a token takes all of them or none.
    pub(super) parts: usize,
    /// The width of what it reads.
    pub(super) hidden: usize,
    pub(super) float: Float,
    /// The standard deviation; zero for zeros.
    pub(super) deviation: f64,
    pub(super) seed: u64,
}

impl DrawnRouter {
    /// Makes the bytes of tensor `name`.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        let dtype = self.float.in_burn();
        let row = self.hidden * dtype.size();
        let zeros = vec![0; self.copies * row];
        let noise = (self.deviation != 0.0).then(|| AddedNoise {
            size: NoiseSize::Absolute(self.deviation),
            seed: self.seed,
            key: name.into(),
        });
        let drawn = Streamed::perturbed(name, dtype, &zeros, noise.as_ref(), 1.0)?;
        let mut rows = vec![0; zeros.len()];
        drawn.write(0, &mut rows);
        let rows = rows.chunks(row.max(1));
        Ok(rows.flat_map(|row| row.repeat(self.parts)).collect())
    }
}
