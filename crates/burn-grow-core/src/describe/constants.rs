//! Fields of a module that hold a width or a scale instead of weights.

use std::collections::BTreeMap;

use derive_new::new;
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::role::Role;

/// A constant field that depends on the width of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant<T> {
    /// Path of the field in the module tree.
    pub path: String,
    /// Axis that it depends on.
    pub axis: Axis,
    /// Present value.
    pub value: T,
}

/// The new values of a module's constants, which
/// [`Growable::update_constants`](crate::Growable::update_constants) writes into the fields.
///
/// Burn's records hold no constants, so a resumed run replays the plan to restore them.
#[derive(new)]
#[new(visibility = "pub(crate)")]
pub struct Constants<'a> {
    /// The width of every axis before the expansion.
    widths: &'a BTreeMap<Axis, usize>,
    /// The axes that the expansion names.
    named: BTreeMap<&'a Axis, NewConstants>,
}

/// What the constants that depend on one axis become.
pub(crate) struct NewConstants {
    /// The width after the expansion.
    pub(crate) width: usize,
    /// The factor that a multiplier absorbs, if one number can express it.
    pub(crate) tied_factor: Option<f64>,
}

impl Constants<'_> {
    /// Updates a field that stores the width of `axis`.
    pub fn width(&self, axis: &str, value: &mut usize) {
        if let Some(new) = self.named.get(&Axis::from(axis)) {
            *value = new.width;
        }
    }

    /// Updates a field that stores the size of a dimension with this role.
    pub fn size(&self, role: Option<&Role>, value: &mut usize) {
        if let Some(role) = role {
            *value = role.size(|axis| match self.named.get(axis) {
                Some(new) => new.width,
                None => self.widths.get(axis).copied().unwrap_or(1),
            });
        }
    }

    /// Multiplies a scalar field with the fan-in factor of `axis`, as the tied output projection of
    /// a language model needs (App. D.1).
    pub fn multiplier(&self, axis: &str, value: &mut f64) {
        let new = self.named.get(&Axis::from(axis));
        if let Some(factor) = new.and_then(|new| new.tied_factor) {
            *value *= factor;
        }
    }
}
