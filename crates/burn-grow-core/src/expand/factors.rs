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

    /// Multiplies everything by `scale` as well.
    pub(super) fn and_scale(mut self, scale: f64) -> Self {
        if scale != 1.0 {
            self.0.push((0, Factor::Uniform(scale)));
        }
        self
    }

    /// The factors for the elements of a tensor of `shape` in host memory.
    pub(super) fn on_host<F: HostFloat>(self, shape: &[usize]) -> HostFactors<F> {
        let factors = self.0.into_iter().map(|(dim, factor)| HostFactor {
            values: match factor {
                Factor::Uniform(factor) => vec![F::of(factor)],
                Factor::PerUnit(factors) => factors.into_iter().map(F::of).collect(),
            },
            inner: shape.iter().skip(dim + 1).product(),
        });
        HostFactors(factors.collect())
    }
}

/// A float in host memory.
pub(super) trait HostFloat: Copy {
    /// Its bytes.
    type Bytes;

    fn of(factor: f64) -> Self;

    fn multiply(self, element: &mut Self::Bytes);
}

impl HostFloat for f32 {
    type Bytes = [u8; 4];

    fn of(factor: f64) -> Self {
        factor as Self
    }

    fn multiply(self, element: &mut [u8; 4]) {
        *element = (Self::from_ne_bytes(*element) * self).to_ne_bytes();
    }
}

impl HostFloat for f64 {
    type Bytes = [u8; 8];

    fn of(factor: f64) -> Self {
        factor
    }

    fn multiply(self, element: &mut [u8; 8]) {
        *element = (Self::from_ne_bytes(*element) * self).to_ne_bytes();
    }
}

/// [`Factors`] for floats in host memory: bit-equal to those on a device, and as quick as memory is
/// read where they are applied right after it was written.
pub(super) struct HostFactors<F>(Vec<HostFactor<F>>);

struct HostFactor<F> {
    /// One for all coordinates of the dimension, or one for each.
    values: Vec<F>,
    /// How many consecutive elements lie at one coordinate.
    inner: usize,
}

impl<F: HostFloat> HostFactors<F> {
    /// Tells if nothing is multiplied.
    pub(super) fn is_one(&self) -> bool {
        self.0.is_empty()
    }

    /// Multiplies the elements from number `at` on.
    pub(super) fn multiply(&self, at: usize, elements: &mut [F::Bytes]) {
        for factor in &self.0 {
            factor.multiply(at, elements);
        }
    }
}

impl<F: HostFloat> HostFactor<F> {
    fn multiply(&self, mut at: usize, mut elements: &mut [F::Bytes]) {
        let Self { values, inner } = self;
        if let [factor] = values.as_slice() {
            elements
                .iter_mut()
                .for_each(|element| factor.multiply(element));
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
                    factor.multiply(element);
                }
            } else {
                let factor = values[coordinate];
                piece
                    .iter_mut()
                    .for_each(|element| factor.multiply(element));
            }
            at += length;
            elements = rest;
        }
    }
}
