use burn_core::module::{Module, ModuleVisitor, Param, ParamId, RunningState};
use burn_core::tensor::Tensor;
use burn_nn::norm::Normalization;
use burn_nn::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};

use super::{Layer, LayerRoles, groups, refuse};
use crate::{Constants, Describer, Role, Term};

/// Gain `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for RmsNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "RmsNorm", describe);
        describe.param(&self.gamma, [roles.gain.clone()]);
    }
}

/// Gain `[gain]`, bias `[gain]`.
#[diagnostic::do_not_recommend]
impl Layer for LayerNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "LayerNorm", describe);
        describe.param(&self.gamma, [roles.gain.clone()]);
        if let Some(beta) = &self.beta {
            describe.param(beta, [roles.gain.clone()]);
        }
    }
}

/// Gain, bias, running mean and running variance `[gain]`: a copied channel has the statistics of the
/// one it copies.
#[diagnostic::do_not_recommend]
impl Layer for BatchNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "BatchNorm", describe);
        let states = [&self.running_mean, &self.running_var].map(as_param);
        for param in [&self.gamma, &self.beta]
            .into_iter()
            .chain(states.iter().flatten())
        {
            describe.param(param, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {
        for state in [&mut self.running_mean, &mut self.running_var] {
            set_apart(state);
        }
    }
}

/// Gain and bias `[gain]`, if affine. Either every group grows, where the channels lie group by group
/// (or are one group), or their number does, where they move in whole groups; `num_groups` follows
/// then.
#[diagnostic::do_not_recommend]
impl Layer for GroupNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "GroupNorm", describe);
        if let Some(role) = &roles.gain {
            let per_group = self.num_channels / self.num_groups;
            if groups::within(role, self.num_groups).is_none() && !groups::whole(role, per_group) {
                refuse(
                    "GroupNorm",
                    groups::advice("gain", role, self.num_groups),
                    describe,
                );
            }
            declare("num_channels", role, self.num_channels, describe);
        }
        for param in [&self.gamma, &self.beta].into_iter().flatten() {
            describe.param(param, [roles.gain.clone()]);
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

/// Gain and bias `[gain]`, if affine: every channel is a group of its own.
#[diagnostic::do_not_recommend]
impl Layer for InstanceNorm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "InstanceNorm", describe);
        if let Some(role) = &roles.gain {
            declare("num_channels", role, self.num_channels, describe);
        }
        for param in [&self.gamma, &self.beta].into_iter().flatten() {
            describe.param(param, [roles.gain.clone()]);
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.gain.as_ref(), &mut self.num_channels);
    }
}

/// What the norm inside has.
#[diagnostic::do_not_recommend]
impl Layer for Normalization {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        match self {
            Self::Batch(norm) => norm.describe(roles, describe),
            Self::Group(norm) => norm.describe(roles, describe),
            Self::Instance(norm) => norm.describe(roles, describe),
            Self::Layer(norm) => norm.describe(roles, describe),
            Self::Rms(norm) => norm.describe(roles, describe),
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

/// Declares the field `name`, which holds the size of what lies on `role`: without parameters nothing
/// else would notice a misspelt axis.
fn declare(name: &str, role: &Role, size: usize, describe: &mut Describer) {
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
        describe.width(name, axis.as_str(), size / unit);
    }
}

/// A running statistic as the parameter that Burn shows of it.
fn as_param(state: &RunningState<Tensor<1>>) -> Option<Param<Tensor<1>>> {
    Some(Param::initialized(identity(state)?, state.value()))
}

/// The identity of a running statistic, which only a visit tells.
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

/// Gives the statistic a value of its own, which Burn lets all clones share.
///
/// An update that waits for the next forward pass is taken in, unless it has another width by now.
fn set_apart(state: &mut RunningState<Tensor<1>>) {
    let value = state.value();
    // Takes waiting updates into the value, whatever thread they come from.
    let _ = state.valid();
    let updated = state.value();
    let value = match updated.dims() == value.dims() {
        true => updated,
        false => value,
    };
    if let Some(id) = identity(state) {
        *state = RunningState::with_id(id, value);
    }
}
