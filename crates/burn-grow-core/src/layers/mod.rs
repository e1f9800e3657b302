//! How the parametrised layers of burn-nn lie on their axes, and which modules have nothing to grow.

mod activation;
mod attention;
mod container;
mod conv;
mod embedding;
mod groups;
mod linear;
mod norm;
mod parameterless;
mod recurrent;
mod transformer;

use burn_core::module::Module;

use crate::{Constants, Describer, GrowError, Role, RoleKind};

/// A parametrised layer, described by the roles that its field attribute names.
///
/// Implemented for layers of burn-nn and their `Option`, `Vec` and arrays. Implement it for a layer
/// of your own when naming the roles where the layer is used reads better than deriving
/// [`Growable`](crate::Growable) on it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be described by `fan_in`, `fan_out`, `gate` and `gain`",
    note = "a bare parameter takes `#[grow(dims(..))]`, a module of your own derives `Growable` and takes no roles, a foreign module takes `#[grow(with = path)]`"
)]
pub trait Layer: Module {
    /// Names the roles of the layer's parameters.
    fn describe(&self, roles: &LayerRoles, describe: &mut Describer);

    /// Rewrites the constants of the layer that depend on a width, after an expansion.
    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        let _ = (roles, constants);
    }
}

/// Refuses what the attribute asks of `layer`, and says what to write instead.
fn refuse(layer: &'static str, reason: impl Into<String>, describe: &mut Describer) {
    describe.refuse(GrowError::UnsupportedLayer {
        path: describe.path(),
        layer,
        reason: reason.into(),
    });
}

/// The same axes in another role.
fn kind(role: Option<&Role>, kind: RoleKind) -> Option<Role> {
    role.map(|role| role.clone().with_kind(kind))
}

/// The roles named by the attribute of a layer field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerRoles {
    /// The input side: `fan_in`.
    pub fan_in: Option<Role>,
    /// The output side: `fan_out` or `gate`.
    pub fan_out: Option<Role>,
    /// The side that rides along: `gain`.
    pub gain: Option<Role>,
    /// The symbols: `vocab`.
    pub vocab: Option<Role>,
    /// A width of the layer's own, between input and output: `inner`.
    pub inner: Option<Role>,
    /// The heads of an attention layer: `heads`.
    pub heads: Option<Role>,
}

impl LayerRoles {
    /// Refuses the roles that `layer` has no dimension for.
    fn only(&self, supported: &[&str], layer: &'static str, describe: &mut Describer) {
        let named = [
            ("fan_in", self.fan_in.is_some()),
            ("fan_out", self.fan_out.is_some()),
            ("gain", self.gain.is_some()),
            ("vocab", self.vocab.is_some()),
            ("inner", self.inner.is_some()),
            ("heads", self.heads.is_some()),
        ];
        for (role, present) in named {
            if present && !supported.contains(&role) {
                let path = describe.path();
                describe.refuse(GrowError::UnsupportedRole { path, layer, role });
            }
        }
    }

    /// The output side of a layer that may also be the head of a language model.
    fn output(&self, layer: &'static str, describe: &mut Describer) -> Option<Role> {
        if self.fan_out.is_some() && self.vocab.is_some() {
            describe.refuse(GrowError::UnsupportedRole {
                path: describe.path(),
                layer,
                role: "vocab beside fan_out",
            });
        }
        self.fan_out.clone().or_else(|| self.vocab.clone())
    }
}
