//! Layers whose roles are named where they are used.

use burn_core::module::Module;

use super::axis::Axis;
use super::constants::Constants;
use super::describer::Describer;
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

    /// Returns every role with its name.
    fn slots(&self) -> [(&'static str, &Option<Role>); 6] {
        [
            ("fan_in", &self.fan_in),
            ("fan_out", &self.fan_out),
            ("gain", &self.gain),
            ("vocab", &self.vocab),
            ("inner", &self.inner),
            ("heads", &self.heads),
        ]
    }

    /// Iterates over the axes of all roles.
    pub(crate) fn axes(&self) -> impl Iterator<Item = &Axis> {
        let roles = self.slots().into_iter();
        roles.flat_map(|(_, role)| role.iter().flat_map(Role::axes))
    }

    /// Replaces every role.
    pub(crate) fn map(&self, mut map: impl FnMut(&Role) -> Role) -> Self {
        let mut map = |role: &Option<Role>| role.as_ref().map(&mut map);
        Self {
            fan_in: map(&self.fan_in),
            fan_out: map(&self.fan_out),
            gain: map(&self.gain),
            vocab: map(&self.vocab),
            inner: map(&self.inner),
            heads: map(&self.heads),
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
