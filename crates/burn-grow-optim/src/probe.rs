//! An optimizer cannot be asked what it is, but it can be given a region and asked for it back.

use std::collections::BTreeMap;

use burn_core::module::Module;
use burn_optim::ModuleOptimizer;

use crate::keys::RecordKeys;
use crate::param_ids::param_ids;
use crate::record::RawRecord;
use crate::region::Region;
use crate::{OptimError, Rewarmup};

/// Checks that the optimizer of every float parameter of `model` is
/// [`Asymmetric`](crate::Asymmetric).
///
/// # Errors
///
/// Names the first parameter, by path, whose optimizer is not.
pub fn check_asymmetric<M: Module>(optim: &ModuleOptimizer, model: &M) -> Result<(), OptimError> {
    let region = Region {
        extents: Vec::new(),
        age: 0,
        count: 0,
        start: None,
        ramp: Rewarmup::proportional().ramp(0, 1),
    };
    let ids: BTreeMap<String, u64> = param_ids(model).into_iter().collect();
    let mut record = RawRecord::default();
    for (path, id) in &ids {
        record.push_region(*id, path, &region);
    }
    let kept = RawRecord::of(&record.load(optim)?)?;
    let keeps = |id: u64| RecordKeys::of(id).count_regions(&kept.scalars) > 0;
    match ids.into_iter().find(|(_, id)| !keeps(*id)) {
        Some((path, _)) => Err(OptimError::NotAsymmetric { path }),
        None => Ok(()),
    }
}
