//! Norms, with their gains, biases and running statistics.

use burn_core::module::{Module, ModuleVisitor, Param, ParamId, RunningState};
use burn_core::tensor::Tensor;
use burn_nn::norm::Normalization;
use burn_nn::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};

use super::groups;
use super::shared::reject;
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::layout::Term;
use crate::describe::role::Role;

/// Gain `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for RmsNorm {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "RmsNorm", describer);
        describer.param(&self.gamma, [roles.gain.clone()]);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Gain `[gain]`, bias `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for LayerNorm {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "LayerNorm", describer);
        describer.param(&self.gamma, [roles.gain.clone()]);
        if let Some(beta) = &self.beta {
            describer.param(beta, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Gain, bias, running mean and running variance `[gain]`. A copied channel has the statistics of
/// its source.
#[diagnostic::do_not_recommend]
impl Layer for BatchNorm {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "BatchNorm", describer);
        let states = [&self.running_mean, &self.running_var].map(as_param);
        for param in [&self.gamma, &self.beta]
            .into_iter()
            .chain(states.iter().flatten())
        {
            describer.param(param, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, _roles: &LayerRoles, constants: &Constants<'_>) {
        for state in [&mut self.running_mean, &mut self.running_var] {
            set_apart(state, constants);
        }
    }
}

/// Gain and bias `[gain]`, if affine. Where the channels lie group by group, or in one group, every
/// group grows. Where they move in whole groups, groups are added and `num_groups` is updated.
#[diagnostic::do_not_recommend]
impl Layer for GroupNorm {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "GroupNorm", describer);
        if let Some(role) = roles.gain.as_ref().filter(|role| role.grows()) {
            let per_group = self.num_channels / self.num_groups;
            if groups::within(role, self.num_groups).is_none() && !groups::whole(role, per_group) {
                reject(
                    "GroupNorm",
                    groups::advice("gain", role, self.num_groups),
                    describer,
                );
            }
            declare("num_channels", role, self.num_channels, describer);
        }
        for param in [&self.gamma, &self.beta].into_iter().flatten() {
            describer.param(param, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        let Some(role) = &roles.gain else {
            return;
        };
        let per_group = self.num_channels / self.num_groups;
        constants.size(Some(role), &mut self.num_channels);
        if groups::within(role, self.num_groups).is_none() {
            self.num_groups = self.num_channels / per_group;
        }
    }
}

/// Gain and bias `[gain]`, if affine. Every channel is a group of its own.
#[diagnostic::do_not_recommend]
impl Layer for InstanceNorm {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "InstanceNorm", describer);
        if let Some(role) = &roles.gain {
            declare("num_channels", role, self.num_channels, describer);
        }
        for param in [&self.gamma, &self.beta].into_iter().flatten() {
            describer.param(param, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.gain.as_ref(), &mut self.num_channels);
    }
}

/// Roles of the norm inside.
#[diagnostic::do_not_recommend]
impl Layer for Normalization {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        match self {
            Self::Batch(norm) => norm.describe(roles, describer),
            Self::Group(norm) => norm.describe(roles, describer),
            Self::Instance(norm) => norm.describe(roles, describer),
            Self::Layer(norm) => norm.describe(roles, describer),
            Self::Rms(norm) => norm.describe(roles, describer),
            _ => {}
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        match self {
            Self::Batch(norm) => norm.update_constants(roles, constants),
            Self::Group(norm) => norm.update_constants(roles, constants),
            Self::Instance(norm) => norm.update_constants(roles, constants),
            Self::Layer(norm) => norm.update_constants(roles, constants),
            Self::Rms(norm) => norm.update_constants(roles, constants),
            _ => {}
        }
    }
}

/// Declares the field `name`, which holds the size of a dimension with this role. A norm without
/// parameters has nothing else that would reveal a misspelled axis.
fn declare(name: &str, role: &Role, size: usize, describer: &mut Describer) {
    let [part] = role.parts.as_slice() else {
        return;
    };
    let unit: usize = part
        .terms
        .iter()
        .map(|term| match term {
            Term::Fixed(size) => *size,
            Term::Axis(_) => 1,
        })
        .product();
    let mut axes = part.axes();
    if let (Some(axis), None) = (axes.next(), axes.next())
        && unit > 0
        && size.is_multiple_of(unit)
    {
        describer.width(name, axis.as_str(), size / unit);
    }
}

/// Converts a running statistic to the parameter that Burn shows of it.
fn as_param(state: &RunningState<Tensor<1>>) -> Option<Param<Tensor<1>>> {
    Some(Param::initialized(identity(state)?, state.value()))
}

/// Finds the identity of a running statistic, which only a visit tells.
fn identity(state: &RunningState<Tensor<1>>) -> Option<ParamId> {
    struct Identity(Option<ParamId>);
    impl ModuleVisitor for Identity {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 = Some(param.id);
        }
    }
    let mut identity = Identity(None);
    state.visit(&mut identity);
    identity.0
}

/// Gives the statistic a value of its own, and in a new block an identity of its own. Burn shares both
/// between all clones of a model.
///
/// A pending update is applied unless it has another width by now.
fn set_apart(state: &mut RunningState<Tensor<1>>, constants: &Constants<'_>) {
    let value = state.value();
    // Applies pending updates to the value, whatever thread they come from.
    let _ = state.valid();
    let updated = state.value();
    let value = if updated.dims() == value.dims() {
        updated
    } else {
        value
    };
    if let Some(id) = identity(state) {
        *state = RunningState::with_id(constants.descendant(id), value);
    }
}
