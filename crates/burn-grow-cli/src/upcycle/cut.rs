//! A matrix of an expert: a part of one of the feed-forward.

use burn_grow_core::plan::{AddedNoise, NoiseSize, Streamed};

use crate::error::Error;
use crate::folder::{Float, Reader, Stored};

/// A part of a matrix, with noise, multiplied.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The dimension that is cut.
    pub(super) dim: usize,
    /// The number of the part, and how many there are.
    pub(super) part: usize,
    pub(super) parts: usize,
    pub(super) float: Float,
    /// What all numbers are multiplied by, after the noise.
    pub(super) scale: f64,
    /// The noise, relative to the RMS of the part, and its seed.
    pub(super) noise: Option<(f64, u64)>,
}

impl Cut {
    /// Tells if the part is the whole matrix as it is.
    pub(super) fn is_copy(&self) -> bool {
        self.parts == 1 && self.scale == 1.0 && self.noise.is_none()
    }

    /// The shape of the part of a matrix of `shape`.
    pub(super) fn shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        shape[self.dim] /= self.parts;
        shape
    }

    /// Prepares the bytes of tensor `name`. `old` is for those of the part.
    pub(crate) fn stream<'a>(
        &self,
        name: &str,
        source: &Stored,
        reader: &Reader<'_>,
        old: &'a mut Vec<u8>,
    ) -> Result<Streamed<'a>, Error> {
        let outer: usize = source.shape[..self.dim].iter().product();
        let whole = source.num_bytes() as usize;
        // A row is the cut dimension with all dimensions inside of it.
        let row = whole.checked_div(outer).unwrap_or(0);
        let piece = row / self.parts;
        if outer == 1 {
            old.resize(piece, 0);
            reader.read_stretch(source, (self.part * piece) as u64, old)?;
        } else {
            reader.read(source, old)?;
            for index in 0..outer {
                let from = index * row + self.part * piece;
                old.copy_within(from..from + piece, index * piece);
            }
            old.truncate(outer * piece);
        }
        let noise = self.noise.map(|(size, seed)| AddedNoise {
            size: NoiseSize::Relative(size),
            seed,
            key: format!("{name}/experts"),
        });
        let dtype = self.float.in_burn();
        Ok(Streamed::perturbed(
            name,
            dtype,
            old,
            noise.as_ref(),
            self.scale,
        )?)
    }
}
