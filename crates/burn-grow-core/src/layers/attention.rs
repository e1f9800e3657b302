use burn_core::module::Param;
use burn_core::tensor::Tensor;
use burn_nn::attention::{CrossAttention, MultiHeadAttention};

use super::{Layer, LayerRoles, groups, kind, refuse};
use crate::visit::{ParamVisitor, for_each_param};
use crate::{Constants, Describer, Role, RoleKind};

/// Four linear layers between a stream of `d_model = heads x d_k` and the heads, as wide as the stream.
///
/// `heads` grows both: Burn reshapes the heads to `d_model`, and the scores are divided by `sqrt(d_k)`,
/// so it is their number that follows the stream. `fan_in` and `fan_out` may be named, and must then be
/// the heads with `unit = d_k`. Under zeros the keys are copied: with queries and keys both zero neither
/// would have a gradient.
#[diagnostic::do_not_recommend]
impl Layer for MultiHeadAttention {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        let name = "MultiHeadAttention";
        roles.only(&["fan_in", "fan_out", "heads"], name, describe);
        let stream = stream(roles, self.d_k, name, describe);
        let side = |role_kind| LayerRoles {
            fan_in: kind(stream.as_ref(), RoleKind::FanIn),
            fan_out: kind(stream.as_ref(), role_kind),
            ..LayerRoles::default()
        };
        describe.layer("query", &self.query, &side(RoleKind::FanOut));
        describe.layer("key", &self.key, &side(RoleKind::Gate));
        describe.layer("value", &self.value, &side(RoleKind::FanOut));
        describe.layer("output", &self.output, &side(RoleKind::FanOut));
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        constants.size(roles.heads.as_ref(), &mut self.n_heads);
        self.d_model = self.n_heads * self.d_k;
    }
}

/// The stream of a layer whose heads fill it, if it grows; refuses any other sides.
pub(super) fn stream(
    roles: &LayerRoles,
    d_k: usize,
    layer: &'static str,
    describe: &mut Describer,
) -> Option<Role> {
    let stream = roles.heads.as_ref().map(|heads| groups::times(heads, d_k));
    for (attribute, side) in [("fan_in", &roles.fan_in), ("fan_out", &roles.fan_out)] {
        let same = |side: &Role| match &stream {
            Some(stream) => {
                side.clone().with_kind(RoleKind::FanIn) == stream.clone().with_kind(RoleKind::FanIn)
            }
            None => false,
        };
        if side.as_ref().is_some_and(|side| !same(side)) {
            let reason = format!(
                "it reads and writes one stream, which its heads of {d_k} fill: name `heads = \"..\"`, \
                 which is enough, and in `{attribute}` nothing or the same axis with `unit = {d_k}`"
            );
            refuse(layer, reason, describe);
        }
    }
    stream
}

/// Query `[fan_in, ..]`, key and value `[fan_in, ..]`, output `[.., fan_out]`.
///
/// Its two inputs stand in `fan_in` one after the other, `concat(fan_in = "query", fan_in = "context")`,
/// with `fixed = size` for one that never grows. Its heads cannot grow: Burn keeps their numbers
/// private, and the forward pass reads them.
#[diagnostic::do_not_recommend]
impl Layer for CrossAttention {
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer) {
        let name = "CrossAttention";
        roles.only(&["fan_in", "fan_out", "heads"], name, describe);
        if roles.heads.is_some() {
            let reason = "Burn keeps the number of its heads private, so that it cannot follow";
            refuse(name, reason, describe);
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
                    refuse(name, reason, describe);
                    [None, None]
                }
            },
        };
        let mut walk = Walk {
            describe,
            query,
            context,
            output: roles.fan_out.clone(),
        };
        for_each_param(self, &mut walk);
    }
}

/// Describes the private layers of a cross-attention by their names.
struct Walk<'a> {
    describe: &'a mut Describer,
    query: Option<Role>,
    context: Option<Role>,
    output: Option<Role>,
}

impl ParamVisitor for Walk<'_> {
    /// A weight is `[in, out]`, a bias `[out]`.
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
        self.describe.param(param, roles);
    }
}
