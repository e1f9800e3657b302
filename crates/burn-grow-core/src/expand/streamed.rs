//! A tensor in a file, expanded one stretch after another.

use burn_core::tensor::{DType, TensorData, bf16, f16};

use super::factors::{Factors, HostFactors};
use super::gather::{moves, new_shape};
use super::moves::Moves;
use super::old_values::{floats, needs_old};
use super::random::{draw, is_random};
use crate::error::GrowError;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;

/// Elements that are multiplied at a time.
const BLOCK: usize = 512;
/// Bytes that may move as one.
const ITEM: usize = 16;

/// A tensor after an expansion, whose bytes are made when they are asked for.
///
/// Numbers are computed in single precision (`F64`: in double precision) and rounded once to the
/// type of the tensor.
pub struct Streamed<'a> {
    old: &'a [u8],
    dtype: DType,
    shape: Vec<usize>,
    moves: Moves,
    /// The bytes of every new element before it is multiplied, where old ones do not hold them all:
    /// in the type that is computed in.
    made: Option<Vec<u8>>,
    factors: Computed,
    /// True if some coordinate is neither an old one nor a copy.
    zeros: bool,
}

/// The factors, in the type that is computed in.
enum Computed {
    Single(HostFactors<f32>),
    Double(HostFactors<f64>),
}

impl Plan {
    /// Prepares the expansion of the bytes `old` of a tensor in host memory that belongs to
    /// `param`, little-endian and of a float type: that of [`apply`](Self::apply), for tensors that
    /// are read and written one stretch at a time.
    ///
    /// All numbers are multiplied with `scale` as well.
    ///
    /// # Errors
    ///
    /// Fails when `old` is not a tensor of the parameter's old shape, and on quantized types.
    pub fn stream<'a>(
        &self,
        param: &ParamPlan,
        dtype: DType,
        old: &'a [u8],
        scale: f64,
    ) -> Result<Streamed<'a>, GrowError> {
        if !matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
            return Err(GrowError::Quantized {
                path: param.path.clone(),
                dtype: format!("{dtype:?}"),
            });
        }
        let elements: usize = param.old_shape.iter().product();
        if old.len() != elements * dtype.size() {
            return Err(GrowError::Shape {
                path: param.path.clone(),
                expected: param.old_shape.clone(),
                found: vec![old.len() / dtype.size()],
            });
        }
        let dims = 0..param.old_shape.len();
        let dims: Vec<Option<Vec<Coordinate>>> = dims
            .map(|dim| self.dimension(param, dim, &|_| Fill::Scale))
            .collect();
        let shape = new_shape(&dims, &param.old_shape);
        let factors = Factors::of(&dims).and_scale(scale);
        let mut zeros = dims.iter().flatten().flatten();
        Ok(Streamed {
            moves: moves(&dims, &param.old_shape, old.len()),
            made: self.made(param, &dims, dtype, old),
            factors: match dtype {
                DType::F64 => Computed::Double(factors.on_host(&shape)),
                _ => Computed::Single(factors.on_host(&shape)),
            },
            zeros: zeros.any(|coordinate| coordinate.kept().is_none()),
            shape,
            dtype,
            old,
        })
    }

    /// Makes the elements that come from all old ones, before they are multiplied.
    fn made(
        &self,
        param: &ParamPlan,
        dims: &[Option<Vec<Coordinate>>],
        dtype: DType,
        old: &[u8],
    ) -> Option<Vec<u8>> {
        if !needs_old(self, dims) || dims.iter().all(Option::is_none) {
            return None;
        }
        let shape = param.old_shape.as_slice();
        let moves = moves(dims, shape, old.len());
        let mut new = vec![0; moves.len()];
        moves.write(old, 0, &mut new);
        let data =
            |bytes: Vec<u8>, shape: &[usize]| TensorData::from_bytes_vec(bytes, shape, dtype);
        let old = floats(&data(old.to_vec(), shape));
        let mut values = floats(&data(new, &new_shape(dims, shape)));
        if is_random(dims) {
            draw(self, param, dims, &old, &mut values);
        }
        let noise = match self.is_noisy() {
            true => self.noise(param, &old),
            false => None,
        };
        let at = |index: usize| noise.as_ref().map(|noise| noise[index]);
        let made = values.into_iter().enumerate();
        Some(match dtype {
            DType::F64 => made
                .flat_map(|(index, value)| added(value, at(index)).to_ne_bytes())
                .collect(),
            // In the order in which a tensor on a device rounds.
            _ => made
                .map(|(index, value)| (value as f32, at(index).map(|noise| noise as f32)))
                .flat_map(|(value, noise)| added(value, noise).to_ne_bytes())
                .collect(),
        })
    }
}

