//! The noise by which some baselines make copies different.

use core::ops::Add;

use burn_core::tensor::{Tensor, TensorData};

use super::random::{NewValue, OldValues};
use crate::baseline::Noise;
use crate::describe::role::RoleKind;
use crate::plan::axis_plan::{AxisPlan, Origin};
use crate::plan::coordinates::Coordinate;
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::random::NormalRows;

impl Plan {
    /// Adds the noise of a baseline to `param`, expanded but for its factors. `old` are its old
    /// values, which a plan with noise reads.
    pub(super) fn with_noise<const D: usize>(
        &self,
        param: &ParamPlan,
        tensor: Tensor<D>,
        old: Option<Vec<f64>>,
    ) -> Tensor<D> {
        let old = old.filter(|_| self.is_noisy());
        let noise = old
            .as_ref()
            .and_then(|old| self.noise(param, old.as_slice()));
        let Some(noise) = noise else {
            return tensor;
        };
        let mut values = vec![0.0; param.new_shape.iter().product()];
        noise.add_to(&mut values);
        let noise = TensorData::new(values, param.new_shape.clone());
        let options = (&tensor.device(), tensor.dtype());
        let noise = Tensor::from_data(noise, options);
        tensor + noise
    }

    /// Prepares the noise that a baseline adds to `param`, whose old values are `old`, before
    /// factors multiply. Returns `None` for parameters without noise.
    pub(super) fn noise<'a, O: OldValues + ?Sized>(
        &self,
        param: &ParamPlan,
        old: &'a O,
    ) -> Option<ParamNoise<'a, O>> {
        let mut terms = Vec::new();
        for dim in 0..param.roles.len() {
            let Some(role) = self.growing(param, dim) else {
                continue;
            };
            for (axis, planned) in self.axes() {
                let Some(noise) = planned.noise() else {
                    continue;
                };
                let kinds: &[RoleKind] = match noise {
                    Noise::Producer(_) => &[RoleKind::FanOut, RoleKind::Gate],
                    Noise::Opposite(_) | Noise::OppositeSign(_) => &[RoleKind::FanIn],
                };
                let units = self.units_along(role, axis, kinds);
                if units.iter().all(Option::is_none) {
                    continue;
                }
                let shape = match noise {
                    Noise::Producer(_) => &param.new_shape,
                    Noise::Opposite(_) | Noise::OppositeSign(_) => &param.old_shape,
                };
                let length = shape.last().copied().unwrap_or(1);
                let key = format!("{}/{axis}", param.path);
                terms.push(Term {
                    noise,
                    normals: NormalRows::new(self.seed(), &key, length),
                    weights: weights(planned, noise, &units),
                    inner: param.new_shape[dim + 1..].iter().product(),
                });
            }
        }
        if terms.is_empty() {
            return None;
        }
        let values = (0..old.count()).map(|index| old.at(index));
        let squares: f64 = values.map(|value| value.powi(2)).sum();
        let dims = (0..param.roles.len()).map(|dim| {
            let coordinates = self.dimension(param, dim, &|_| Fill::Copy);
            coordinates.map(|coordinates| coordinates.iter().map(Coordinate::kept).collect())
        });
        Some(ParamNoise {
            old,
            rms: (squares / old.count().max(1) as f64).sqrt(),
            old_shape: param.old_shape.clone(),
            new_shape: param.new_shape.clone(),
            sources: dims.collect(),
            terms,
        })
    }
}

/// The noise of a parameter, made row by row of its last dimension: no more than a row of it has to
/// be in memory.
pub(super) struct ParamNoise<'a, O: ?Sized> {
    old: &'a O,
    rms: f64,
    old_shape: Vec<usize>,
    new_shape: Vec<usize>,
    /// The old coordinate of every new one, of dimensions that grow.
    sources: Vec<Option<Vec<Option<usize>>>>,
    terms: Vec<Term>,
}

/// The noise of one axis along one dimension.
struct Term {
    noise: Noise,
    /// Numbers for every new coordinate, or for every old one where signs make the copies of a unit
    /// different: there they are equal on all of them.
    normals: NormalRows,
    /// The factor for the noise of each coordinate of the dimension.
    weights: Vec<f64>,
    /// How many consecutive elements lie at one coordinate.
    inner: usize,
}

impl<O: OldValues + ?Sized> ParamNoise<'_, O> {
    /// Adds the noise to the new values, all of which `values` are.
    pub(super) fn add_to<V: NewValue + Add<Output = V>>(mut self, values: &mut [V]) {
        let length = self.new_shape.last().copied().unwrap_or(1);
        let mut total = vec![0.0; length];
        for (row, values) in values.chunks_mut(length.max(1)).enumerate() {
            total.fill(0.0);
            self.add_row(row, &mut total);
            for (value, noise) in values.iter_mut().zip(&total) {
                *value = *value + V::of(*noise);
            }
        }
    }

    /// Adds the noise of a row.
    fn add_row(&mut self, row: usize, total: &mut [f64]) {
        let old_row = self.old_of(row);
        let old_length = self.old_shape.last().copied().unwrap_or(1);
        let along = self.sources.last().and_then(Option::as_ref);
        let first = row * total.len();
        for Term {
            noise,
            normals,
            weights,
            inner,
        } in &mut self.terms
        {
            let weight = |at: usize| weights[(first + at) / *inner % weights.len()];
            if let Noise::Producer(size) = *noise {
                let normals = normals.draw(row);
                for (at, (total, normal)) in total.iter_mut().zip(normals).enumerate() {
                    *total += normal * size * self.rms * weight(at);
                }
                continue;
            }
            let Some(old_row) = old_row else {
                continue;
            };
            let normals = normals.draw(old_row);
            for (at, total) in total.iter_mut().enumerate() {
                let Some(from) = along.map_or(Some(at), |along| along[at]) else {
                    continue;
                };
                let noise = match *noise {
                    Noise::Producer(size) | Noise::Opposite(size) => {
                        normals[from] * size * self.rms
                    }
                    Noise::OppositeSign(size) => {
                        let value = self.old.at(old_row * old_length + from);
                        value * size * normals[from].signum()
                    }
                };
                *total += noise * weight(at);
            }
        }
    }

    /// The old row that a new row comes from.
    fn old_of(&self, mut row: usize) -> Option<usize> {
        let (mut old, mut stride) = (0, 1);
        let around = self.new_shape.len().saturating_sub(1);
        for dim in (0..around).rev() {
            let index = row % self.new_shape[dim];
            row /= self.new_shape[dim];
            let index = match &self.sources[dim] {
                Some(sources) => sources[index]?,
                None => index,
            };
            old += index * stride;
            stride *= self.old_shape[dim];
        }
        Some(old)
    }
}

/// Lists the factor for the noise of each coordinate of the dimension.
fn weights(axis: &AxisPlan, noise: Noise, units: &[Option<usize>]) -> Vec<f64> {
    let signs = match noise {
        Noise::Producer(_) => {
            let new = |origin: &Origin| f64::from(!matches!(origin, Origin::Kept(_)));
            axis.origins(RoleKind::FanOut).iter().map(new).collect()
        }
        Noise::Opposite(_) | Noise::OppositeSign(_) => axis.signs(),
    };
    units
        .iter()
        .map(|unit| unit.map_or(0.0, |unit| signs[unit]))
        .collect()
}
