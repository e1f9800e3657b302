use derive_new::new;

use crate::{Axis, AxisPlan, Plan, Role};

/// The constants of an expanded module, rewritten in place by
/// [`Growable::update_constants`](crate::Growable::update_constants).
///
/// Burn's records hold no constants, so replaying the plan is what restores them on resume.
#[derive(new)]
#[new(visibility = "pub(crate)")]
pub struct Constants<'a> {
    plan: &'a Plan,
}

impl Constants<'_> {
    /// Sets a field that stores the width of `axis`.
    pub fn width(&self, axis: &str, value: &mut usize) {
        if let Some(axis) = self.plan.axis(&Axis::from(axis)) {
            *value = axis.new_width();
        }
    }

    /// Sets a field that stores the size of a dimension that plays `role`.
    pub fn size(&self, role: Option<&Role>, value: &mut usize) {
        if let Some(role) = role {
            *value = role.size(|axis| match self.plan.axis(axis) {
                Some(planned) => planned.new_width(),
                None => self.plan.width(axis),
            });
        }
    }

    /// Lets a scalar absorb the fan-in factor of `axis`: the tied output projection (App. D.1).
    pub fn multiplier(&self, axis: &str, value: &mut f64) {
        let planned = self.plan.axis(&Axis::from(axis));
        if let Some(factor) = planned.and_then(AxisPlan::tied_factor) {
            *value *= factor;
        }
    }
}
