use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::tensor::{Bool, Tensor};

use crate::run::{Run, lock};
use crate::{Position, TrainError};

impl Run {
    /// Stops an attached run whose model has diverged or cannot be read, so that no checkpoint is saved of it
    /// and, with that, no good one deleted.
    ///
    /// One pass over the weights and one wait for the device: once an epoch, and at expansions, which
    /// wait for it anyway.
    pub(crate) fn stop_on_nan<M: Module>(&self, model: &M, clock: Position) {
        // A model outside of a training, or after one, is nobody's to stop.
        let attached = lock(&self.interrupter).is_some();
        if !attached || clock == Position::default() || self.failure().is_some() {
            return;
        }
        if let Err(error) = check_nan(model, clock) {
            self.fail(error);
        }
    }
}

/// Whether every parameter of `model` can be read and none is NaN; a NaN loss makes all of them so.
pub(crate) fn check_nan<M: Module>(model: &M, clock: Position) -> Result<(), TrainError> {
    let mut visitor = Visitor {
        path: Vec::new(),
        found: Vec::new(),
    };
    model.visit(&mut visitor);
    let (paths, found): (Vec<_>, Vec<_>) = visitor.found.into_iter().unzip();
    if found.is_empty() {
        return Ok(());
    }
    let device = found[0].device();
    let found = found.into_iter().map(|found| found.to_device(&device));
    let found = Tensor::cat(found.collect(), 0).try_into_data();
    let found = found.map_err(|error| TrainError::Device {
        step: clock.step,
        stage: clock.stage,
        reason: error.to_string(),
    })?;
    let mut diverged = paths
        .into_iter()
        .zip(found.iter::<bool>())
        .filter(|(_, found)| *found);
    match diverged.next() {
        Some((path, _)) => Err(TrainError::NotFinite {
            path,
            step: clock.step,
            stage: clock.stage,
        }),
        None => Ok(()),
    }
}

/// Whether each parameter holds NaN, left on its device.
struct Visitor {
    path: Vec<String>,
    found: Vec<(String, Tensor<1, Bool>)>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base().without_autodiff();
        if !value.dtype().is_float() || value.shape().num_elements() == 0 {
            return;
        }
        self.found.push((self.path.join("."), value.is_nan().any()));
    }
}
