//! The map from new to old coordinates, written a second time, index by index.

use std::collections::BTreeSet;

use burn_grow::Plan;
use burn_grow::describe::{Axis, Part, RoleKind, Term};
use burn_grow::plan::ParamPlan;

/// Where a coordinate of an expanded tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Origin {
    /// The flat index of the old coordinate that it copies.
    pub source: usize,
    /// Whether it was there before the expansion.
    pub old: bool,
}

/// Where coordinate `index` of a dimension comes from whose size is the product of `terms`, each a width
/// before and after, under block copies.
pub fn along(mut index: usize, terms: &[[usize; 2]]) -> Origin {
    let mut origin = Origin {
        source: 0,
        old: true,
    };
    let mut stride = 1;
    for [old_width, new_width] in terms.iter().rev() {
        let unit = index % new_width;
        index /= new_width;
        origin.source += unit % old_width * stride;
        origin.old &= unit < *old_width;
        stride *= old_width;
    }
    assert_eq!(index, 0);
    origin
}

/// The widths before and after of every term of one part of a role.
pub fn terms(plan: &Plan, part: &Part) -> Vec<[usize; 2]> {
    let widths = |term: &Term| match term {
        Term::Fixed(size) => [*size; 2],
        Term::Axis(axis) => match plan.axis(axis) {
            Some(planned) => [planned.old_width(), planned.new_width()],
            None => [plan.widths()[axis]; 2],
        },
    };
    part.terms.iter().map(widths).collect()
}

/// Where every coordinate of the expanded parameter comes from, row by row.
pub fn origins(plan: &Plan, param: &ParamPlan) -> Vec<Origin> {
    let rank = param.new_shape.len();
    (0..param.new_shape.iter().product())
        .map(|mut flat: usize| {
            let mut origin = Origin {
                source: 0,
                old: true,
            };
            let mut stride = 1;
            for dim in (0..rank).rev() {
                let mut index = flat % param.new_shape[dim];
                flat /= param.new_shape[dim];
                let mut start = 0;
                for part in param.roles[dim].iter().flat_map(|role| &role.parts) {
                    let terms = terms(plan, part);
                    let size = |side: usize| terms.iter().map(|term| term[side]).product::<usize>();
                    if index < size(1) {
                        let within = along(index, &terms);
                        index = within.source;
                        origin.old &= within.old;
                        break;
                    }
                    index -= size(1);
                    start += size(0);
                }
                origin.source += (start + index) * stride;
                stride *= param.old_shape[dim];
            }
            origin
        })
        .collect()
}

/// The axes along which every coordinate of the expanded parameter is new, row by row.
pub fn new_along(plan: &Plan, param: &ParamPlan) -> Vec<BTreeSet<Axis>> {
    let rank = param.new_shape.len();
    let of = |mut flat: usize| {
        let mut axes = BTreeSet::new();
        for dim in (0..rank).rev() {
            let mut index = flat % param.new_shape[dim];
            flat /= param.new_shape[dim];
            for part in param.roles[dim].iter().flat_map(|role| &role.parts) {
                let sizes = terms(plan, part);
                let size: usize = sizes.iter().map(|term| term[1]).product();
                if index >= size {
                    index -= size;
                    continue;
                }
                for (term, [old_width, new_width]) in part.terms.iter().zip(sizes).rev() {
                    if let Term::Axis(axis) = term
                        && index % new_width >= old_width
                    {
                        axes.insert(axis.clone());
                    }
                    index /= new_width;
                }
                break;
            }
        }
        axes
    };
    (0..param.new_shape.iter().product()).map(of).collect()
}

/// What every coordinate of the expanded parameter is multiplied with, row by row, where every axis has
/// one factor; none if the parameter consumes no axis.
pub fn factors(plan: &Plan, param: &ParamPlan) -> Option<Vec<f64>> {
    let consumes = |part: &Part| part.kind == RoleKind::FanIn;
    let mut parts = param.roles.iter().flatten().flat_map(|role| &role.parts);
    if !parts.any(consumes) {
        return None;
    }
    let factor = |part: &Part| -> f64 {
        let axes = part.axes().filter_map(|axis| plan.axis(axis));
        let factors = axes.map(|axis| axis.factor().uniform().expect("one factor"));
        if consumes(part) {
            factors.product()
        } else {
            1.0
        }
    };
    let rank = param.new_shape.len();
    let of = |mut flat: usize| {
        let mut product = 1.0;
        for dim in (0..rank).rev() {
            let mut index = flat % param.new_shape[dim];
            flat /= param.new_shape[dim];
            for part in param.roles[dim].iter().flat_map(|role| &role.parts) {
                let size: usize = terms(plan, part).iter().map(|term| term[1]).product();
                if index < size {
                    product *= factor(part);
                    break;
                }
                index -= size;
            }
        }
        product
    };
    Some((0..param.new_shape.iter().product()).map(of).collect())
}
