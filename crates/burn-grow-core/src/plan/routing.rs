//! What a plan does to the choice that every token makes among the units of an axis.

use core::fmt;

use super::model::Plan;
use super::param::ParamPlan;
use super::scaling::counts;
use crate::describe::axis::Axis;

/// A change of how many units of an axis take part in one token, which changes the function.
///
/// `whole` units, such as experts, of which `part`, such as `top_k`, are chosen for a token. An
/// expansion keeps the function where both are multiplied by the same whole number `m`: every copy
/// has `1 / m` of the weight of its unit, and all `m` copies of a chosen unit are chosen. Under any
/// other growth some copies of a chosen unit are left out, or other units are chosen beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingChange {
    /// The axis whose units are chosen.
    pub whole: Axis,
    /// The axis that counts those that are.
    pub part: Axis,
    /// The units chosen and all units, before.
    pub old: (usize, usize),
    /// The units chosen and all units, after.
    pub new: (usize, usize),
}

impl fmt::Display for RoutingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, part, .. } = self;
        let ((old_part, old_whole), (new_part, new_whole)) = (self.old, self.new);
        write!(
            f,
            "changes the function: {part} of {whole} {old_part} of {old_whole} -> {new_part} of \
             {new_whole}, kept only where both grow by one whole multiple, copied evenly"
        )
    }
}

impl Plan {
    /// Lists the choices among the units of an axis that the expansion changes, and the function of
    /// the model with them. No factor can make up for that: which share of a unit is lost depends
    /// on the token.
    ///
    /// Knows the choices that parameters declare as their active fraction: one axis that counts,
    /// divided by one that they lie on.
    pub fn routing_changes(&self) -> Vec<RoutingChange> {
        let mut changes = Vec::new();
        for param in self.params() {
            for change in self.choices(param) {
                if !self.keeps_choice(&change) && !changes.contains(&change) {
                    changes.push(change);
                }
            }
        }
        changes
    }

    /// The choices whose ratio of widths is the active fraction of `param`, before and after.
    fn choices(&self, param: &ParamPlan) -> Vec<RoutingChange> {
        let mut choices = Vec::new();
        for whole in param.roles.iter().flatten().flat_map(|role| role.axes()) {
            let wholes = self.old_and_new(whole);
            for part in self
                .widths()
                .keys()
                .filter(|axis| self.kinds(axis).is_empty() && !self.is_stack(axis))
            {
                let parts = self.old_and_new(part);
                let ratio = |part: usize, whole: usize| part as f64 / whole as f64;
                if param.active == (ratio(parts.0, wholes.0), ratio(parts.1, wholes.1)) {
                    choices.push(RoutingChange {
                        whole: whole.clone(),
                        part: part.clone(),
                        old: (parts.0, wholes.0),
                        new: (parts.1, wholes.1),
                    });
                }
            }
        }
        choices
    }

    /// Tells if all copies of a chosen unit are chosen, and nothing else.
    fn keeps_choice(&self, change: &RoutingChange) -> bool {
        let ((old_part, old_whole), (new_part, new_whole)) = (change.old, change.new);
        let times = new_whole / old_whole;
        let even = match self.axis(&change.whole) {
            Some(planned) => counts(planned.source(), old_whole)
                .iter()
                .all(|count| *count == times),
            None => true,
        };
        even && new_part == times * old_part
    }

    fn old_and_new(&self, axis: &Axis) -> (usize, usize) {
        let old = self.width(axis);
        let planned = self.axis(axis);
        (old, planned.map_or(old, |planned| planned.new_width()))
    }
}
