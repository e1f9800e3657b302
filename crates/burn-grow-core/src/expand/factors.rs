//! The factors that an expanded parameter is multiplied with, dimension by dimension.

use burn_core::tensor::{Tensor, TensorData};

use crate::plan::coordinates::Coordinate;
use crate::plan::factor::Factor;

/// The factors of each dimension that is multiplied, in the order in which they round.
pub(super) struct Factors(Vec<(usize, Factor)>);

impl Factors {
    /// The factors of the coordinates of `dims`; a dimension with `None` has none.
    pub(super) fn of(dims: &[Option<Vec<Coordinate>>]) -> Self {
        let factors = dims.iter().enumerate().filter_map(|(dim, coordinates)| {
            let factors = coordinates.iter().flatten();
            let factors: Vec<f64> = factors.map(|coordinate| coordinate.factor).collect();
            match Factor::per_unit(factors) {
                Factor::Uniform(1.0) => None,
                Factor::PerUnit(factors) if factors.is_empty() => None,
                factor => Some((dim, factor)),
            }
        });
        Self(factors.collect())
    }

    /// Multiplies `tensor` on its device.
    pub(super) fn multiply<const D: usize>(self, mut tensor: Tensor<D>) -> Tensor<D> {
        let (device, dtype) = (tensor.device(), tensor.dtype());
        for (dim, factor) in self.0 {
            tensor = match factor {
                Factor::Uniform(factor) => tensor.mul_scalar(factor),
                Factor::PerUnit(factors) => {
                    let mut shape = [1; D];
                    shape[dim] = factors.len();
                    let factors = TensorData::new(factors, shape);
                    tensor * Tensor::<D>::from_data(factors, (&device, dtype))
                }
            };
        }
        tensor
    }

    /// The factors for the `f32` of a tensor of `shape` in host memory.
    #[cfg(feature = "flex")]
    pub(super) fn on_host(self, shape: &[usize]) -> HostFactors {
        let single = |factor: f64| factor as f32;
        let factors = self.0.into_iter().map(|(dim, factor)| HostFactor {
            values: match factor {
                Factor::Uniform(factor) => vec![single(factor)],
                Factor::PerUnit(factors) => factors.into_iter().map(single).collect(),
            },
            inner: shape[dim + 1..].iter().product(),
        });
        HostFactors(factors.collect())
    }
}

/// [`Factors`] for `f32` in host memory: bit-equal to those on a device, and as quick as memory is
/// read where they are applied right after it was written.
#[cfg(feature = "flex")]
pub(super) struct HostFactors(Vec<HostFactor>);

#[cfg(feature = "flex")]
struct HostFactor {
    /// One for all coordinates of the dimension, or one for each.
    values: Vec<f32>,
    /// How many consecutive elements lie at one coordinate.
    inner: usize,
}

#[cfg(feature = "flex")]
impl HostFactors {
    /// Multiplies the elements from number `at` on.
    pub(super) fn multiply(&self, at: usize, elements: &mut [[u8; 4]]) {
        for factor in &self.0 {
            factor.multiply(at, elements);
        }
    }
}

#[cfg(feature = "flex")]
impl HostFactor {
    fn multiply(&self, mut at: usize, mut elements: &mut [[u8; 4]]) {
        let Self { values, inner } = self;
        if let [factor] = values.as_slice() {
            elements
                .iter_mut()
                .for_each(|element| multiply(element, *factor));
            return;
        }
        while !elements.is_empty() {
            let coordinate = at / inner % values.len();
            let left = match inner {
                1 => values.len() - coordinate,
                _ => inner - at % inner,
            };
            let length = left.min(elements.len());
            let (piece, rest) = elements.split_at_mut(length);
            if *inner == 1 {
                for (element, factor) in piece.iter_mut().zip(&values[coordinate..]) {
                    multiply(element, *factor);
                }
            } else {
                let factor = values[coordinate];
                piece
                    .iter_mut()
                    .for_each(|element| multiply(element, factor));
            }
            at += length;
            elements = rest;
        }
    }
}

#[cfg(feature = "flex")]
fn multiply(element: &mut [u8; 4], factor: f32) {
    *element = (f32::from_ne_bytes(*element) * factor).to_ne_bytes();
}
