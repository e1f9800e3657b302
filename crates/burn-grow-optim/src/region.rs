use core::ops::Range;

use burn_grow_core::{Layout, ParamPlan};
use burn_optim::LearningRate;
use burn_pack::Scalar;

use crate::{Ramp, RewarmupSchedule, RewarmupScope};

/// The coordinates that one expansion added to a parameter, and their learning rate.
///
/// All scalars, so that a region travels in an optimizer record. Old units keep their place on an
/// axis, so a region stays right when the parameter grows again; where regions overlap, the newest
/// one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Where the old coordinates end, dimension by dimension.
    pub extents: Vec<Extent>,
    /// The optimizer steps taken since the expansion.
    pub age: usize,
    /// The base rate at the expansion, known from the first step on.
    pub start: Option<LearningRate>,
    /// The learning rate of the region.
    pub ramp: Ramp,
}

/// The old part of one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The units that were there before the expansion.
    pub old_width: usize,
    /// How units lie along the dimension.
    pub layout: Layout,
}

impl Extent {
    /// Whether each of `size` coordinates was there before the expansion.
    fn is_old(&self, size: usize) -> Vec<bool> {
        let width = size / (self.layout.groups * self.layout.unit);
        let old_width = self.old_width;
        self.layout
            .units(width)
            .map(|unit| unit < old_width)
            .collect()
    }
}

impl Region {
    /// The region that an expansion adds to `param`; none if nothing of it is re-warmed.
    pub(crate) fn of(param: &ParamPlan, ramp: Ramp, scope: RewarmupScope) -> Option<Self> {
        if scope == RewarmupScope::NewCoordinates && !param.grows() {
            return None;
        }
        let extents = (0..param.roles.len()).map(|dim| {
            // In units, also where nothing grows yet: a later expansion may move coordinates.
            let layout = param.roles[dim]
                .as_ref()
                .map_or_else(Layout::default, |role| role.layout);
            let old_width = param.old_shape[dim] / layout.size(1);
            match scope {
                RewarmupScope::NewCoordinates => Extent { old_width, layout },
                RewarmupScope::All => Extent {
                    old_width: 0,
                    layout,
                },
            }
        });
        Some(Self {
            extents: extents.collect(),
            age: 0,
            start: None,
            ramp,
        })
    }

    /// The rate for one more step at base rate `base`.
    pub(crate) fn advance(&mut self, base: LearningRate) -> LearningRate {
        let start = *self.start.get_or_insert(base);
        let rate = self.ramp.rate(self.age, start, base);
        self.age += 1;
        rate
    }

    /// The named scalars that a record holds for the region.
    pub(crate) fn scalars(&self) -> Vec<(String, Scalar)> {
        let mut scalars: Vec<(String, Scalar)> = vec![
            ("age".into(), self.age.into()),
            ("rho".into(), self.ramp.rho.into()),
            ("steps".into(), self.ramp.steps.into()),
            ("horizon".into(), self.ramp.horizon.into()),
        ];
        if let Some(start) = self.start {
            scalars.push(("start".into(), start.into()));
        }
        if let RewarmupSchedule::Cosine { min_lr } = self.ramp.schedule {
            scalars.push(("min_lr".into(), min_lr.into()));
        }
        for (dim, extent) in self.extents.iter().enumerate() {
            scalars.push((format!("{dim}.old"), extent.old_width.into()));
            scalars.push((format!("{dim}.groups"), extent.layout.groups.into()));
            scalars.push((format!("{dim}.unit"), extent.layout.unit.into()));
        }
        scalars
    }

