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

/// The parameters of a plan by their identities.
struct Identities<'a> {
    /// Those that were there before.
    kept: HashMap<u64, &'a ParamPlan>,
    /// Those of new blocks: identity, that of the source, and plan.
    new: Vec<(u64, Option<u64>, &'a ParamPlan)>,
}

impl<'a> Identities<'a> {
    fn of(plan: &'a Plan, ids: &HashMap<String, u64>) -> Result<Self, OptimError> {
        let missing = |path: &str| OptimError::Missing {
            path: path.to_owned(),
        };
        let old = || plan.params().iter().filter(|param| !param.is_new());
        let before: HashMap<String, u64> = if ids.len() == old().count() {
            ids.clone()
        } else {
            // The paths of a model that has grown: go back by those that stayed.
            let before = old().filter_map(|param| {
                Some((param.source_path()?.to_owned(), *ids.get(&param.path)?))
            });
            before.collect()
        };
        let after = plan.ids_after(&before);
        let mut found = Self {
            kept: HashMap::new(),
            new: Vec::new(),
        };
        for param in plan.params() {
            let id = *after.get(&param.path).ok_or_else(|| missing(&param.path))?;
            if param.is_new() {
                let source = param.source_path().and_then(|path| before.get(path));
                found.new.push((id, source.copied(), param));
            } else {
                found.kept.insert(id, param);
            }
        }
        Ok(found)
    }
}

/// The name of the same entry of the parameter `id`.
fn renamed(name: &str, id: u64) -> String {
    let field = name.split_once('.').map_or("", |(_, field)| field);
    format!("{}{field}", RecordKeys::of(id).entries())
}

impl RawRecord {
    /// Expands the record along `plan`, as [`expand_optimizer`](crate::expand_optimizer) does an
    /// optimizer. `ids` are the identities of the model's float parameters, by path, before the
    /// expansion or after it. Returns the copies that stay locked to their units.
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
        let Identities { kept, new } = Identities::of(plan, ids)?;
        let locked = locked(&self.tensors, &kept, plan, &rules, rewarmup.as_ref());
        let shared = Arc::new(plan.clone());
        let mut expanded = Vec::with_capacity(self.tensors.len());
        for tensor in &self.tensors {
            expanded.push(match tensor.param_id.and_then(|id| kept.get(&id)) {
                Some(param) => expand_state(tensor, &shared, param, rules.of(plan, param))?,
                None => tensor.clone(),
            });
        }
        let mut copied = Vec::new();
        for (id, source, param) in &new {
            let rule = rules.of(plan, param);
            let Some(source) = source.filter(|_| rule.copies_blocks(param)) else {
                continue;
            };
            copied.push((source, *id, &param.path));
            let of_source = |tensor: &&burn_pack::Tensor| tensor.param_id == Some(source);
            for tensor in self.tensors.iter().filter(of_source) {
                let mut copy = expand_state(tensor, &shared, param, rule.clone())?;
                copy.param_id = Some(*id);
                copy.name = renamed(&tensor.name, *id);
                expanded.push(copy);
            }
        }
        // Nothing fails from here on.
        self.tensors = expanded;
        for (source, id, path) in copied {
            self.copy_scalars(source, id);
            if self.paths.contains_key(&RecordKeys::of(source).path()) {
                self.paths.insert(RecordKeys::of(id).path(), path.clone());
            }
        }
        for (id, param) in &kept {
            self.expand_regions(*id, plan, param);
            let keys = RecordKeys::of(*id);
            if let Some(path) = self.paths.get_mut(&keys.path()) {
                path.clone_from(&param.path);
            }
        }
        let new = new.iter().map(|(id, _, param)| (id, param));
        for (id, param) in kept.iter().chain(new) {
            let added =
                rewarmup.and_then(|ramp| Region::of(plan, param, ramp, self.steps_counted(*id)));
            if let Some(region) = added {
                self.push_region(*id, &param.path, &region);
            }
        }
        Ok(locked)
    }

    /// Copies the scalars of the parameter `source` but for its regions: in a new block all
    /// coordinates are as old as the block.
    fn copy_scalars(&mut self, source: u64, id: u64) {
        let source = RecordKeys::of(source);
        let regions = source.region_entries();
        let copied = entries(&self.scalars, source.entries())
            .filter(|(name, _)| !name.starts_with(&regions))
            .map(|(name, value)| (renamed(name, id), *value));
        let copied: Vec<_> = copied.collect();
        self.scalars.extend(copied);
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
