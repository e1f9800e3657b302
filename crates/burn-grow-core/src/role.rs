use core::fmt;

use serde::{Deserialize, Serialize};

use crate::Axis;

/// What a dimension of a parameter does with the axis it lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// The dimension makes the axis: its new coordinates are copied and not rescaled (Eq. 8-9).
    FanOut,
    /// The dimension consumes the axis: the whole parameter is rescaled (Eq. 14-17).
    FanIn,
    /// A fan-out that multiplies another fan-out, as the gate of a SwiGLU unit does. It is never
    /// initialised with zeros: with both sides zero the unit has no gradient and stays dead.
    Gate,
    /// The dimension rides along: norm gains and biases, running statistics (Eq. 19).
    Gain,
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FanOut => "fan_out",
            Self::FanIn => "fan_in",
            Self::Gate => "gate",
            Self::Gain => "gain",
        })
    }
}

/// How the units of an axis lie along a dimension: `size = groups * width * unit`, the last
/// fastest.
///
/// A fused gate-and-up matrix has two groups, attention heads have `unit = head_dim`, and query
/// heads under grouped-query attention have `groups = n_kv_heads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How many times the whole axis is repeated.
    pub groups: usize,
    /// How many consecutive coordinates one unit of the axis takes.
    pub unit: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { groups: 1, unit: 1 }
    }
}

impl Layout {
    /// The size of a dimension that holds `width` units.
    pub fn size(&self, width: usize) -> usize {
        self.groups * width * self.unit
    }

    /// The width held by a dimension of `size` coordinates, if the layout divides it.
    pub fn width(&self, size: usize) -> Option<usize> {
        let block = self.groups * self.unit;
        (block > 0 && size.is_multiple_of(block)).then(|| size / block)
    }

    /// The unit of the axis that each coordinate of the dimension belongs to.
    pub fn units(&self, width: usize) -> impl Iterator<Item = usize> + '_ {
        let unit = self.unit;
        (0..self.groups)
            .flat_map(move |_| (0..width).flat_map(move |index| core::iter::repeat_n(index, unit)))
    }

    /// Spreads a map between units (`source[new] = old`) over the coordinates of the dimension.
    pub fn spread(&self, source: &[usize], old_width: usize) -> Vec<usize> {
        let mut map = Vec::with_capacity(self.size(source.len()));
        for group in 0..self.groups {
            for old in source {
                let start = (group * old_width + old) * self.unit;
                map.extend(start..start + self.unit);
            }
        }
        map
    }
}

/// The role of one dimension: what it does, with which axis, in which layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// What the dimension does with the axis.
    pub kind: RoleKind,
    /// The axis.
    pub axis: Axis,
    /// How the axis lies along the dimension.
    pub layout: Layout,
}

impl Role {
    /// A dimension that plays `kind` on `axis`, one coordinate a unit.
    pub fn new(kind: RoleKind, axis: impl Into<Axis>) -> Self {
        Self {
            kind,
            axis: axis.into(),
            layout: Layout::default(),
        }
    }

    /// A dimension that makes `axis`.
    pub fn fan_out(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::FanOut, axis)
    }

    /// A dimension that consumes `axis`.
    pub fn fan_in(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::FanIn, axis)
    }

    /// A dimension that makes `axis` and multiplies another one that does.
    pub fn gate(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::Gate, axis)
    }

    /// A dimension that rides along `axis`.
    pub fn gain(axis: impl Into<Axis>) -> Self {
        Self::new(RoleKind::Gain, axis)
    }

    /// Repeats the axis `groups` times along the dimension.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.layout.groups = groups;
        self
    }

    /// Gives every unit of the axis `unit` consecutive coordinates.
    pub fn with_unit(mut self, unit: usize) -> Self {
        self.layout.unit = unit;
        self
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.kind, self.axis)?;
        if self.layout.groups != 1 {
            write!(f, ", groups={}", self.layout.groups)?;
        }
        if self.layout.unit != 1 {
            write!(f, ", unit={}", self.layout.unit)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_spreads_units_over_groups_and_coordinates() {
        let layout = Layout { groups: 2, unit: 2 };
        // Two groups of two units of two coordinates grow to three units: the third copies the first.
        let map = layout.spread(&[0, 1, 0], 2);
        assert_eq!(map, [0, 1, 2, 3, 0, 1, 4, 5, 6, 7, 4, 5]);
        assert_eq!(
            layout.units(3).collect::<Vec<_>>(),
            [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]
        );
    }

    #[test]
    fn a_layout_divides_a_size_or_says_so() {
        let layout = Layout { groups: 2, unit: 3 };
        assert_eq!(layout.width(12), Some(2));
        assert_eq!(layout.width(13), None);
        assert_eq!(layout.size(2), 12);
    }
}
