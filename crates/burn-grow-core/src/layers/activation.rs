use burn_nn::activation::Activation;
use burn_nn::{PRelu, SwiGlu};

use super::{Layer, LayerRoles, kind};
use crate::{Constants, Describer, Role, RoleKind};

/// Slope `[gain]`; a single slope is shared by every unit and never grows.
#[diagnostic::do_not_recommend]
impl Layer for PRelu {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["gain"], "PRelu", describe);
        let shared = self.alpha.dims() == [1];
        let role = roles.gain.clone().filter(|_| !shared);
        describe.param(&self.alpha, [role]);
    }
}

/// Two linear layers, `[fan_in, fan_out]` each: `linear_inner` is the gate, `linear_outer` what it
/// multiplies.
#[diagnostic::do_not_recommend]
impl Layer for SwiGlu {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        roles.only(&["fan_in", "fan_out"], "SwiGlu", describe);
        let gate = LayerRoles {
            fan_out: kind(roles.fan_out.as_ref(), RoleKind::Gate),
            ..roles.clone()
        };
        describe.layer("linear_inner", &self.linear_inner, &gate);
        describe.layer("linear_outer", &self.linear_outer, roles);
    }
}

/// What the activation inside has: the `gain` of a `PRelu`, the `fan_in` and `fan_out` of a `SwiGlu`.
/// The others have no parameters, whatever the attribute names.
#[diagnostic::do_not_recommend]
impl Layer for Activation {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        match self {
            Self::PRelu(layer) => layer.describe(roles, describe),
            Self::SwiGlu(layer) => layer.describe(roles, describe),
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
    describe: &mut Describer,
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
    describe.layer(name, activation, &roles);
}
