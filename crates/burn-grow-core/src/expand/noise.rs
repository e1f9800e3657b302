//! The noise by which some baselines make copies different.

use burn_core::tensor::{Tensor, TensorData};

use super::gather::moves;
use crate::baseline::Noise;
use crate::describe::role::RoleKind;
use crate::plan::axis_plan::{AxisPlan, Origin};
use crate::plan::fill::Fill;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::random::normals;

impl Plan {
    /// Adds the noise of a baseline to `param`, expanded but for its factors. `old` are its old
    /// values, which a plan with noise reads.
    pub(super) fn with_noise<const D: usize>(
        &self,
        param: &ParamPlan,
        tensor: Tensor<D>,
        old: Option<Vec<f64>>,
    ) -> Tensor<D> {
        let noise = old.filter(|_| self.is_noisy());
        let Some(noise) = noise.and_then(|old| self.noise(param, &old)) else {
            return tensor;
        };
        let noise = TensorData::new(noise, param.new_shape.clone());
        let options = (&tensor.device(), tensor.dtype());
        let noise = Tensor::from_data(noise, options);
        tensor + noise
    }

    /// Computes the noise that a baseline adds to `param`, whose old values are `old`, before
    /// factors multiply. Returns `None` for parameters without noise.
    pub(crate) fn noise(&self, param: &ParamPlan, old: &[f64]) -> Option<Vec<f64>> {
        let mut total: Option<Vec<f64>> = None;
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
                let key = format!("{}/{axis}", param.path);
                let weights = weights(planned, noise, &units);
                let noise = self.unsigned_noise(param, noise, old, &key);
                let inner: usize = param.new_shape[dim + 1..].iter().product();
                let total = total.get_or_insert_with(|| vec![0.0; noise.len()]);
                for (flat, (total, noise)) in total.iter_mut().zip(noise).enumerate() {
                    *total += noise * weights[flat / inner % weights.len()];
                }
            }
        }
        total
    }

    /// Computes the noise of every new coordinate. Where signs make the copies of a unit different,
    /// it is equal on all of them.
    fn unsigned_noise(&self, param: &ParamPlan, noise: Noise, old: &[f64], key: &str) -> Vec<f64> {
        let normals = normals(self.seed(), key);
        let squares: f64 = old.iter().map(|value| value.powi(2)).sum();
        let rms = (squares / old.len().max(1) as f64).sqrt();
        let relative: Vec<f64> = match noise {
            Noise::Producer(size) => {
                let elements = param.new_shape.iter().product();
                return normals
                    .take(elements)
                    .map(|normal| normal * size * rms)
                    .collect();
            }
            Noise::Opposite(size) => normals
                .take(old.len())
                .map(|normal| normal * size * rms)
                .collect(),
            Noise::OppositeSign(size) => {
                let sign = |(value, normal): (&f64, f64)| value * size * normal.signum();
                old.iter().zip(normals).map(sign).collect()
            }
        };
        let dims = 0..param.roles.len();
        let dims = dims.map(|dim| self.dimension(param, dim, &|_| Fill::Copy));
        let old: Vec<u8> = relative.into_iter().flat_map(f64::to_ne_bytes).collect();
        let moves = moves(&dims.collect::<Vec<_>>(), &param.old_shape, old.len());
        let mut new = vec![0; moves.len()];
        moves.write(&old, 0, &mut new);
        let (new, _) = new.as_chunks();
        new.iter().map(|value| f64::from_ne_bytes(*value)).collect()
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