    /// Rebuilds a region of a parameter of `rank` dimensions from its scalars.
    pub(crate) fn from_scalars(
        rank: usize,
        mut scalar: impl FnMut(&str) -> Option<Scalar>,
    ) -> Option<Self> {
        let mut size = |name: &str| usize::try_from(scalar(name)?).ok();
        let age = size("age")?;
        let steps = size("steps")?;
        let horizon = size("horizon")?;
        let extents = (0..rank)
            .map(|dim| {
                Some(Extent {
                    old_width: size(&format!("{dim}.old"))?,
                    layout: Layout {
                        groups: size(&format!("{dim}.groups"))?,
                        unit: size(&format!("{dim}.unit"))?,
                    },
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let mut rate = |name: &str| f64::try_from(scalar(name)?).ok();
        Some(Self {
            extents,
            age,
            start: rate("start"),
            ramp: Ramp {
                schedule: match rate("min_lr") {
                    Some(min_lr) => RewarmupSchedule::Cosine { min_lr },
                    None => RewarmupSchedule::Proportional,
                },
                rho: rate("rho")?,
                steps,
                horizon,
            },
        })
    }
}

/// A block of coordinates that follows one region.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell<const D: usize> {
    pub(crate) ranges: [Range<usize>; D],
    /// The region, by index.
    pub(crate) region: usize,
}

/// The coordinates of a tensor of `shape` that follow a region rather than the base rate, in blocks.
///
/// A coordinate is new in a region if it is new along any dimension, and follows the newest region it
/// is new in.
pub(crate) fn cells<const D: usize>(regions: &[Region], shape: [usize; D]) -> Vec<Cell<D>> {
    let mut cells = vec![Cell {
        ranges: core::array::from_fn(|_| 0..0),
        region: 0,
    }];
    // While they are built, `region` counts from one and zero is the base rate.
    for dim in 0..D {
        let segments = segments(regions, dim, shape[dim]);
        let mut finer: Vec<Cell<D>> = Vec::new();
        for cell in &cells {
            let first = finer.len();
            for (range, region) in &segments {
                let region = cell.region.max(*region);
                match finer[first..].last_mut() {
                    Some(last) if last.region == region => last.ranges[dim].end = range.end,
                    _ => {
                        let mut ranges = cell.ranges.clone();
                        ranges[dim] = range.clone();
                        finer.push(Cell { ranges, region });
                    }
                }
            }
        }
        cells = finer;
    }
    cells.retain(|cell| cell.region > 0);
    for cell in &mut cells {
        cell.region -= 1;
    }
    cells
}

/// The runs of coordinates along one dimension with the newest region they are new in, from one, or
/// zero.
fn segments(regions: &[Region], dim: usize, size: usize) -> Vec<(Range<usize>, usize)> {
    let mut newest = vec![0; size];
    for (index, region) in regions.iter().enumerate() {
        for (newest, old) in newest.iter_mut().zip(region.extents[dim].is_old(size)) {
            if !old {
                *newest = index + 1;
            }
        }
    }
    let mut segments: Vec<(Range<usize>, usize)> = Vec::new();
    for (index, region) in newest.into_iter().enumerate() {
        match segments.last_mut() {
            Some((range, last)) if *last == region => range.end = index + 1,
            _ => segments.push((index..index + 1, region)),
        }
    }
    segments
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Rewarmup;

    pub(crate) fn region(extents: &[(usize, usize, usize)]) -> Region {
        let extents = extents.iter().map(|(old_width, groups, unit)| Extent {
            old_width: *old_width,
            layout: Layout {
                groups: *groups,
                unit: *unit,
            },
        });
        Region {
            extents: extents.collect(),
            age: 0,
            start: None,
            ramp: Rewarmup::proportional().ramp(0, 1),
        }
    }

    /// The region of every coordinate, told coordinate by coordinate.
    fn naive(regions: &[Region], shape: [usize; 2]) -> Vec<Option<usize>> {
        let mut out = Vec::new();
        for row in 0..shape[0] {
            for column in 0..shape[1] {
                out.push(regions.iter().rposition(|region| {
                    !region.extents[0].is_old(shape[0])[row]
                        || !region.extents[1].is_old(shape[1])[column]
                }));
            }
        }
        out
    }

    #[test]
    fn cells_cover_exactly_the_coordinates_of_each_region() {
        let table = [
            (vec![region(&[(2, 1, 1), (3, 1, 1)])], [4, 6]),
            (vec![region(&[(1, 2, 2), (6, 1, 1)])], [8, 6]),
            (vec![region(&[(1, 2, 1), (1, 2, 2)])], [6, 12]),
            (
                vec![
                    region(&[(2, 1, 1), (4, 1, 1)]),
                    region(&[(3, 1, 1), (4, 1, 1)]),
                    region(&[(6, 1, 1), (4, 1, 1)]),
                ],
                [6, 8],
            ),
            (
                vec![
                    region(&[(2, 1, 1), (6, 1, 1)]),
                    region(&[(0, 1, 1), (0, 1, 1)]),
                ],
                [4, 6],
            ),
        ];
        for (regions, shape) in table {
            let mut found = vec![None; shape[0] * shape[1]];
            for cell in cells(&regions, shape) {
                for row in cell.ranges[0].clone() {
                    for column in cell.ranges[1].clone() {
                        let at = &mut found[row * shape[1] + column];
                        assert_eq!(*at, None, "cells overlap");
                        *at = Some(cell.region);
                    }
                }
            }
            assert_eq!(found, naive(&regions, shape));
        }
    }

    #[test]
    fn new_rows_are_one_cell() {
        let region = region(&[(2, 1, 1), (3, 1, 1)]);
        let ranges: Vec<_> = cells(&[region], [4, 6])
            .into_iter()
            .map(|cell| cell.ranges)
            .collect();
        assert_eq!(ranges, [[0..2, 3..6], [2..4, 0..6]]);
    }
}
