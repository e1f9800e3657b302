//! Layers whose roles are named where they are used.

use burn_core::module::Module;

use super::constants::Constants;
use super::describer::Describer;
use super::role::Role;
use crate::error::GrowError;

/// A layer with parameters, described by the roles that its field attribute names.
///
/// Implemented for the layers of burn-nn, and for their `Option`, `Vec` and arrays. Implement it
/// for a layer of your own that is used on different axes in different places; a layer that always
/// lies on the same axes derives [`Growable`](crate::Growable) instead.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be described by `fan_in`, `fan_out`, `gate` and `gain`",
    note = "a bare parameter takes `#[grow(dims(..))]`, a module of your own derives `Growable` and takes no roles, a foreign module takes `#[grow(with = path)]`"
)]
pub trait Layer: Module {
    /// Names the roles of the layer's parameters.
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer);

    /// Rewrites the constants of the layer that depend on a width, after an expansion.
    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        let _ = (roles, constants);
    }
}

/// The roles that the attribute of a layer field names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerRoles {
    /// Role of the input side: `fan_in`.
    pub fan_in: Option<Role>,
    /// Role of the output side: `fan_out` or `gate`.
    pub fan_out: Option<Role>,
    /// Role of norm gains, biases and statistics: `gain`.
    pub gain: Option<Role>,
    /// Role of the symbols of an embedding or a language-model head: `vocab`.
    pub vocab: Option<Role>,
    /// Width inside the layer, between input and output: `inner`.
    pub inner: Option<Role>,
    /// Heads of an attention layer: `heads`.
    pub heads: Option<Role>,
}

impl LayerRoles {
    /// Rejects the roles that `layer` has no dimension for.
    pub(crate) fn only(&self, supported: &[&str], layer: &'static str, describer: &mut Describer) {
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
                let path = describer.path();
                describer.reject(GrowError::UnsupportedRole { path, layer, role });
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
            });
        }
        self.fan_out.clone().or_else(|| self.vocab.clone())
    }
}

impl Describer {
    /// Describes a layer through the roles that its field attribute names.
    pub fn layer<L: Layer>(&mut self, name: &str, layer: &L, roles: &LayerRoles) {
        self.scope(name, |describer| layer.describe(roles, describer));
    }
}
