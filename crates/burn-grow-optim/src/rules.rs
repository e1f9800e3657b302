use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Module, ParamGroup, ParamId};
use burn_grow_core::Plan;
use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{AxisPlan, Fill, ParamPlan};
use serde::{Deserialize, Serialize};

use crate::param_ids::param_ids;
use crate::{BiasCorrection, OptimError, RewarmupScope, StatePolicy};

/// [`StatePolicy`] of the optimizer state, by axis and by group of parameters. A policy alone is
/// the rule for everything.
///
/// A parameter follows the last group that matches it. Without a group, it follows the policy of
/// each axis that it grows along, or the default. If axes of several policies meet in one
/// parameter:
///
/// - new coordinates along an axis follow that axis. A coordinate that is new along several axes
///   starts from zero if one of them says so, else it is copied;
/// - an axis that scales multiplies the state by its own factors only;
/// - if any axis drops, the state of the whole parameter starts from zero.
///
/// A parameter in a new block of a stack is new along the axis of the stack: it has no state, as a
/// parameter that was just made, unless all such axes copy or scale.
///
/// ```
/// # use burn_core::module::ParamGroup;
/// # use burn_grow_optim::{StatePolicy, StateRules};
/// let rules = StateRules::from(StatePolicy::KeepAndZero)
///     .on("experts", StatePolicy::CopyAll)
///     .with_group(ParamGroup::from_predicate("router"), StatePolicy::DropAll);
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct StateRules {
    /// The policy of everything without an exception.
    pub policy: StatePolicy,
    /// The axes that follow another policy.
    pub axes: BTreeMap<Axis, StatePolicy>,
    /// The groups of parameters that follow another policy. The last group that matches counts, as
    /// in Burn's optimizers.
    pub groups: Vec<(ParamGroup, StatePolicy)>,
}

impl From<StatePolicy> for StateRules {
    fn from(policy: StatePolicy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }
}

/// Compares groups as they are printed, because Burn's cannot be compared.
impl PartialEq for StateRules {
    fn eq(&self, other: &Self) -> bool {
        let groups = |rules: &Self| format!("{:?}", rules.groups);
        (self.policy, &self.axes, groups(self)) == (other.policy, &other.axes, groups(other))
    }
}

impl StateRules {
    /// Sets the policy of `axis`.
    pub fn on(mut self, axis: impl Into<Axis>, policy: StatePolicy) -> Self {
        self.axes.insert(axis.into(), policy);
        self
    }

    /// Sets the policy of the parameters of `group`, whatever they grow along.
    pub fn with_group(mut self, group: ParamGroup, policy: StatePolicy) -> Self {
        self.groups.push((group, policy));
        self
    }

    /// Resolves the rules for a run of `plans` that begins with `model`: every group becomes the
    /// list of paths that it matches there. Identities change when a run is resumed, paths do not.
    ///
    /// # Errors
    ///
    /// When an axis has a rule and no plan names it, or a group matches no parameter.
    pub fn resolve<M: Module>(&self, model: &M, plans: &[Plan]) -> Result<Self, OptimError> {
        let named = |axis: &Axis| plans.iter().any(|plan| plan.axis(axis).is_some());
        self.resolved(&param_ids(model), named)
    }

    /// As [`resolve`](Self::resolve), with the identities of the parameters by path. `named` tells
    /// if an axis can have a rule.
    pub(crate) fn resolved(
        &self,
        ids: &HashMap<String, u64>,
        named: impl Fn(&Axis) -> bool,
    ) -> Result<Self, OptimError> {
        if let Some(axis) = self.axes.keys().find(|axis| !named(axis)) {
            return Err(OptimError::UnusedAxis { axis: axis.clone() });
        }
        let groups = self.groups.iter().map(|(group, policy)| {
            let matched = ids
                .iter()
                .filter(|(path, id)| group.matches(&ParamId::from(**id), Some(path)));
            let mut paths: Vec<&str> = matched.map(|(path, _)| path.as_str()).collect();
            paths.sort_unstable();
            if paths.is_empty() {
                let group = format!("{group:?}");
                return Err(OptimError::UnusedGroup { group });
            }
            Ok((ParamGroup::from_paths(paths), *policy))
        });
        Ok(Self {
            policy: self.policy,
            axes: self.axes.clone(),
            groups: groups.collect::<Result<_, _>>()?,
        })
    }

    /// Checks that new coordinates of `scope` can have this bias correction in an expansion by
    /// `plan`.
    ///
    /// # Errors
    ///
    /// When it restarts and the state of some new coordinates does not start from zero. Names the
    /// first such parameter.
    #[doc(hidden)]
    pub fn check_bias_correction(
        &self,
        bias_correction: BiasCorrection,
        scope: RewarmupScope,
        plan: &Plan,
    ) -> Result<(), OptimError> {
        for param in plan.params() {
            for policy in self.of(plan, param).along.into_values() {
                bias_correction.check(&param.path, scope, policy)?;
            }
        }
        Ok(())
    }

