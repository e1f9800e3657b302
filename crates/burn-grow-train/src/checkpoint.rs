use std::collections::HashSet;
use std::path::{Path, PathBuf};

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::Tensor;
use burn_grow_core::Growable;
use burn_optim::lr_scheduler::LrSchedulerRecord;
use burn_pack::Reader;

use crate::{Clock, TrainError, WidthExpansionCallback};

impl WidthExpansionCallback {
    /// Checks that the checkpoint of `epoch` under `directory` can be resumed from, and says how far
    /// that run was.
    ///
    /// `directory` is the one given to [`SupervisedTraining::new`](burn_train::SupervisedTraining::new),
    /// whose own loading panics on a damaged file. `model` is the narrow model a new run begins with.
    /// Nothing is changed.
    ///
    /// # Errors
    ///
    /// When a file is missing, torn or from another model, or the run took other expansions.
    pub fn check_checkpoint<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        epoch: usize,
        model: &M,
    ) -> Result<Clock, TrainError> {
        let file = |name: &str| {
            let directory = directory.as_ref().join("checkpoint");
            directory.join(format!("{name}-{epoch}.bpk"))
        };
        let path = file("model");
        let record = ModuleRecord::load(&path).map_err(at(&path))?;
        let model = self
            .progressive(model.clone())
            .try_load_record(record)
            .map_err(at(&path))?;
        let path = file("optim");
        check_optimizer(&path, &model).map_err(at(&path))?;
        let path = file("scheduler");
        LrSchedulerRecord::load(&path).map_err(at(&path))?;
        Ok(model.clock())
    }
}

fn at(path: &Path) -> impl FnOnce(RecordError) -> TrainError {
    let path: PathBuf = path.to_owned();
    |source| TrainError::Checkpoint { path, source }
}

/// Whether every state in the file belongs to a parameter of `model`.
fn check_optimizer<M: Module>(path: &Path, model: &M) -> Result<(), RecordError> {
    struct Ids(HashSet<u64>);
    impl ModuleVisitor for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.insert(param.id.val());
        }
    }
    let mut ids = Ids(HashSet::new());
    model.visit(&mut ids);
    for tensor in Reader::from_file(path)?.into_tensors()? {
        // Reading the bytes is what finds a torn file.
        let (name, _, _, id, _) = tensor.into_parts()?;
        if !id.is_some_and(|id| ids.0.contains(&id)) {
            return Err(RecordError::Validation(format!(
                "state `{name}` belongs to no parameter of the model"
            )));
        }
    }
    Ok(())
}
