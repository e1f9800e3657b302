//! The guard against models that diverged or cannot be read.

use burn_core::module::{Module, Param};
use burn_core::tensor::{Bool, Tensor};
use burn_grow_core::{ParamVisitor, for_each_param};

use crate::{Position, TrainError};

/// Checks that every parameter of `model` can be read and none holds NaN; a NaN loss makes all of
/// them NaN.
///
/// # Errors
///
/// Names the first parameter that holds NaN, or says what the device says.
pub(crate) fn check_nan<M: Module>(model: &M, position: Position) -> Result<(), TrainError> {
    let mut look = Look(Vec::new());
    for_each_param(model, &mut look);
    let (paths, found): (Vec<_>, Vec<_>) = look.0.into_iter().unzip();
    if found.is_empty() {
        return Ok(());
    }
    let device = found[0].device();
    let found = found.into_iter().map(|found| found.to_device(&device));
    let found = Tensor::cat(found.collect(), 0).try_into_data();
    let found = found.map_err(|error| TrainError::Device {
        step: position.step,
        stage: position.stage,
        reason: error.to_string(),
    })?;
    let mut diverged = paths
        .into_iter()
        .zip(found.iter::<bool>())
        .filter(|(_, found)| *found);
    match diverged.next() {
        Some((path, _)) => Err(TrainError::NotFinite {
            path,
            step: position.step,
            stage: position.stage,
        }),
        None => Ok(()),
    }
}

/// Collects for each parameter, by path, if it holds NaN: a boolean that stays on its device.
struct Look(Vec<(String, Tensor<1, Bool>)>);

impl ParamVisitor for Look {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let value = param.base().without_autodiff();
        if value.dtype().is_float() && value.shape().num_elements() > 0 {
            self.0.push((path.to_owned(), value.is_nan().any()));
        }
    }
}