impl Streamed<'_> {
    /// Returns the shape after the expansion.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Counts the bytes after the expansion.
    pub fn num_bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }

    /// Writes the bytes of the expanded tensor from number `at` on into `to`. Fastest where both
    /// begin and end at a multiple of 16, or with the tensor.
    pub fn write(&self, at: usize, to: &mut [u8]) {
        let (before, end) = (at % ITEM, at + to.len());
        let whole_end = end.next_multiple_of(ITEM).min(self.num_bytes());
        if before == 0 && end == whole_end {
            return self.write_whole(at, to);
        }
        let mut whole = vec![0; whole_end - (at - before)];
        self.write_whole(at - before, &mut whole);
        to.copy_from_slice(&whole[before..][..to.len()]);
    }

    fn write_whole(&self, at: usize, to: &mut [u8]) {
        match &self.made {
            None => self.moved(at, to),
            Some(made) => self.finish(made, at, to),
        }
    }

    /// Writes elements that are old ones, multiplied.
    fn moved(&self, at: usize, to: &mut [u8]) {
        if self.zeros {
            to.fill(0);
        }
        self.moves.write(self.old, at, to);
        match (&self.factors, self.dtype) {
            (Computed::Double(factors), _) => factors.multiply(at / 8, to.as_chunks_mut().0),
            (Computed::Single(factors), _) if factors.is_one() => {}
            (Computed::Single(factors), DType::F16) => {
                rounded::<f16>(factors, at / 2, to.as_chunks_mut().0);
            }
            (Computed::Single(factors), DType::BF16) => {
                rounded::<bf16>(factors, at / 2, to.as_chunks_mut().0);
            }
            (Computed::Single(factors), _) => factors.multiply(at / 4, to.as_chunks_mut().0),
        }
    }

    /// Writes elements that were made, multiplied.
    fn finish(&self, made: &[u8], at: usize, to: &mut [u8]) {
        let size = self.dtype.size();
        let first = at / size;
        match &self.factors {
            Computed::Double(factors) => {
                to.copy_from_slice(&made[at..at + to.len()]);
                factors.multiply(first, to.as_chunks_mut().0);
            }
            Computed::Single(factors) => {
                let mut made = made[4 * first..4 * (first + to.len() / size)].to_vec();
                let (elements, _) = made.as_chunks_mut::<4>();
                factors.multiply(first, elements);
                let elements = elements.iter().map(|element| f32::from_ne_bytes(*element));
                match self.dtype {
                    DType::F16 => round::<f16>(elements, to.as_chunks_mut().0),
                    DType::BF16 => round::<bf16>(elements, to.as_chunks_mut().0),
                    _ => to.copy_from_slice(&made),
                }
            }
        }
    }
}

/// A sum that is the value itself, with its sign if it is zero, where nothing is added.
fn added<F: core::ops::Add<Output = F>>(value: F, noise: Option<F>) -> F {
    match noise {
        Some(noise) => value + noise,
        None => value,
    }
}

/// A float of two bytes.
trait Half: Copy {
    fn single(bytes: [u8; 2]) -> f32;
    fn bytes(single: f32) -> [u8; 2];
}

impl Half for f16 {
    fn single(bytes: [u8; 2]) -> f32 {
        Self::from_ne_bytes(bytes).to_f32()
    }

    fn bytes(single: f32) -> [u8; 2] {
        Self::from_f32(single).to_ne_bytes()
    }
}

impl Half for bf16 {
    fn single(bytes: [u8; 2]) -> f32 {
        Self::from_ne_bytes(bytes).to_f32()
    }

    fn bytes(single: f32) -> [u8; 2] {
        Self::from_f32(single).to_ne_bytes()
    }
}

/// Multiplies the elements from number `at` on in single precision, and rounds them once.
fn rounded<H: Half>(factors: &HostFactors<f32>, mut at: usize, elements: &mut [[u8; 2]]) {
    for block in elements.chunks_mut(BLOCK) {
        let mut singles = [[0; 4]; BLOCK];
        for (single, element) in singles.iter_mut().zip(&*block) {
            *single = H::single(*element).to_ne_bytes();
        }
        let singles = &mut singles[..block.len()];
        factors.multiply(at, singles);
        round::<H>(
            singles.iter().map(|single| f32::from_ne_bytes(*single)),
            block,
        );
        at += block.len();
    }
}

fn round<H: Half>(singles: impl Iterator<Item = f32>, to: &mut [[u8; 2]]) {
    for (element, single) in to.iter_mut().zip(singles) {
        *element = H::bytes(single);
    }
}
