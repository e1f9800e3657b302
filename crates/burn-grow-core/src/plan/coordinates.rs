//! The coordinates of a grown dimension: the one list that parameters, optimizer state, regions and
//! noise read.

use super::axis_plan::{AxisPlan, Origin};
use super::fill::Fill;
use super::model::Plan;
use super::param::{ParamContent, ParamPlan};
use crate::describe::axis::Axis;
use crate::describe::layout::Term;
use crate::describe::role::{Role, RoleKind};

/// The origin of one coordinate of a grown dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coordinate {
    /// Coordinate of the new dimension that it equals: itself unless it is a copy.
    pub(crate) root: usize,
    /// Content of the root.
    pub(crate) content: Content,
    /// Factor that a fan-in multiplies it with.
    pub(crate) factor: f64,
}

/// The content of a coordinate that is not a copy. Where axes meet in one coordinate, the later
/// variant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    /// This old coordinate.
    Kept(usize),
    /// A random number with the mean and the standard deviation of its column.
    Symbol,
    /// A random number with the mean and the standard deviation of the parameter.
    Random,
    /// Zero.
    Zero,
}

impl Coordinate {
    /// Returns `true` if the coordinate was there before.
    pub(crate) fn is_kept(&self, index: usize) -> bool {
        self.root == index && self.kept().is_some()
    }

    /// Returns `true` if it is or copies a coordinate that is drawn.
    pub(crate) fn is_random(&self) -> bool {
        matches!(self.content, Content::Random | Content::Symbol)
    }

    /// Returns the old coordinate that it is or copies.
    pub(crate) fn kept(&self) -> Option<usize> {
        match self.content {
            Content::Kept(old) => Some(old),
            _ => None,
        }
    }

    /// Applies a fill to the coordinate that parameters hold at `index`.
    fn filled(self, index: usize, fill: Fill) -> Self {
        match fill {
            Fill::Scale => self,
            Fill::Zero if !self.is_kept(index) => Self {
                root: index,
                content: Content::Zero,
                factor: 1.0,
            },
            Fill::Copy | Fill::Zero => Self {
                factor: 1.0,
                ..self
            },
        }
    }
}

impl Plan {
    /// Lists the old coordinate that each new coordinate of dimension `dim` is or copies; `None`
    /// where the plan makes it random or zero. Returns `None` if the dimension does not grow.
    pub fn source(&self, param: &ParamPlan, dim: usize) -> Option<Vec<Option<usize>>> {
        let coordinates = self.dimension(param, dim, &|_| Fill::Copy)?;
        Some(coordinates.iter().map(Coordinate::kept).collect())
    }

    /// Tells of each new coordinate of dimension `dim` if it was there before. Returns `None` if
    /// the dimension does not grow.
    pub fn kept(&self, param: &ParamPlan, dim: usize) -> Option<Vec<bool>> {
        let coordinates = self.dimension(param, dim, &|_| Fill::Copy)?;
        let kept = coordinates
            .iter()
            .enumerate()
            .map(|(index, coordinate)| coordinate.is_kept(index));
        Some(kept.collect())
    }

