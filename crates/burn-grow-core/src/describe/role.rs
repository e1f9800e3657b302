//! Roles: how the dimensions of a parameter lie on the width axes.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::layout::{Layout, Term};

/// The relation of a dimension to the axis it lies on, which decides what its new coordinates hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// Makes the axis. New coordinates hold what the producer side of the init pair says, and are
    /// not rescaled (Eq. 8-9).
    FanOut,
    /// Consumes the axis. New coordinates hold what the consumer side of the init pair says, and
    /// the whole parameter is rescaled (Eq. 14-17).
    FanIn,
    /// Makes the axis and multiplies another fan-out, as the gate of a SwiGLU unit does. Where the
    /// pair says zeros it is copied: with both factors zero the unit has no gradient and stays
    /// dead.
    Gate,
    /// Goes along with the axis: norm gains and biases, running statistics (Eq. 19), whole experts.
    /// Always copied.
    Gain,
    /// Lists symbols. New coordinates are random, with the mean and the standard deviation of the
    /// old ones, column by column, whatever the init pair says.
    Vocab,
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FanOut => "fan_out",
            Self::FanIn => "fan_in",
            Self::Gate => "gate",
            Self::Gain => "gain",
            Self::Vocab => "vocab",
        })
    }
}

/// A stretch of a dimension with one role, whose size is a product of terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Role of the stretch.
    pub kind: RoleKind,
    /// Factors of its size, outermost first; the last one varies fastest.
    pub terms: Vec<Term>,
}

impl Part {
    /// Iterates over the axes of the stretch, outermost first.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.terms.iter().filter_map(|term| match term {
            Term::Axis(axis) => Some(axis),
            Term::Fixed(_) => None,
        })
    }

    /// Counts the coordinates, given the width of every axis. Saturates at the largest number.
    pub fn size(&self, width: impl Fn(&Axis) -> usize) -> usize {
        self.layout().size(width)
    }

    /// Returns the factors of the size without the role.
    pub fn layout(&self) -> Layout {
        Layout {
            terms: self.terms.clone(),
        }
    }
}

/// The role of one dimension: which axes lie along it, in which order, and what it does with them.
///
/// A role is a sum of parts, and a part is a product of axes and constants.
///
/// ```
/// use burn_grow_core::describe::Role;
///
/// let plain = Role::fan_out("inner");
/// // Query heads under grouped-query attention: two axes in one dimension.
/// let queries = Role::fan_out("kv_heads").and("queries").with_unit(64);
/// // Gate and up projection fused into one matrix: two parts, one after the other.
/// let fused = Role::gate("inner").then(Role::fan_out("inner"));
///
/// assert_eq!(fused.size(|_| 128), 256);
/// assert_eq!(queries.to_string(), "fan_out(kv_heads x queries x 64)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role {
    /// Stretches of the dimension, one after another.
    pub parts: Vec<Part>,
}

impl Role {
    /// Creates the role `kind` on `axis`, with one coordinate per unit.
    pub fn new(kind: RoleKind, axis: impl Into<Axis>) -> Self {
        let terms = vec![Term::Axis(axis.into())];
        Self {
            parts: vec![Part { kind, terms }],
        }
    }

    /// Creates the role of a dimension that makes `axis`.
    pub fn fan_out(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::FanOut, axis)
    }

    /// Creates the role of a dimension that consumes `axis`.
    pub fn fan_in(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::FanIn, axis)
    }

    /// Creates the role of a dimension that makes `axis` and multiplies another one that makes it.
    pub fn gate(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::Gate, axis)
    }

    /// Creates the role of a dimension that goes along with `axis`, such as a norm gain.
    pub fn gain(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::Gain, axis)
    }

    /// Creates the role of a dimension that lists the symbols of `axis`.
    pub fn vocab(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::Vocab, axis)
    }

    /// Creates a stretch of `size` coordinates that never grows.
    pub fn fixed(size: usize) -> Self {
        let part = Part {
            kind: RoleKind::Gain,
            terms: vec![Term::Fixed(size)],
        };
        Self { parts: vec![part] }
    }

    /// Puts `axis` inside every unit of the axes named so far: the product of two axes.
    pub fn and(mut self, axis: impl Into<Axis>) -> Self {
        let axis = axis.into();
        for part in &mut self.parts {
            part.terms.push(Term::Axis(axis.clone()));
        }
        self
    }

    /// Repeats everything named so far `groups` times.
    pub fn with_groups(mut self, groups: usize) -> Self {
        for part in &mut self.parts {
            part.terms.insert(0, Term::Fixed(groups));
        }
        self
    }

    /// Gives every unit of the axes named so far `unit` consecutive coordinates.
    pub fn with_unit(mut self, unit: usize) -> Self {
        for part in &mut self.parts {
            part.terms.push(Term::Fixed(unit));
        }
        self
    }

    /// Appends `next` along the same dimension, as fused matrices need.
    pub fn then(mut self, next: Self) -> Self {
        self.parts.extend(next.parts);
        self
    }

    /// Changes the kind of every part.
    pub fn with_kind(mut self, kind: RoleKind) -> Self {
        for part in &mut self.parts {
            part.kind = kind;
        }
        self
    }

    /// Returns `true` if the dimension lies on an axis that may grow.
    pub(crate) fn grows(&self) -> bool {
        self.axes().any(|axis| !axis.is_fixed())
    }

    /// Iterates over the kinds of the parts that lie on `axis`.
    pub(crate) fn kinds_on<'a>(&'a self, axis: &'a Axis) -> impl Iterator<Item = RoleKind> + 'a {
        let parts = self.parts.iter();
        parts
            .filter(move |part| part.axes().any(|other| other == axis))
            .map(|part| part.kind)
    }

    /// Iterates over the axes along the dimension, part by part, outermost first.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.parts.iter().flat_map(Part::axes)
    }

    /// Counts the coordinates, given the width of every axis. Saturates at the largest number.
    pub fn size(&self, width: impl Fn(&Axis) -> usize) -> usize {
        let sizes = self.parts.iter().map(|part| part.size(&width));
        sizes.fold(0, usize::saturating_add)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = self.layout();
        match self.axes().next() {
            Some(_) => write!(f, "{}({terms})", self.kind),
            None => terms.fmt(f),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(Part::to_string).collect();
        f.write_str(&parts.join(" + "))
    }
}

/// Serializes `None` as a role without parts, because TOML has no null.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Role;

    pub(crate) fn serialize<S: Serializer>(
        roles: &[Option<Role>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let none = Role { parts: Vec::new() };
        serializer.collect_seq(roles.iter().map(|role| role.as_ref().unwrap_or(&none)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Option<Role>>, D::Error> {
        let roles = Vec::<Role>::deserialize(deserializer)?.into_iter();
        let roles = roles.map(|role| (!role.parts.is_empty()).then_some(role));
        Ok(roles.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_sum_of_products() {
        let width = |axis: &Axis| match axis.as_str() {
            "kv_heads" => 2,
            _ => 3,
        };
        let queries = Role::fan_out("kv_heads").and("queries").with_unit(4);
        let keys = Role::fan_out("kv_heads").with_unit(4);
        assert_eq!(queries.size(width), 24);
        let fused = queries.then(keys.clone()).then(keys);
        assert_eq!(fused.size(width), 40);
        assert_eq!(
            fused.to_string(),
            "fan_out(kv_heads x queries x 4) + fan_out(kv_heads x 4) + fan_out(kv_heads x 4)"
        );
        assert_eq!(fused.then(Role::fixed(5)).size(width), 45);
    }
}
