//! The roles of a layer, side by side.

use super::axis::Axis;
use super::role::Role;

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
    /// Returns every role with its name.
    pub(super) fn slots(&self) -> [(&'static str, &Option<Role>); 6] {
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
}
