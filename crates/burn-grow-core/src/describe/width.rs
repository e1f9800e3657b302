//! Solves for the width of every axis, given the sizes of the dimensions it lies along.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::axis::Axis;
use super::constants::Constant;
use super::layout::Term;
use super::param::ParamBlueprint;
use super::role::{Part, RoleKind};
use crate::error::GrowError;

/// The widths found so far, and what fixed each of them.
type Known<'a> = BTreeMap<Axis, (usize, Place<'a>)>;

/// A dimension of a parameter, or a constant.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    dim: Option<usize>,
}

/// Finds the width that all parameters and constants agree on, axis by axis.
///
/// A dimension or constant with one unknown axis determines it, so a product of axes is solved once
/// the others are known. `widths` store widths of axes that parameters lie on; `counts` are axes
/// without parameters.
pub(crate) fn widths(
    params: &[ParamBlueprint],
    widths: &[Constant<usize>],
    counts: &[Constant<usize>],
) -> Result<BTreeMap<Axis, usize>, GrowError> {
    let mut known: Known<'_> = BTreeMap::new();
    let dims: Vec<_> = dims(params).collect();
    let counts: Vec<_> = constants(counts).collect();
    solve(&counts, &mut known)?;
    solve(&dims, &mut known)?;
    let lies = |axis: &Axis| dims.iter().any(|dim| dim.axes().any(|other| other == axis));
    for constant in widths {
        let counted = |axis: &Axis| counts.iter().any(|count| count.axes().any(|it| it == axis));
        let mut axes = constant.axis.axes();
        if let Some(axis) = axes.find(|axis| !lies(axis) && !counted(axis)) {
            return Err(GrowError::UnknownAxis {
                axis: axis.clone(),
                known: known.into_keys().collect(),
            });
        }
    }
    let mut stored = counts;
    stored.extend(constants(widths));
    // A constant may have been the missing factor of a product.
    let all: Vec<_> = stored.iter().chain(&dims).cloned().collect();
    solve(&all, &mut known)?;
    for dim in &all {
        dim.verify(&known)?;
    }
    Ok(known
        .into_iter()
        .map(|(axis, (width, _))| (axis, width))
        .collect())
}

/// Adds every width that follows from the known ones.
fn solve<'a>(dims: &[Dim<'a>], known: &mut Known<'a>) -> Result<(), GrowError> {
    loop {
        let found = known.len();
        for dim in dims {
            if let Some((axis, width)) = dim.solve(known)? {
                known.insert(axis, (width, dim.place));
            }
        }
        if known.len() == found {
            return Ok(());
        }
    }
}

/// Iterates over the dimensions with a role.
fn dims(params: &[ParamBlueprint]) -> impl Iterator<Item = Dim<'_>> {
    params.iter().flat_map(|param| {
        let dims = param.roles.iter().zip(&param.shape).enumerate();
        dims.filter_map(move |(dim, (role, size))| {
            Some(Dim {
                place: Place {
                    path: &param.path,
                    dim: Some(dim),
                },
                parts: Cow::Borrowed(&role.as_ref()?.parts),
                size: *size,
            })
        })
    })
}

/// Iterates over constants as if they were dimensions.
fn constants<'a>(
    constants: impl IntoIterator<Item = &'a Constant<usize>>,
) -> impl Iterator<Item = Dim<'a>> {
    constants.into_iter().map(|constant| Dim {
        place: Place {
            path: &constant.path,
            dim: None,
        },
        parts: Cow::Owned(vec![Part {
            kind: RoleKind::Gain,
            terms: constant.axis.terms.clone(),
        }]),
        size: constant.value,
    })
}

/// One dimension with a role, or a constant.
#[derive(Clone)]
struct Dim<'a> {
    place: Place<'a>,
    parts: Cow<'a, [Part]>,
    size: usize,
}

