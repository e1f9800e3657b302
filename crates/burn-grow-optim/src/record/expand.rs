//! A record along a plan: state tensors, regions, and the region that the expansion adds.

use std::collections::HashMap;
use std::sync::Arc;

use burn_grow_core::Plan;
use burn_grow_core::plan::ParamPlan;

use super::RawRecord;
use super::state::expand_state;
use crate::keys::{RecordKeys, entries, is_count};
use crate::locked::{LockedCopies, locked};
use crate::region::Region;
use crate::{OptimError, Ramp, StateRules};

impl RawRecord {
    /// Expands the record along `plan`, as [`expand_optimizer`](crate::expand_optimizer) does an
    /// optimizer. `ids` are the identities of the model's float parameters, by path. Returns the
    /// copies that stay locked to their units.
    ///
    /// # Errors
    ///
    /// Those of `expand_optimizer`, except that a record does not tell if the optimizer is
    /// [`Asymmetric`](crate::Asymmetric). The record is unchanged.
    pub fn expand(
        &mut self,
        ids: &HashMap<String, u64>,
        plan: &Plan,
        rules: &StateRules,
        rewarmup: Option<Ramp>,
    ) -> Result<Option<LockedCopies>, OptimError> {
        let rules = rules.resolved(ids, |axis| plan.widths().contains_key(axis))?;
        if let Some(ramp) = rewarmup {
            rules.check_bias_correction(ramp.bias_correction, ramp.scope, plan)?;
        }
        let mut params: HashMap<u64, &ParamPlan> = HashMap::new();
        for param in plan.params() {
            let id = ids.get(&param.path).ok_or_else(|| OptimError::Missing {
                path: param.path.clone(),
            })?;
            params.insert(*id, param);
        }
        let locked = locked(&self.tensors, &params, plan, &rules, rewarmup.as_ref());
        let shared = Arc::new(plan.clone());
        let expanded = self.tensors.iter().map(|tensor| {
            match tensor.param_id.and_then(|id| params.get(&id)) {
                Some(param) => expand_state(tensor, &shared, param, rules.of(plan, param)),
                None => Ok(tensor.clone()),
            }
        });
        self.tensors = expanded.collect::<Result<_, _>>()?;
        for (id, param) in &params {
            self.expand_regions(*id, plan, param);
            let added =
                rewarmup.and_then(|ramp| Region::of(plan, param, ramp, self.steps_counted(*id)));
            if let Some(region) = added {
                self.push_region(*id, &param.path, &region);
            }
        }
        Ok(locked)
    }

    /// Appends `region` to those of the parameter `id` at `path`.
    pub(crate) fn push_region(&mut self, id: u64, path: &str, region: &Region) {
        let keys = RecordKeys::of(id);
        self.set_region(&keys, keys.count_regions(&self.scalars), region);
        // A parameter without state so far has neither entry yet.
        self.scalars
            .insert(keys.rank(), region.extents.len().into());
        self.paths.insert(keys.path(), path.to_owned());
    }

    /// Maps the regions of the parameter `id`.
    fn expand_regions(&mut self, id: u64, plan: &Plan, param: &ParamPlan) {
        let keys = RecordKeys::of(id);
        for index in 0..keys.count_regions(&self.scalars) {
            let read = |field: &str| self.scalars.get(&keys.field(index, field)).copied();
            let Some(region) = Region::from_scalars(param.roles.len(), read) else {
                return;
            };
            self.set_region(&keys, index, &region.expanded(plan, param));
        }
    }

    /// Replaces region number `index`.
    fn set_region(&mut self, keys: &RecordKeys, index: usize, region: &Region) {
        let old = entries(&self.scalars, keys.field(index, ""));
        let old: Vec<String> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            self.scalars.remove(&name);
        }
        for (field, value) in region.scalars() {
            self.scalars.insert(keys.field(index, &field), value);
        }
    }

    /// The steps that the optimizer has counted for the parameter `id`.
    fn steps_counted(&self, id: u64) -> usize {
        entries(&self.scalars, RecordKeys::of(id).entries())
            .filter(|(name, _)| is_count(name))
            .find_map(|(_, count)| usize::try_from(*count).ok())
            .unwrap_or(0)
    }
}
