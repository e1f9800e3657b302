//! Copies that nothing will tell apart.

use core::fmt;
use std::collections::{BTreeSet, HashMap};

use burn_core::module::Module;
use burn_grow_core::Plan;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{AxisPlan, Fill, ParamPlan};
use burn_optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::param_ids::param_ids;
use crate::policy::power;
use crate::record::RawRecord;
use crate::{OptimError, Ramp, StateRules};

/// Warning of an expansion under which copies stay equal to their units, step by step: the symmetry
/// lock (Eq. 20-23). The wide model then learns what the narrow one would have.
///
/// Their weights are equal, so are their optimizer states, and they move at the same rate. That is
/// so under plain SGD and under every optimizer without a state, before the first step, and where
/// the state is copied or dropped, unless a re-warmup has a peak other than 1. Chance inside of the
/// model, as in dropout, tells copies apart all the same and is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedCopies {
    /// The axes of the copies.
    pub axes: Vec<Axis>,
}

impl fmt::Display for LockedCopies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes: Vec<String> = self.axes.iter().map(|axis| format!("`{axis}`")).collect();
        write!(
            f,
            "nothing tells the copies along {} from their units, so they stay equal: re-warm new \
             coordinates with a `rho` above 1, take an optimizer with a state and keep it for old \
             coordinates only, or take a random side of the init pair",
            axes.join(", ")
        )
    }
}

/// Tells if an expansion of `optim` with these settings leaves copies locked to their units:
/// [`expand_optimizer`](crate::expand_optimizer) takes the same settings. Nothing is changed.
///
/// It depends on the state that `optim` has. Before the first step it has none.
///
/// # Errors
///
/// Those of `expand_optimizer` about plan, rules and state.
pub fn locked_copies<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    plan: &Plan,
    rules: impl Into<StateRules>,
    rewarmup: Option<Ramp>,
) -> Result<Option<LockedCopies>, OptimError> {
    if plan.is_identity() {
        return Ok(None);
    }
    RawRecord::of(optim)?.expand(&param_ids(model), plan, &rules.into(), rewarmup)
}

/// Finds the copies that `tensors`, the state before the expansion, and the rates after it will not
/// tell apart.
pub(crate) fn locked(
    tensors: &[burn_pack::Tensor],
    params: &HashMap<u64, &ParamPlan>,
    plan: &Plan,
    rules: &StateRules,
    rewarmup: Option<&Ramp>,
) -> Option<LockedCopies> {
    if rewarmup.is_some_and(Ramp::moves_copies_apart) {
        return None;
    }
    let mut axes: BTreeSet<&Axis> = plan.copied_axes().into_iter().collect();
    for tensor in tensors {
        let Some(param) = tensor.param_id.and_then(|id| params.get(&id)) else {
            continue;
        };
        let rule = rules.of(plan, param);
        // A copy of the parameter starts again from it.
        if rule.drops() || power(&tensor.name) == Some(0) {
            continue;
        }
        for (dim, role) in param.roles.iter().enumerate() {
            // A dimension that the state reduces has no coordinates.
            if tensor.shape.get(dim) != param.old_shape.get(dim) {
                continue;
            }
            for axis in role.iter().flat_map(|role| role.axes()) {
                let grows = plan.axis(axis).is_some_and(AxisPlan::grows);
                if grows && rule.fill(axis) == Fill::Zero {
                    axes.remove(axis);
                }
            }
        }
    }
    let axes: Vec<Axis> = axes.into_iter().cloned().collect();
    (!axes.is_empty()).then_some(LockedCopies { axes })
}
