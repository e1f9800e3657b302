//! Attention layers. Their heads grow together with the stream that they fill.

use burn_core::module::Param;
use burn_core::tensor::Tensor;
use burn_nn::attention::{CrossAttention, MultiHeadAttention};

use super::groups;
use super::shared::{kind, reject};
use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;
use crate::describe::role::{Role, RoleKind};
use crate::visit::{ParamVisitor, for_each_param};

/// Four linear layers between the stream and the heads, both `d_model = heads x d_k` wide.
///
/// `heads` grows both: Burn reshapes the heads to `d_model` and divides the scores by `sqrt(d_k)`,
/// so the number of heads follows the stream. `fan_in` and `fan_out` may be named as well, and must
/// then be the heads with `unit = d_k`. Where the init pair says zeros the keys are copied: with
/// queries and keys both zero neither would have a gradient.
#[diagnostic::do_not_recommend]
impl Layer for MultiHeadAttention {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let name = "MultiHeadAttention";
        roles.only(&["fan_in", "fan_out", "heads"], name, describer);
        let stream = stream(roles, self.d_k, name, describer);
        let side = |role_kind| LayerRoles {
            fan_in: kind(stream.as_ref(), RoleKind::FanIn),
            fan_out: kind(stream.as_ref(), role_kind),
            ..LayerRoles::default()
        };
        describer.layer("query", &self.query, &side(RoleKind::FanOut));
        describer.layer("key", &self.key, &side(RoleKind::Gate));
        describer.layer("value", &self.value, &side(RoleKind::FanOut));
        describer.layer("output", &self.output, &side(RoleKind::FanOut));
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.heads.as_ref(), &mut self.n_heads);
        self.d_model = self.n_heads * self.d_k;
    }
}

/// Returns the role of the stream, which the heads of the layer fill, if it grows. Rejects other
/// sides.
pub(super) fn stream(
    roles: &LayerRoles,
    d_k: usize,
    layer: &'static str,
    describer: &mut Describer,
) -> Option<Role> {
    let stream = roles.heads.as_ref().map(|heads| groups::times(heads, d_k));
    for (attribute, side) in [("fan_in", &roles.fan_in), ("fan_out", &roles.fan_out)] {
        let axes = |role: &Role| role.clone().with_kind(RoleKind::FanIn);
        let same = |side: &Role| stream.as_ref().map(axes) == Some(axes(side));
        if side.as_ref().is_some_and(|side| !same(side)) {
            let reason = format!(
                "it reads and writes one stream, which its heads of {d_k} fill: name `heads = \
                 \"..\"`, and leave out `{attribute}` or give it the same axis with `unit = {d_k}`"
            );
            reject(layer, reason, describer);
        }
    }
    stream
}

/// Query `[fan_in, ..]`, key and value `[fan_in, ..]`, output `[.., fan_out]`.
///
/// `fan_in` names the two inputs one after the other,
/// `concat(fan_in = "query", fan_in = "context")`, with `fixed = size` for one that never grows.
/// The heads cannot grow: the forward pass reads their number, which Burn keeps private.
#[diagnostic::do_not_recommend]
impl Layer for CrossAttention {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        let name = "CrossAttention";
        roles.only(&["fan_in", "fan_out", "heads"], name, describer);
        if roles.heads.is_some() {
            let reason = "Burn keeps the number of its heads private, so it cannot be updated";
            reject(name, reason, describer);
        }
        let [query, context] = match &roles.fan_in {
            None => [None, None],
            Some(role) => match role.parts.as_slice() {
                [query, context] => [query, context].map(|part| {
                    Some(Role {
                        parts: vec![part.clone()],
                    })
                }),
                _ => {
                    let reason = "it has two inputs: name both, \
                                  `concat(fan_in = \"query\", fan_in = \"context\")`, with \
                                  `fixed = size` for one that never grows";
                    reject(name, reason, describer);
                    [None, None]
                }
            },
        };
        let mut visitor = Visitor {
            describer,
            query,
            context,
            output: roles.fan_out.clone(),
        };
        for_each_param(self, &mut visitor);
    }

    fn update_constants(&mut self, _roles: &LayerRoles, _constants: &Constants<'_>) {}
}

/// Describes the private layers of a cross-attention by their names.
struct Visitor<'a> {
    describer: &'a mut Describer,
    query: Option<Role>,
    context: Option<Role>,
    output: Option<Role>,
}

impl ParamVisitor for Visitor<'_> {
    /// Describes a weight `[in, out]` or a bias `[out]`.
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let mut roles = [const { None }; D];
        let (input, output) = match path.split('.').next() {
            Some("query") => (&self.query, &None),
            Some("key" | "value") => (&self.context, &None),
            Some("output") => (&None, &self.output),
            _ => (&None, &None),
        };
        if let [dim, _] = roles.as_mut_slice() {
            *dim = input.clone();
        }
        if let [.., dim] = roles.as_mut_slice() {
            *dim = output.clone();
        }
        self.describer.param(param, roles);
    }
}
