//! Layers whose roles are named where they are used.

use burn_core::module::Module;

use super::constants::Constants;
use super::describer::Describer;
use super::layer_roles::LayerRoles;
use super::role::Role;
use crate::error::GrowError;

/// A layer with parameters, described by the roles that its field attribute names.
///
/// Implemented for the layers of burn-nn, and for their `Option`, `Vec` and arrays. A module of
/// your own derives [`Growable`](crate::Growable) instead; where it is used on different axes in
/// different places, the field says which, `#[grow(axes(input = "hidden"))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be described by `fan_in`, `fan_out`, `gate` and `gain`",
    note = "a module of your own derives `Growable` and takes no roles: `#[grow(axes(input = \"hidden\"))]` says which axes its own axes are here",
    note = "a bare parameter takes `#[grow(dims(..))]`, a foreign module takes `#[grow(with = path)]`"
)]
pub trait Layer: Module {
    /// Names the roles of the layer's parameters.
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer);

    /// Rewrites the constants of the layer that depend on a width, after an expansion, and passes
    /// the call on to the layers and modules inside: running statistics have to be set apart from
    /// those of clones.
    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>);
}

impl LayerRoles {
    /// Rejects the roles that `layer` has no dimension for.
    pub(crate) fn only(
        &self,
        supported: &'static [&'static str],
        layer: &'static str,
        describer: &mut Describer,
    ) {
        for (role, slot) in self.slots() {
            if slot.is_some() && !supported.contains(&role) {
                let path = describer.path();
                describer.reject(GrowError::UnsupportedRole {
                    path,
                    layer,
                    role,
                    supported,
                });
            }
        }
    }

    /// Returns the output side of a layer that may also be the head of a language model.
    pub(crate) fn output(&self, layer: &'static str, describer: &mut Describer) -> Option<Role> {
        if self.fan_out.is_some() && self.vocab.is_some() {
            describer.reject(GrowError::UnsupportedRole {
                path: describer.path(),
                layer,
                role: "vocab beside fan_out",
                supported: &["fan_out", "vocab"],
            });
        }
        self.fan_out.clone().or_else(|| self.vocab.clone())
    }
}

impl Describer {
    /// Describes a layer through the roles that its field attribute names.
    pub fn layer<L: Layer>(&mut self, name: &str, layer: &L, roles: &LayerRoles) {
        self.scope(name, |describer| {
            describer.with_roles(roles, |roles, describer| layer.describe(roles, describer));
        });
    }
}

impl Constants<'_> {
    /// Updates the constants of a layer that is described by hand. Running statistics are set apart
    /// from those of clones.
    pub fn layer<L: Layer>(&self, layer: &mut L, roles: &LayerRoles) {
        self.with_roles(roles, |roles, constants| {
            layer.update_constants(roles, constants)
        });
    }
}
