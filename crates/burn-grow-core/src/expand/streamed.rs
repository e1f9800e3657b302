//! A tensor in a file, expanded one stretch after another.

use burn_core::tensor::{DType, bf16, f16};

use super::factors::{Factors, HostFactors};
use super::gather::{moves, new_shape};
use super::moves::Moves;
use super::old_values::needs_old;
use super::random::{NewValue, OldValues, draw, is_random};
use crate::error::GrowError;
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::random::normals;

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
    values: Values,
    /// True if some coordinate is neither an old one nor a copy.
    zeros: bool,
}

/// Normal noise that is added to the numbers of a tensor: the same on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedNoise {
    /// How large it is.
    pub size: NoiseSize,
    /// Seed of everything random.
    pub seed: u64,
    /// What names these random numbers among all of that seed, such as the path of a parameter.
    pub key: String,
}

/// The standard deviation of noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoiseSize {
    /// As it is.
    Absolute(f64),
    /// Relative to the RMS of the numbers that the noise is added to.
    Relative(f64),
}

/// The numbers, by the type that they are computed in.
enum Values {
    Single(Computed<f32>),
    Double(Computed<f64>),
}

struct Computed<V> {
    factors: HostFactors<V>,
    /// Every new value before it is multiplied, where the old ones do not hold them all.
    made: Option<Vec<V>>,
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
        reject_quantized(&param.path, dtype)?;
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
            values: match dtype {
                DType::F64 => Values::Double(Computed {
                    factors: factors.on_host(&shape),
                    made: self.made(param, &dims, dtype, old),
                }),
                _ => Values::Single(Computed {
                    factors: factors.on_host(&shape),
                    made: self.made(param, &dims, dtype, old),
                }),
            },
            zeros: zeros.any(|coordinate| coordinate.kept().is_none()),
            shape,
            dtype,
            old,
        })
    }

    /// Makes the elements that come from all old ones, before they are multiplied: in the order in
    /// which a tensor on a device rounds.
    fn made<V: NewValue + core::ops::Add<Output = V>>(
        &self,
        param: &ParamPlan,
        dims: &[Option<Vec<Coordinate>>],
        dtype: DType,
        old: &[u8],
    ) -> Option<Vec<V>> {
        if !needs_old(self, dims) || dims.iter().all(Option::is_none) {
            return None;
        }
        let moves = moves(dims, &param.old_shape, old.len());
        let mut values: Vec<V> = Vec::with_capacity(moves.len() / dtype.size());
        let mut block = [0; BLOCK * ITEM];
        for at in (0..moves.len()).step_by(block.len()) {
            let block = &mut block[..(BLOCK * ITEM).min(moves.len() - at)];
            block.fill(0);
            moves.write(old, at, block);
            let new = Elements {
                bytes: block,
                dtype,
            };
            values.extend((0..new.count()).map(|index| V::of(new.at(index))));
        }
        let old = Elements { bytes: old, dtype };
        if is_random(dims) {
            draw(self, param, dims, &old, &mut values);
        }
        // Nothing added leaves a zero its sign.
        if self.is_noisy()
            && let Some(noise) = self.noise(param, &old)
        {
            noise.add_to(&mut values);
        }
        Some(values)
    }
}

fn reject_quantized(path: &str, dtype: DType) -> Result<(), GrowError> {
    match dtype {
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 => Ok(()),
        _ => Err(GrowError::Quantized {
            path: path.into(),
            dtype: format!("{dtype:?}"),
        }),
    }
}

/// The values of a tensor in memory, not copied.
struct Elements<'a> {
    bytes: &'a [u8],
    dtype: DType,
}

impl OldValues for Elements<'_> {
    fn count(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    fn at(&self, index: usize) -> f64 {
        match self.dtype {
            DType::F64 => f64::from_ne_bytes(self.bytes.as_chunks().0[index]),
            DType::F16 => f16::single(self.bytes.as_chunks().0[index]).into(),
            DType::BF16 => bf16::single(self.bytes.as_chunks().0[index]).into(),
            _ => f32::from_ne_bytes(self.bytes.as_chunks().0[index]).into(),
        }
    }
}

