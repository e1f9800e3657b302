//! Helpers that several layers share.

use crate::describe::describer::Describer;
use crate::describe::role::{Role, RoleKind};
use crate::error::GrowError;

/// Rejects the attribute of `layer`; `reason` also says what to write instead.
pub(super) fn reject(layer: &'static str, reason: impl Into<String>, describer: &mut Describer) {
    describer.reject(GrowError::UnsupportedLayer {
        path: describer.path(),
        layer,
        reason: reason.into(),
    });
}

/// Puts the same axes into another role.
pub(super) fn kind(role: Option<&Role>, kind: RoleKind) -> Option<Role> {
    role.map(|role| role.clone().with_kind(kind))
}
