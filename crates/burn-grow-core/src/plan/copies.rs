//! Copies that equal their unit in everything a plan writes.

use std::collections::BTreeSet;

use super::axis_plan::{AxisPlan, Origin};
use super::model::Plan;
use crate::describe::axis::Axis;
use crate::describe::role::RoleKind;

impl Plan {
    /// Lists the grown axes on which a new unit is, in every parameter, a copy of an old one: it
    /// computes what its unit computes, is read as that is, and has its gradient. Training only
    /// tells the two apart if the optimizer does, or the model itself by chance, as dropout does.
    ///
    /// A random or zero side of the init pair, the noise of a baseline and consumers that are split
    /// unevenly make units that are no such copies.
    pub fn copied_axes(&self) -> Vec<&Axis> {
        let grown = self.axes.iter().filter(|(_, planned)| planned.grows());
        let copied = grown.filter(|(axis, planned)| {
            let kinds = self.kinds(axis);
            // Noise is of producers and consumers.
            let heard = !kinds.is_subset(&BTreeSet::from([RoleKind::Gain, RoleKind::Vocab]));
            let noisy = heard && planned.noise().is_some_and(|noise| noise.size() != 0.0);
            !noisy && !kinds.is_empty() && planned.has_copies(&kinds)
        });
        copied.map(|(axis, _)| axis).collect()
    }

    /// What the parameters do with `axis`.
    pub(super) fn kinds(&self, axis: &Axis) -> BTreeSet<RoleKind> {
        let roles = self.params().iter().flat_map(|param| &param.roles);
        let kinds = roles.flatten().flat_map(|role| role.kinds_on(axis));
        kinds.collect()
    }
}

impl AxisPlan {
    /// Tells if some new unit equals its old one under all of `kinds`.
    fn has_copies(&self, kinds: &BTreeSet<RoleKind>) -> bool {
        let origins: Vec<Vec<Origin>> = kinds.iter().map(|kind| self.origins(*kind)).collect();
        let read = kinds.contains(&RoleKind::FanIn);
        let alike =
            |unit: usize, other: usize| !read || self.factor().of(unit) == self.factor().of(other);
        (0..self.new_width()).any(|unit| {
            origins.iter().all(|origins| match origins[unit] {
                Origin::Like(root) => matches!(origins[root], Origin::Kept(_)) && alike(unit, root),
                Origin::Kept(_) | Origin::Random | Origin::Zero => false,
            })
        })
    }
}
