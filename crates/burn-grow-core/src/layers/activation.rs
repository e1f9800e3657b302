//! Activations with parameters.

use burn_nn::activation::Activation;
use burn_nn::{PRelu, SwiGlu};

use super::shared::kind;
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::role::{Role, RoleKind};

/// Slope `[gain]`. A single slope, shared by all units, never grows.
#[diagnostic::do_not_recommend]
impl Layer for PRelu {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["gain"], "PRelu", describer);
        let shared = self.alpha.dims() == [1];
        let role = roles.gain.clone().filter(|_| !shared);
        describer.param(&self.alpha, [role]);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Two linear layers, `[fan_in, fan_out]` each: `linear_inner` is the gate and multiplies
/// `linear_outer`.
#[diagnostic::do_not_recommend]
impl Layer for SwiGlu {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&["fan_in", "fan_out"], "SwiGlu", describer);
        let gate = LayerRoles {
            fan_out: kind(roles.fan_out.as_ref(), RoleKind::Gate),
            ..roles.clone()
        };
        describer.layer("linear_inner", &self.linear_inner, &gate);
        describer.layer("linear_outer", &self.linear_outer, roles);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Roles of the activation inside: the `gain` of a `PRelu`, the `fan_in` and `fan_out` of a
/// `SwiGlu`. Other activations have no parameters and ignore the roles.
#[diagnostic::do_not_recommend]
impl Layer for Activation {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        match self {
            Self::PRelu(layer) => layer.describe(roles, describer),
            Self::SwiGlu(layer) => layer.describe(roles, describer),
            _ => {}
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        match self {
            Self::PRelu(layer) => layer.update_constants(roles, constants),
            Self::SwiGlu(layer) => layer.update_constants(roles, constants),
            _ => {}
        }
    }
}

/// Describes an activation that reads and writes the units of one axis.
pub(super) fn describe_activation(
    name: &str,
    activation: &Activation,
    units: Option<&Role>,
    describer: &mut Describer,
) {
    let roles = match activation {
        Activation::SwiGlu(_) => LayerRoles {
            fan_in: kind(units, RoleKind::FanIn),
            fan_out: kind(units, RoleKind::FanOut),
            ..LayerRoles::default()
        },
        _ => LayerRoles {
            gain: kind(units, RoleKind::Gain),
            ..LayerRoles::default()
        },
    };
    describer.layer(name, activation, &roles);
}
