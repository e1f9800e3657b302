use derive_new::new;

use crate::{Axis, Plan};

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

    /// Lets a scalar absorb the fan-in factor of `axis`: the tied output projection (App. D.1).
    pub fn multiplier(&self, axis: &str, value: &mut f64) {
        if let Some(factor) = self
            .plan
            .axis(&Axis::from(axis))
            .and_then(|axis| axis.factor().uniform())
        {
            *value *= factor;
        }
    }
}