    /// Lists the factor of each new coordinate of dimension `dim`: the product over the axes whose
    /// `fill` is [`Fill::Scale`]. Returns `None` if the dimension does not grow.
    pub fn factor(
        &self,
        param: &ParamPlan,
        dim: usize,
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<Vec<f64>> {
        let coordinates = self.dimension(param, dim, fill)?;
        let factors = coordinates.iter().map(|coordinate| coordinate.factor);
        Some(factors.collect())
    }

    /// Lists the coordinates of dimension `dim` of `param`, with the units of every axis filled as
    /// `fill` says. Returns `None` if the dimension stays.
    pub(crate) fn dimension(
        &self,
        param: &ParamPlan,
        dim: usize,
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<Vec<Coordinate>> {
        let role = self.growing(param, dim);
        let grown = role.map(|role| self.coordinates(role, fill));
        let content = match param.content() {
            Some(ParamContent::Zero) if dim == 0 => Content::Zero,
            Some(ParamContent::Drawn) if dim == 0 => Content::Random,
            _ => return grown,
        };
        // One dimension is enough to say it of all elements.
        let coordinates = grown.unwrap_or_else(|| fixed(param.old_shape[dim]));
        let coordinates = coordinates.into_iter().enumerate();
        let refilled = coordinates.map(|(root, coordinate)| Coordinate {
            root,
            content,
            ..coordinate
        });
        Some(refilled.collect())
    }

    /// Lists the unit of `axis` that each new coordinate of a dimension belongs to; `None` where
    /// the role of the coordinate is not one of `kinds`.
    pub(crate) fn units_along(
        &self,
        role: &Role,
        axis: &Axis,
        kinds: &[RoleKind],
    ) -> Vec<Option<usize>> {
        let new_width = |axis: &Axis| match self.axis(axis) {
            Some(planned) => planned.new_width(),
            None => self.width(axis),
        };
        let mut units = Vec::new();
        for part in &role.parts {
            let mut found = vec![None];
            for term in &part.terms {
                let (size, named) = match term {
                    Term::Fixed(size) => (*size, false),
                    Term::Axis(other) => (new_width(other), other == axis),
                };
                let named = named && kinds.contains(&part.kind);
                found = found
                    .into_iter()
                    .flat_map(|outer| {
                        (0..size).map(move |unit| if named { Some(unit) } else { outer })
                    })
                    .collect();
            }
            units.extend(found);
        }
        units
    }

    fn coordinates(&self, role: &Role, fill: &dyn Fn(&Axis) -> Fill) -> Vec<Coordinate> {
        let mut coordinates = Vec::new();
        let mut old_start = 0;
        for part in &role.parts {
            let new_start = coordinates.len();
            let mut found = vec![Coordinate {
                root: 0,
                content: Content::Kept(0),
                factor: 1.0,
            }];
            let mut old_size = 1;
            for term in &part.terms {
                let (old, units) = match term {
                    Term::Fixed(size) => (*size, fixed(*size)),
                    Term::Axis(axis) => match self.axis(axis) {
                        Some(planned) => {
                            let units = units(planned, part.kind, fill(axis));
                            (planned.old_width(), units)
                        }
                        None => (self.width(axis), fixed(self.width(axis))),
                    },
                };
                old_size *= old;
                found = product(&found, &units, old);
            }
            coordinates.extend(found.into_iter().map(|coordinate| Coordinate {
                root: coordinate.root + new_start,
                content: match coordinate.content {
                    Content::Kept(old) => Content::Kept(old + old_start),
                    other => other,
                },
                factor: coordinate.factor,
            }));
            old_start += old_size;
        }
        coordinates
    }
}

/// Lists the units of a dimension that never grows.
pub(crate) fn fixed(size: usize) -> Vec<Coordinate> {
    let unit = |unit| Coordinate {
        root: unit,
        content: Content::Kept(unit),
        factor: 1.0,
    };
    (0..size).map(unit).collect()
}

/// Lists the units of an axis.
fn units(axis: &AxisPlan, kind: RoleKind, fill: Fill) -> Vec<Coordinate> {
    let origins = axis.origins(kind);
    let content = |origin| match origin {
        Origin::Kept(old) => Content::Kept(old),
        Origin::Random | Origin::Like(_) if kind == RoleKind::Vocab => Content::Symbol,
        Origin::Random | Origin::Like(_) => Content::Random,
        Origin::Zero => Content::Zero,
    };
    let unit = |(unit, origin): (usize, &Origin)| {
        let root = match origin {
            Origin::Like(root) => *root,
            _ => unit,
        };
        let coordinate = Coordinate {
            root,
            content: content(origins[root]),
            factor: match kind {
                RoleKind::FanIn => axis.factor().of(unit),
                _ => 1.0,
            },
        };
        coordinate.filled(unit, fill)
    };
    origins.iter().enumerate().map(unit).collect()
}

/// Puts every inner unit inside every outer one.
fn product(outer: &[Coordinate], inner: &[Coordinate], old_inner: usize) -> Vec<Coordinate> {
    let new_inner = inner.len();
    outer
        .iter()
        .flat_map(|outer| {
            inner.iter().map(move |inner| Coordinate {
                root: outer.root * new_inner + inner.root,
                content: match (outer.content, inner.content) {
                    (Content::Kept(outer), Content::Kept(inner)) => {
                        Content::Kept(outer * old_inner + inner)
                    }
                    (outer, inner) => outer.max(inner),
                },
                factor: outer.factor * inner.factor,
            })
        })
        .collect()
}