impl<'a> Streamed<'a> {
    /// Prepares the bytes `old` of the tensor at `path`, with `noise` added and then multiplied by
    /// `scale`: for a tensor that is made of another one, and by no plan.
    ///
    /// The shape is that of a vector.
    ///
    /// # Errors
    ///
    /// Fails when `old` is not made of whole numbers of that type, and on quantized types.
    pub fn perturbed(
        path: &str,
        dtype: DType,
        old: &'a [u8],
        noise: Option<&AddedNoise>,
        scale: f64,
    ) -> Result<Self, GrowError> {
        reject_quantized(path, dtype)?;
        let shape = vec![old.len() / dtype.size()];
        if old.len() != shape[0] * dtype.size() {
            return Err(GrowError::Shape {
                path: path.into(),
                expected: shape,
                found: vec![old.len().div_ceil(dtype.size())],
            });
        }
        let elements = Elements { bytes: old, dtype };
        let factors = Factors::of(&[None]).and_scale(scale);
        Ok(Self {
            moves: moves(&[None], &shape, old.len()),
            values: match dtype {
                DType::F64 => Values::Double(Computed {
                    factors: factors.on_host(&shape),
                    made: noise.map(|noise| noise.added_to(&elements)),
                }),
                _ => Values::Single(Computed {
                    factors: factors.on_host(&shape),
                    made: noise.map(|noise| noise.added_to(&elements)),
                }),
            },
            zeros: false,
            shape,
            dtype,
            old,
        })
    }
}

impl AddedNoise {
    fn added_to<V: NewValue + core::ops::Add<Output = V>>(&self, old: &Elements<'_>) -> Vec<V> {
        let values = || (0..old.count()).map(|index| old.at(index));
        let deviation = match self.size {
            NoiseSize::Absolute(deviation) => deviation,
            NoiseSize::Relative(size) => {
                let squares: f64 = values().map(|value| value.powi(2)).sum();
                size * (squares / old.count().max(1) as f64).sqrt()
            }
        };
        let normals = normals(self.seed, &self.key);
        let noise = normals.map(|normal| V::of(normal * deviation));
        let pairs = values().map(V::of).zip(noise);
        pairs.map(|(value, noise)| value + noise).collect()
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
        let first = at / self.dtype.size();
        match &self.values {
            Values::Double(Computed { factors, made }) => {
                let made = made.as_deref().map(|made| &made[first..]);
                self.write_old(made.is_none(), at, to);
                let (elements, _) = to.as_chunks_mut();
                put(made, elements, f64::to_ne_bytes);
                factors.multiply(first, elements);
            }
            Values::Single(Computed { factors, made }) => {
                let made = made.as_deref().map(|made| &made[first..]);
                self.write_old(made.is_none(), at, to);
                match self.dtype {
                    DType::F16 => halves::<f16>(factors, made, first, to.as_chunks_mut().0),
                    DType::BF16 => halves::<bf16>(factors, made, first, to.as_chunks_mut().0),
                    _ => {
                        let (elements, _) = to.as_chunks_mut();
                        put(made, elements, f32::to_ne_bytes);
                        factors.multiply(first, elements);
                    }
                }
            }
        }
    }

    /// Writes the old elements where they go, if they are all there is.
    fn write_old(&self, all: bool, at: usize, to: &mut [u8]) {
        if !all {
            return;
        }
        if self.zeros {
            to.fill(0);
        }
        self.moves.write(self.old, at, to);
    }
}

/// Writes elements that were made, if they were.
fn put<V: Copy, B>(made: Option<&[V]>, to: &mut [B], bytes: impl Fn(V) -> B) {
    if let Some(made) = made {
        for (element, value) in to.iter_mut().zip(made) {
            *element = bytes(*value);
        }
    }
}

/// Multiplies elements from number `at` on in single precision, and rounds them once: those that
/// were made, or those that are there.
fn halves<H: Half>(
    factors: &HostFactors<f32>,
    made: Option<&[f32]>,
    mut at: usize,
    elements: &mut [[u8; 2]],
) {
    if factors.is_one() && made.is_none() {
        return;
    }
    let first = at;
    for block in elements.chunks_mut(BLOCK) {
        let mut singles = [[0; 4]; BLOCK];
        let singles = &mut singles[..block.len()];
        match made {
            Some(made) => put(Some(&made[at - first..]), singles, f32::to_ne_bytes),
            None => put(Some(&*block), singles, |half| H::single(half).to_ne_bytes()),
        }
        factors.multiply(at, singles);
        put(Some(&*singles), block, |single| {
            H::bytes(f32::from_ne_bytes(single))
        });
        at += block.len();
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