    /// The rule of one parameter, of rules already [`resolved`](Self::resolved).
    pub(crate) fn of(&self, plan: &Plan, param: &ParamPlan) -> ParamRule {
        // Resolved groups match by path alone.
        let matches = |group: &ParamGroup| group.matches(&ParamId::from(0), Some(&param.path));
        let mut groups = self.groups.iter().rev();
        let group = groups.find(|(group, _)| matches(group));
        let group = group.map(|(_, policy)| *policy);
        let of_axis = |axis| self.axes.get(axis).copied().unwrap_or(self.policy);
        let grown = param
            .axes()
            .filter(|axis| plan.axis(axis).is_some_and(AxisPlan::grows));
        ParamRule {
            along: grown
                .map(|axis| (axis.clone(), group.unwrap_or_else(|| of_axis(axis))))
                .collect(),
            rest: group.unwrap_or(self.policy),
        }
    }
}

/// The rule for the state of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParamRule {
    /// The policy of every axis that it grows along.
    along: BTreeMap<Axis, StatePolicy>,
    /// The policy if it grows along no axis.
    rest: StatePolicy,
}

impl ParamRule {
    /// Tells if all of it starts from zero.
    pub(crate) fn drops(&self) -> bool {
        if self.along.is_empty() {
            self.rest == StatePolicy::DropAll
        } else {
            self.has(StatePolicy::DropAll)
        }
    }

    /// Tells if a parameter in a new block of a stack has the state of its source.
    pub(crate) fn copies_blocks(&self, param: &ParamPlan) -> bool {
        let copies = |policy: Option<&StatePolicy>| {
            matches!(policy, Some(StatePolicy::CopyAll | StatePolicy::Scale))
        };
        !self.drops() && param.new_axes().all(|axis| copies(self.along.get(axis)))
    }

    /// Tells if it is multiplied by factors.
    pub(crate) fn scales(&self) -> bool {
        !self.drops() && self.has(StatePolicy::Scale)
    }

    /// The state of the new units of `axis`.
    pub(crate) fn fill(&self, axis: &Axis) -> Fill {
        match self.along.get(axis) {
            Some(StatePolicy::CopyAll) => Fill::Copy,
            Some(StatePolicy::Scale) => Fill::Scale,
            Some(StatePolicy::KeepAndZero | StatePolicy::DropAll) | None => Fill::Zero,
        }
    }

    fn has(&self, policy: StatePolicy) -> bool {
        self.along.values().any(|other| *other == policy)
    }
}

/// Serialized form of the rules: one policy, or one with its exceptions.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Policy(StatePolicy),
    Rules {
        #[serde(default)]
        policy: StatePolicy,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        axes: BTreeMap<Axis, StatePolicy>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<(ParamGroup, StatePolicy)>,
    },
}

impl From<Written> for StateRules {
    fn from(written: Written) -> Self {
        match written {
            Written::Policy(policy) => policy.into(),
            Written::Rules {
                policy,
                axes,
                groups,
            } => Self {
                policy,
                axes,
                groups,
            },
        }
    }
}

impl From<StateRules> for Written {
    fn from(rules: StateRules) -> Self {
        let StateRules {
            policy,
            axes,
            groups,
        } = rules;
        if axes.is_empty() && groups.is_empty() {
            Self::Policy(policy)
        } else {
            Self::Rules {
                policy,
                axes,
                groups,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_one_policy_where_they_are_one() -> Result<(), serde_json::Error> {
        let group = ParamGroup::from_predicate("router");
        let rules = StateRules::from(StatePolicy::CopyAll);
        assert_eq!(serde_json::to_string(&rules)?, r#""copy-all""#);
        let rules = rules
            .on("inner", StatePolicy::Scale)
            .with_group(group, StatePolicy::DropAll);
        let written = serde_json::to_string(&rules)?;
        assert!(
            written.starts_with(r#"{"policy":"copy-all","axes":{"inner":"scale"},"groups":[["#),
            "{written}"
        );
        for rules in [StatePolicy::DropAll.into(), rules.clone()] {
            let written = serde_json::to_string(&rules)?;
            assert_eq!(serde_json::from_str::<StateRules>(&written)?, rules);
        }
        let misspelt = serde_json::from_str::<StateRules>(r#"{"axis":{"inner":"copy-all"}}"#);
        assert!(misspelt.is_err());
        let other = ParamGroup::from_predicate("head");
        let other = rules.clone().with_group(other, StatePolicy::DropAll);
        assert_ne!(other, rules);
        Ok(())
    }
}
