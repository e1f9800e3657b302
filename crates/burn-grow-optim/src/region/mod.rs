//! Regions: the coordinates that one expansion added to a parameter, and their learning rate.

mod extent;
mod scalars;

use burn_grow_core::Plan;
use burn_grow_core::plan::ParamPlan;
use burn_optim::LearningRate;

pub(crate) use extent::Extent;
pub(crate) use scalars::{VERSION_FIELD, knows_version};

use crate::keys::MAX_STEPS;
use crate::{Ramp, RewarmupScope};

/// The coordinates that one expansion added to a parameter, and their learning rate.
///
/// A region holds scalars only, so that it travels in an optimizer record. It tells coordinates,
/// not units: a later expansion maps it along with everything else that has the parameter's shape.
/// Where regions overlap, the newest one counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    /// The coordinates that were there before the expansion, dimension by dimension.
    pub(crate) extents: Vec<Extent>,
    /// The optimizer steps taken since the expansion. As the step count of Adam, it counts those in
    /// which the parameter had a gradient: an expert in a module of its own that no token meets
    /// does not age.
    pub(crate) age: usize,
    /// The steps that the optimizer had counted for the parameter at the expansion.
    pub(crate) count: usize,
    /// The base rate at the expansion, known from the first step on.
    pub(crate) start: Option<LearningRate>,
    /// The learning rate of the region.
    pub(crate) ramp: Ramp,
}

impl Region {
    /// The region that an expansion adds to `param`: all of it in a new block of a stack. `None` if
    /// nothing of it is re-warmed.
    pub(crate) fn of(plan: &Plan, param: &ParamPlan, ramp: Ramp, count: usize) -> Option<Self> {
        let changes = param.grows() || param.is_new();
        if ramp.scope == RewarmupScope::NewCoordinates && !changes {
            return None;
        }
        let extents = (0..param.roles.len()).map(|dim| {
            let size = param.new_shape[dim];
            match ramp.scope {
                RewarmupScope::NewCoordinates if param.is_new() => Extent::uniform(size, false),
                RewarmupScope::NewCoordinates => match plan.kept(param, dim) {
                    Some(kept) => Extent::of(kept),
                    None => Extent::uniform(size, true),
                },
                RewarmupScope::All => Extent::uniform(size, false),
            }
        });
        Some(Self {
            extents: extents.collect(),
            age: 0,
            count,
            start: None,
            ramp,
        })
    }

    /// Tells if the region is about every coordinate of a parameter of `shape` and no other, and
    /// counts as a run can.
    pub(crate) fn fits(&self, shape: &[usize]) -> bool {
        let counts = [self.age, self.count, self.ramp.steps, self.ramp.horizon];
        let mut sizes = self.extents.iter().zip(shape);
        counts.iter().all(|count| *count <= MAX_STEPS)
            && self.extents.len() == shape.len()
            && sizes.all(|(extent, size)| extent.size() == Some(*size))
    }

    /// The region after a later expansion: a copy is as old as what it copies.
    pub(crate) fn expanded(&self, plan: &Plan, param: &ParamPlan) -> Self {
        let mut next = self.clone();
        for (dim, extent) in next.extents.iter_mut().enumerate() {
            if let Some(source) = plan.source(param, dim) {
                let old: Vec<bool> = extent.is_old().collect();
                *extent = Extent::of(source.into_iter().map(|old_index| {
                    // A random coordinate is new in the newest region, whatever it is here.
                    old_index.is_none_or(|index| old[index])
                }));
            }
        }
        next
    }

    /// The learning rate for one more step at base rate `base`.
    pub(crate) fn advance(&mut self, base: LearningRate) -> LearningRate {
        let start = *self.start.get_or_insert(base);
        let rate = self.ramp.step_rate(self.age, self.count, start, base);
        self.age += 1;
        rate
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Rewarmup;

    /// Runs of old and new coordinates, dimension by dimension.
    pub(crate) fn region(runs: &[&[usize]]) -> Region {
        let extents = runs.iter().map(|runs| Extent {
            runs: runs.to_vec(),
        });
        Region {
            extents: extents.collect(),
            age: 0,
            count: 0,
            start: None,
            ramp: Rewarmup::proportional().ramp(0, 1),
        }
    }
}
