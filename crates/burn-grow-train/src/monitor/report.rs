//! What an expansion did.

use std::time::Duration;

use burn_grow_core::Plan;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{BlockContent, Factor, Method};
use burn_grow_optim::{LockedCopies, StateRules};
use serde::{Deserialize, Serialize};

use crate::{At, Position};

/// Report of an expansion, handed to the
/// [`on_expand`](crate::WidthExpansionBuilder::on_expand) hooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpansionReport {
    /// The expansion, counted from 0.
    pub stage: usize,
    /// The number of optimizer steps before it.
    pub step: usize,
    /// The trigger that fired.
    #[serde(default)]
    pub trigger: String,
    /// The axes named by the expansion.
    pub axes: Vec<AxisReport>,
    /// The policy of the optimizer state.
    #[serde(default)]
    pub state: StateRules,
    /// The number of parameters, before and after.
    pub params: (usize, usize),
    /// The number of parameters that take part in one token, before and after.
    pub active_params: (f64, f64),
    /// The copies that nothing will tell from their units, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<LockedCopies>,
    /// The time that expanding model and optimizer took.
    pub elapsed: Duration,
}

/// Report of one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisReport {
    /// The axis that was named.
    pub axis: Axis,
    /// The number of units before.
    pub old_width: usize,
    /// The number of units after.
    pub new_width: usize,
    /// The factor that its consumers were multiplied with. `None` if nothing reads the axis, as
    /// with experts, or it stayed as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Factor>,
    /// The method that filled its new coordinates.
    #[serde(default)]
    pub method: Method,
    /// What its new units hold, if they are the blocks of a stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockContent>,
}

impl ExpansionReport {
    pub(crate) fn new(
        position: Position,
        trigger: &At,
        plan: &Plan,
        state: &StateRules,
        locked: Option<LockedCopies>,
        elapsed: Duration,
    ) -> Self {
        let axes = plan.axes().iter().map(|(axis, planned)| AxisReport {
            axis: axis.clone(),
            old_width: planned.old_width(),
            new_width: planned.new_width(),
            factor: plan.applied_factor(axis).cloned(),
            method: planned.method(),
            blocks: planned.blocks(),
        });
        Self {
            stage: position.stage,
            step: position.step,
            trigger: trigger.to_string(),
            axes: axes.collect(),
            state: state.clone(),
            params: plan.num_params(),
            active_params: plan.active_params(),
            locked,
            elapsed,
        }
    }
}

impl core::fmt::Display for ExpansionReport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "expansion {} after step {} ({}):",
            self.stage, self.step, self.trigger
        )?;
        for axis in &self.axes {
            write!(f, " {} {} -> {}", axis.axis, axis.old_width, axis.new_width)?;
            if let Some(factor) = &axis.factor {
                write!(f, " (factor {factor})")?;
            }
            f.write_str(",")?;
        }
        write!(
            f,
            " parameters {} -> {}, active {:.0} -> {:.0}, in {:.1?}",
            self.params.0, self.params.1, self.active_params.0, self.active_params.1, self.elapsed
        )?;
        match &self.locked {
            Some(locked) => write!(f, "; {locked}"),
            None => Ok(()),
        }
    }
}
