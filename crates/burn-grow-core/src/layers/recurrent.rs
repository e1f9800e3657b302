//! Recurrent layers. `fan_in` is the input, `fan_out` the hidden state, which the layer makes and
//! consumes one step later.

use burn_nn::{BiGru, BiLstm, BiRnn, GateController, Gru, Lstm, Rnn};

use super::activation::describe_activation;
use super::shared::kind;
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::role::RoleKind;

const SIDES: [&str; 2] = ["fan_in", "fan_out"];

/// Makes the output side a gate.
fn gated(roles: &LayerRoles) -> LayerRoles {
    LayerRoles {
        fan_out: kind(roles.fan_out.as_ref(), RoleKind::Gate),
        ..roles.clone()
    }
}

/// Input weight `[fan_in, fan_out]`, hidden weight `[fan_out, fan_out]`, biases `[fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for GateController {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        roles.only(&SIDES, "GateController", describer);
        let hidden = LayerRoles {
            fan_in: kind(roles.fan_out.as_ref(), RoleKind::FanIn),
            ..roles.clone()
        };
        describer.layer("input_transform", &self.input_transform, roles);
        describer.layer("hidden_transform", &self.hidden_transform, &hidden);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Implements `Layer` for layers of gate controllers: the controllers that multiply another one
/// (`gates`), the others, and the activations.
macro_rules! recurrent {
    ($($(#[$doc:meta])* $layer:ident {
        gates: [$($gate:ident),*],
        others: [$($other:ident),*],
        activations: [$($activation:ident),*],
    })+) => {
        $(
            $(#[$doc])*
            #[diagnostic::do_not_recommend]
            impl Layer for $layer {
                fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
                    roles.only(&SIDES, stringify!($layer), describer);
                    let hidden = roles.fan_out.as_ref();
                    $(describer.layer(stringify!($gate), &self.$gate, &gated(roles));)*
                    $(describer.layer(stringify!($other), &self.$other, roles);)*
                    $(describe_activation(
                        stringify!($activation),
                        &self.$activation,
                        hidden,
                        describer,
                    );)*
                }

                fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
                    constants.size(roles.fan_out.as_ref(), &mut self.d_hidden);
                }
            }
        )+
    };
}

recurrent! {
    /// One gate controller.
    Rnn {
        gates: [],
        others: [gate],
        activations: [hidden_activation],
    }
    /// Four gate controllers. Input, forget and output gate multiply the cell, so they are gates.
    /// They are copied where the cell gate starts from zero: a silent unit keeps its time
    /// constants.
    Lstm {
        gates: [input_gate, forget_gate, output_gate],
        others: [cell_gate],
        activations: [gate_activation, cell_activation, hidden_activation],
    }
    /// Three gate controllers. Update and reset gate multiply the candidate, so they are gates.
    Gru {
        gates: [update_gate, reset_gate],
        others: [new_gate],
        activations: [gate_activation, hidden_activation],
    }
}

macro_rules! bidirectional {
    ($($layer:ident),+) => {
        $(
            /// Two layers of one hidden size. Their outputs are concatenated, so the layer that
            /// reads them takes `fan_in("axis", groups = 2)`.
            #[diagnostic::do_not_recommend]
            impl Layer for $layer {
                fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
                    roles.only(&SIDES, stringify!($layer), describer);
                    describer.layer("forward", &self.forward, roles);
                    describer.layer("reverse", &self.reverse, roles);
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
