//! The map from new to old coordinates, written a second time, index by index.

use burn_grow::{ParamPlan, Plan};

/// Where a coordinate of an expanded tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Origin {
    /// The flat index of the old coordinate that it copies.
    pub source: usize,
    /// Whether it was there before the expansion.
    pub old: bool,
}

/// Where coordinate `index` of a dimension `groups x new_width x unit` comes from.
pub fn along(
    index: usize,
    [groups, unit]: [usize; 2],
    [old_width, new_width]: [usize; 2],
) -> Origin {
    let (within, rest) = (index % unit, index / unit);
    let (copy, group) = (rest % new_width, rest / new_width);
    assert!(group < groups);
    Origin {
        source: (group * old_width + copy % old_width) * unit + within,
        old: copy < old_width,
    }
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
                let index = flat % param.new_shape[dim];
                flat /= param.new_shape[dim];
                let axis = param.roles[dim]
                    .as_ref()
                    .and_then(|role| Some((role, plan.axis(&role.axis)?)));
                let coordinate = match axis {
                    Some((role, axis)) => along(
                        index,
                        [role.layout.groups, role.layout.unit],
                        [axis.old_width(), axis.new_width()],
                    ),
                    None => Origin {
                        source: index,
                        old: true,
                    },
                };
                origin.source += coordinate.source * stride;
                origin.old &= coordinate.old;
                stride *= param.old_shape[dim];
            }
            origin
        })
        .collect()
}
