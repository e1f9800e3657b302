//! Solves for the width of every axis, given the sizes of the dimensions it lies along.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::constants::Constant;
use super::param::ParamBlueprint;
use super::role::{Part, Role, Term};
use crate::error::GrowError;

/// The widths found so far, and the path that fixed each of them.
type Known<'a> = BTreeMap<Axis, (usize, &'a str)>;

/// Finds the width that all parameters and constants agree on, axis by axis.
///
/// A dimension with one unknown axis determines it, so a product of axes is solved once the others
/// are known. `widths` store the width of an axis that parameters lie on; `counts` are axes without
/// parameters.
pub(crate) fn widths(
    params: &[ParamBlueprint],
    widths: &[Constant<usize>],
    counts: &[Constant<usize>],
) -> Result<BTreeMap<Axis, usize>, GrowError> {
    let mut known: Known<'_> = BTreeMap::new();
    for count in counts {
        agree(&mut known, &count.axis, count.value, &count.path)?;
    }
    let dims = || dims(params);
    solve(params, &mut known)?;
    for constant in widths {
        let named = dims().any(|dim| dim.role.axes().any(|axis| *axis == constant.axis));
        if !named {
            return Err(GrowError::UnknownAxis {
                axis: constant.axis.clone(),
                known: known.into_keys().collect(),
            });
        }
        agree(&mut known, &constant.axis, constant.value, &constant.path)?;
    }
    // A constant may have been the missing factor of a product.
    solve(params, &mut known)?;
    for dim in dims() {
        dim.verify(&known)?;
    }
    Ok(known
        .into_iter()
        .map(|(axis, (width, _))| (axis, width))
        .collect())
}

/// Adds every width that follows from the known ones.
fn solve<'a>(params: &'a [ParamBlueprint], known: &mut Known<'a>) -> Result<(), GrowError> {
    loop {
        let found = known.len();
        for dim in dims(params) {
            if let Some((axis, width)) = dim.solve(known)? {
                known.insert(axis, (width, &dim.param.path));
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
            let role = role.as_ref()?;
            Some(Dim {
                param,
                dim,
                role,
                size: *size,
            })
        })
    })
}

/// One dimension with a role.
#[derive(Clone, Copy)]
struct Dim<'a> {
    param: &'a ParamBlueprint,
    dim: usize,
    role: &'a Role,
    size: usize,
}

impl Dim<'_> {
    /// Solves for the one unknown axis of the dimension. Returns `None` if no axis or several are
    /// unknown.
    fn solve(&self, known: &Known<'_>) -> Result<Option<(Axis, usize)>, GrowError> {
        let mut unknown = self.role.axes().filter(|axis| !known.contains_key(axis));
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
            .role
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
        if let Some(axis) = self.role.axes().find(|axis| !known.contains_key(axis)) {
            return Err(GrowError::UndeterminedAxis {
                path: self.param.path.clone(),
                dim: self.dim,
                axis: axis.clone(),
                role: self.role.to_string(),
            });
        }
        if self.role.size(|axis| known[axis].0) == self.size {
            return Ok(());
        }
        for axis in self.role.axes() {
            if let Some(found) = self.width(axis, known) {
                let (expected, other) = known[axis];
                return Err(GrowError::WidthDisagreement {
                    axis: axis.clone(),
                    path: self.param.path.clone(),
                    found,
                    other: other.to_owned(),
                    expected,
                });
            }
        }
        Err(self.layout())
    }

    fn layout(&self) -> GrowError {
        GrowError::Layout {
            path: self.param.path.clone(),
            dim: self.dim,
            size: self.size,
            role: self.role.to_string(),
        }
    }
}

fn agree<'a>(
    known: &mut Known<'a>,
    axis: &Axis,
    width: usize,
    path: &'a str,
) -> Result<(), GrowError> {
    let (expected, other) = *known.entry(axis.clone()).or_insert((width, path));
    if expected == width {
        return Ok(());
    }
    Err(GrowError::WidthDisagreement {
        axis: axis.clone(),
        path: path.to_owned(),
        found: width,
        other: other.to_owned(),
        expected,
    })
}

/// Finds the width that most dimensions and constants ask for, axis by axis, in a description that
/// may be wrong.
pub(crate) fn voted<'a>(
    params: &[ParamBlueprint],
    constants: impl Iterator<Item = &'a Constant<usize>>,
) -> BTreeMap<Axis, usize> {
    let mut known: Known<'_> = BTreeMap::new();
    let mut votes: BTreeMap<Axis, BTreeMap<usize, usize>> = BTreeMap::new();
    for constant in constants {
        let votes = votes.entry(constant.axis.clone()).or_default();
        *votes.entry(constant.value).or_default() += 1;
    }
    // Dimensions on one axis vote first, then products with one unknown left.
    loop {
        for dim in dims(params) {
            if let Ok(Some((axis, width))) = dim.solve(&known) {
                *votes.entry(axis).or_default().entry(width).or_default() += 1;
            }
        }
        let found = known.len();
        for (axis, votes) in std::mem::take(&mut votes) {
            let most = votes.into_iter().max_by_key(|(_, count)| *count);
            if let Some((width, _)) = most {
                known.entry(axis).or_insert((width, ""));
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
    use crate::describe::{ActiveFraction, RoleKind};

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
