use crate::{Axis, AxisPlan, Fill, Origin, ParamPlan, Plan, Role, RoleKind, Term};

/// Where one coordinate of a grown dimension comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coordinate {
    /// The coordinate of the new dimension that it equals: itself unless it is a copy.
    pub(crate) root: usize,
    /// What the root holds.
    pub(crate) content: Content,
    /// What a fan-in multiplies it with.
    pub(crate) factor: f64,
}

/// What a coordinate that is no copy holds. Where axes meet in one coordinate the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Content {
    /// This old coordinate.
    Kept(usize),
    /// A draw at the moments of its column.
    Symbol,
    /// A draw at the moments of the parameter.
    Drawn,
    /// Zero.
    Zero,
}

impl Coordinate {
    /// Whether it was there before.
    pub(crate) fn is_kept(&self, index: usize) -> bool {
        self.root == index && self.kept().is_some()
    }

    /// The old coordinate that it is or copies.
    pub(crate) fn kept(&self) -> Option<usize> {
        match self.content {
            Content::Kept(old) => Some(old),
            _ => None,
        }
    }

    /// The unit of an axis filled so, if this is what its parameters hold.
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
    /// The coordinates of dimension `dim` of `param`, if it grows, with the units of every axis filled as
    /// `fill` says.
    pub(crate) fn dimension(
        &self,
        param: &ParamPlan,
        dim: usize,
        fill: &dyn Fn(&Axis) -> Fill,
    ) -> Option<Vec<Coordinate>> {
        let role = self.growing(param, dim)?;
        Some(self.coordinates(role, fill))
    }

    /// The unit of `axis` that each new coordinate of a dimension belongs to, where it plays one of
    /// `kinds`.
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

/// Units that never grow.
pub(crate) fn fixed(size: usize) -> Vec<Coordinate> {
    let unit = |unit| Coordinate {
        root: unit,
        content: Content::Kept(unit),
        factor: 1.0,
    };
    (0..size).map(unit).collect()
}

/// The units of an axis.
fn units(axis: &AxisPlan, kind: RoleKind, fill: Fill) -> Vec<Coordinate> {
    let origins = axis.origins(kind);
    let content = |origin| match origin {
        Origin::Kept(old) => Content::Kept(old),
        Origin::Drawn | Origin::Like(_) if kind == RoleKind::Vocab => Content::Symbol,
        Origin::Drawn | Origin::Like(_) => Content::Drawn,
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

/// Every inner unit inside every outer one.
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
