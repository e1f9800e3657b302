//! Recurrent layers. `fan_in` is the input, `fan_out` the hidden state, which the layer makes and, one
//! step later, consumes.

use burn_nn::{BiGru, BiLstm, BiRnn, GateController, Gru, Lstm, Rnn};

use super::activation::describe_activation;
use super::{Layer, LayerRoles, kind};
use crate::{Constants, Describe, RoleKind};

const SIDES: [&str; 2] = ["fan_in", "fan_out"];

/// The same sides, but the output multiplies another one.
fn gated(roles: &LayerRoles) -> LayerRoles {
    LayerRoles {
        fan_out: kind(roles.fan_out.as_ref(), RoleKind::Gate),
        ..roles.clone()
    }
}

/// Input weight `[fan_in, fan_out]`, hidden weight `[fan_out, fan_out]`, biases `[fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for GateController {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&SIDES, "GateController", describe);
        let hidden = LayerRoles {
            fan_in: kind(roles.fan_out.as_ref(), RoleKind::FanIn),
            ..roles.clone()
        };
        describe.layer("input_transform", &self.input_transform, roles);
        describe.layer("hidden_transform", &self.hidden_transform, &hidden);
    }
}

/// One gate controller.
#[diagnostic::do_not_recommend]
impl Layer for Rnn {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&SIDES, "Rnn", describe);
        let hidden = roles.fan_out.as_ref();
        describe.layer("gate", &self.gate, roles);
        describe_activation(
            "hidden_activation",
            &self.hidden_activation,
            hidden,
            describe,
        );
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.fan_out.as_ref(), &mut self.d_hidden);
    }
}

/// Four gate controllers. Input, forget and output gate multiply the cell, so they are gates: copied
/// where the cell gate starts from zero, so that a silent unit keeps its time constants.
#[diagnostic::do_not_recommend]
impl Layer for Lstm {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&SIDES, "Lstm", describe);
        let hidden = roles.fan_out.as_ref();
        let gate = gated(roles);
        describe.layer("input_gate", &self.input_gate, &gate);
        describe.layer("forget_gate", &self.forget_gate, &gate);
        describe.layer("output_gate", &self.output_gate, &gate);
        describe.layer("cell_gate", &self.cell_gate, roles);
        describe_activation("gate_activation", &self.gate_activation, hidden, describe);
        describe_activation("cell_activation", &self.cell_activation, hidden, describe);
        describe_activation(
            "hidden_activation",
            &self.hidden_activation,
            hidden,
            describe,
        );
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.fan_out.as_ref(), &mut self.d_hidden);
    }
}

/// Three gate controllers. Update and reset gate multiply the candidate, so they are gates.
#[diagnostic::do_not_recommend]
impl Layer for Gru {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
        roles.only(&SIDES, "Gru", describe);
        let hidden = roles.fan_out.as_ref();
        let gate = gated(roles);
        describe.layer("update_gate", &self.update_gate, &gate);
        describe.layer("reset_gate", &self.reset_gate, &gate);
        describe.layer("new_gate", &self.new_gate, roles);
        describe_activation("gate_activation", &self.gate_activation, hidden, describe);
        describe_activation(
            "hidden_activation",
            &self.hidden_activation,
            hidden,
            describe,
        );
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.fan_out.as_ref(), &mut self.d_hidden);
    }
}

macro_rules! bidirectional {
    ($($layer:ident),+) => {
        $(
            /// Two layers of one hidden size. The output is one behind the other, so that what reads it
            /// takes `fan_in("axis", groups = 2)`.
            #[diagnostic::do_not_recommend]
            impl Layer for $layer {
                fn describe(&self, roles: &LayerRoles, describe: &mut Describe) {
                    roles.only(&SIDES, stringify!($layer), describe);
                    describe.layer("forward", &self.forward, roles);
                    describe.layer("reverse", &self.reverse, roles);
                }

                fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
                    self.forward.update_constants(roles, constants);
                    self.reverse.update_constants(roles, constants);
                    constants.size(roles.fan_out.as_ref(), &mut self.d_hidden);
                }
            }
        )+
    };
}

bidirectional!(BiRnn, BiLstm, BiGru);
