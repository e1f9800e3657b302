//! Transformer stacks. One stream goes through all layers, and the heads of every attention fill
//! it.

use burn_nn::activation::Activation;
use burn_nn::transformer::{
    PositionWiseFeedForward, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderLayer,
};

use super::attention::stream;
use super::shared::{kind, reject};
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::role::{Role, RoleKind};

const ROLES: [&str; 4] = ["fan_in", "fan_out", "inner", "heads"];

/// Inner `[fan_in, inner]`, outer `[inner, fan_out]`.
#[diagnostic::do_not_recommend]
impl Layer for PositionWiseFeedForward {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let name = "PositionWiseFeedForward";
        roles.only(&["fan_in", "inner", "fan_out"], name, describer);
        let per_unit = match &self.activation {
            Activation::PRelu(layer) => layer.alpha.dims() != [1],
            Activation::SwiGlu(_) => true,
            _ => false,
        };
        if per_unit && roles.inner.is_some() {
            let reason = "Burn keeps the parameters of its activation private, so they cannot grow \
                          with `inner`";
            reject(name, reason, describer);
        }
        let inner = LayerRoles {
            fan_in: roles.fan_in.clone(),
            fan_out: kind(roles.inner.as_ref(), RoleKind::FanOut),
            ..LayerRoles::default()
        };
        let outer = LayerRoles {
            fan_in: kind(roles.inner.as_ref(), RoleKind::FanIn),
            fan_out: roles.fan_out.clone(),
            ..LayerRoles::default()
        };
        describer.layer("linear_inner", &self.linear_inner, &inner);
        describer.layer("linear_outer", &self.linear_outer, &outer);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Returns the roles of an attention, the feed-forward and the norms of a layer.
fn parts(roles: &LayerRoles, stream: Option<&Role>) -> [LayerRoles; 3] {
    let attention = LayerRoles {
        heads: roles.heads.clone(),
        ..LayerRoles::default()
    };
    let feed_forward = LayerRoles {
        fan_in: kind(stream, RoleKind::FanIn),
        inner: roles.inner.clone(),
        fan_out: kind(stream, RoleKind::FanOut),
        ..LayerRoles::default()
    };
    let norm = LayerRoles {
        gain: kind(stream, RoleKind::Gain),
        ..LayerRoles::default()
    };
    [attention, feed_forward, norm]
}

/// An attention, a feed-forward and two norms. `heads` grows the stream with them, as in
/// [`MultiHeadAttention`](burn_nn::attention::MultiHeadAttention); `inner` is `d_ff`.
#[diagnostic::do_not_recommend]
impl Layer for TransformerEncoderLayer {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let name = "TransformerEncoderLayer";
        roles.only(&ROLES, name, describer);
        let stream = stream(roles, self.mha.d_k, name, describer);
        let [attention, feed_forward, norm] = parts(roles, stream.as_ref());
        describer.layer("mha", &self.mha, &attention);
        describer.layer("pwff", &self.pwff, &feed_forward);
        describer.layer("norm_1", &self.norm_1, &norm);
        describer.layer("norm_2", &self.norm_2, &norm);
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        self.mha.update_constants(roles, constants);
    }
}

/// Two attentions, a feed-forward and three norms, as in an encoder layer. The encoder's output is
/// as wide as the stream and grows with it.
#[diagnostic::do_not_recommend]
impl Layer for TransformerDecoderLayer {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let name = "TransformerDecoderLayer";
        roles.only(&ROLES, name, describer);
        let stream = stream(roles, self.self_attn.d_k, name, describer);
        let [attention, feed_forward, norm] = parts(roles, stream.as_ref());
        describer.layer("cross_attn", &self.cross_attn, &attention);
        describer.layer("self_attn", &self.self_attn, &attention);
        describer.layer("pwff", &self.pwff, &feed_forward);
        describer.layer("norm_1", &self.norm_1, &norm);
        describer.layer("norm_2", &self.norm_2, &norm);
        describer.layer("norm_3", &self.norm_3, &norm);
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        self.cross_attn.update_constants(roles, constants);
        self.self_attn.update_constants(roles, constants);
    }
}

macro_rules! stack {
    ($($layer:ident),+) => {
        $(
            /// A stack of layers on one stream. `d_model`, `d_ff` and `n_heads` are updated.
            #[diagnostic::do_not_recommend]
            impl Layer for $layer {
                fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
                    roles.only(&ROLES, stringify!($layer), describer);
                    describer.layer("layers", &self.layers, roles);
                }

                fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
                    self.layers.update_constants(roles, constants);
                    let d_k = self.d_model / self.n_heads;
                    constants.size(roles.heads.as_ref(), &mut self.n_heads);
                    constants.size(roles.inner.as_ref(), &mut self.d_ff);
                    self.d_model = self.n_heads * d_k;
                }
            }
        )+
    };
}

stack!(TransformerEncoder, TransformerDecoder);