impl Dim<'_> {
    fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.parts.iter().flat_map(Part::axes)
    }

    /// Solves for the one unknown axis of the dimension. Returns `None` if no axis or several are
    /// unknown.
    fn solve(&self, known: &Known<'_>) -> Result<Option<(Axis, usize)>, GrowError> {
        let mut unknown = self.axes().filter(|axis| !known.contains_key(axis));
        let Some(axis) = unknown.next() else {
            return Ok(None);
        };
        if unknown.any(|other| other != axis) {
            return Ok(None);
        }
        match self.width(axis, known) {
            Some(width) => Ok(Some((axis.clone(), width))),
            None => Err(self.layout()),
        }
    }

    /// Computes the width of `axis` that gives the dimension its size, all other axes being known.
    fn width(&self, axis: &Axis, known: &Known<'_>) -> Option<usize> {
        let (with, without): (Vec<&Part>, Vec<&Part>) = self
            .parts
            .iter()
            .partition(|part| part.axes().any(|other| other == axis));
        let size = |parts: &[&Part], width: usize| -> usize {
            let width = |other: &Axis| {
                if other == axis {
                    width
                } else {
                    known.get(other).map_or(0, |(width, _)| *width)
                }
            };
            let sizes = parts.iter().map(|part| part.size(width));
            sizes.fold(0, usize::saturating_add)
        };
        let rest = self.size.checked_sub(size(&without, 0))?;
        let linear = with.iter().all(|part| {
            part.terms
                .iter()
                .filter(|term| **term == Term::Axis(axis.clone()))
                .count()
                == 1
        });
        let one = size(&with, 1);
        (linear && one > 0 && rest.is_multiple_of(one)).then(|| rest / one)
    }

    /// Checks that the dimension has the size that the widths give it.
    fn verify(&self, known: &Known<'_>) -> Result<(), GrowError> {
        if let Some(axis) = self.axes().find(|axis| !known.contains_key(axis)) {
            return Err(GrowError::UndeterminedAxis {
                path: self.place.path.to_owned(),
                dim: self.place.dim,
                axis: axis.own(),
                role: self.text(),
            });
        }
        let sizes = self
            .parts
            .iter()
            .map(|part| part.size(|axis| known[axis].0));
        if sizes.fold(0, usize::saturating_add) == self.size {
            return Ok(());
        }
        for axis in self.axes() {
            if let Some(found) = self.width(axis, known) {
                let (expected, other) = known[axis];
                return Err(GrowError::WidthDisagreement {
                    axis: axis.clone(),
                    path: self.place.path.to_owned(),
                    dim: self.place.dim,
                    found,
                    other: other.path.to_owned(),
                    other_dim: other.dim,
                    expected,
                });
            }
        }
        Err(self.layout())
    }

    fn layout(&self) -> GrowError {
        let path = self.place.path.to_owned();
        match self.place.dim {
            Some(dim) => GrowError::Layout {
                path,
                dim,
                size: self.size,
                role: self.text(),
            },
            None => GrowError::StoredWidth {
                path,
                found: self.size,
                layout: self.text(),
            },
        }
    }

    /// Formats the role, or the layout of a constant.
    fn text(&self) -> String {
        let parts = self.parts.iter();
        let parts: Vec<_> = match self.place.dim {
            Some(_) => parts.map(Part::to_string).collect(),
            None => parts.map(|part| part.layout().to_string()).collect(),
        };
        let text = parts.join(" + ");
        let fixed = self.axes().filter(|axis| axis.is_fixed());
        fixed.fold(text, |text, axis| text.replace(axis.as_str(), "_"))
    }
}

/// Finds the width that most dimensions and constants ask for, axis by axis, in a description that
/// may be wrong.
pub(crate) fn voted<'a>(
    params: &'a [ParamBlueprint],
    stored: impl IntoIterator<Item = &'a Constant<usize>>,
) -> BTreeMap<Axis, usize> {
    let dims: Vec<_> = constants(stored).chain(dims(params)).collect();
    let mut known: Known<'_> = BTreeMap::new();
    let mut votes: BTreeMap<Axis, BTreeMap<usize, usize>> = BTreeMap::new();
    // Dimensions on one axis vote first, then products with one unknown left.
    loop {
        for dim in &dims {
            if let Ok(Some((axis, width))) = dim.solve(&known) {
                *votes.entry(axis).or_default().entry(width).or_default() += 1;
            }
        }
        let found = known.len();
        for (axis, votes) in std::mem::take(&mut votes) {
            let most = votes.into_iter().max_by_key(|(_, count)| *count);
            if let Some((width, _)) = most {
                let nowhere = Place {
                    path: "",
                    dim: None,
                };
                known.entry(axis).or_insert((width, nowhere));
            }
        }
        if known.len() == found {
            break;
        }
    }
    known
        .into_iter()
        .map(|(axis, (width, _))| (axis, width))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{ActiveFraction, Role};

    #[test]
    fn widths_follow_from_a_stored_one_through_any_number_of_products() {
        let product = |path: &str, axes: [&str; 2], size| {
            let terms = axes.map(|axis| Term::Axis(axis.into())).to_vec();
            let kind = RoleKind::FanOut;
            let parts = vec![Part { kind, terms }];
            ParamBlueprint {
                path: path.into(),
                shape: vec![size],
                roles: vec![Some(Role { parts })],
                active: ActiveFraction::default(),
            }
        };
        // The one that needs the other comes first.
        let params = [
            product("late", ["b", "c"], 15),
            product("early", ["a", "b"], 6),
        ];
        let stored = Constant {
            path: "width".into(),
            axis: "a".into(),
            value: 2,
        };
        let found = widths(&params, &[stored], &[]).expect("all follow");
        let expected = [("a", 2), ("b", 3), ("c", 5)];
        assert_eq!(
            found,
            expected.map(|(axis, width)| (axis.into(), width)).into()
        );
        let error = widths(&params, &[], &[]).expect_err("nothing to begin with");
        assert!(
            matches!(error, GrowError::UndeterminedAxis { .. }),
            "{error}"
        );
    }
}
