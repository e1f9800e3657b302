use core::ops::Range;

use burn_grow_core::{ParamPlan, Plan};
use burn_optim::LearningRate;
use burn_pack::Scalar;

use crate::record::MAX_STEPS;
use crate::{BiasCorrection, Ramp, RewarmupSchedule, RewarmupScope};

/// The coordinates that one expansion added to a parameter, and their learning rate.
///
/// All scalars, so that a region travels in an optimizer record. It tells coordinates, not units: a later
/// expansion maps it along with everything else that has the parameter's shape. Where regions overlap,
/// the newest one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Which coordinates were there before the expansion, dimension by dimension.
    pub extents: Vec<Extent>,
    /// The optimizer steps taken since the expansion. As the step count of Adam, it counts those in which the parameter
    /// had a gradient: an expert in a module of its own that no token meets does not age.
    pub age: usize,
    /// The steps that the optimizer had counted for the parameter at the expansion.
    pub count: usize,
    /// The base rate at the expansion, known from the first step on.
    pub start: Option<LearningRate>,
    /// The learning rate of the region.
    pub ramp: Ramp,
}

/// The old part of one dimension: the lengths of the runs of old and new coordinates in turn, old
/// first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The lengths.
    pub runs: Vec<usize>,
}

impl Extent {
    /// The runs of these coordinates, each old or not.
    fn of(old: impl IntoIterator<Item = bool>) -> Self {
        let mut runs = vec![0];
        let mut last = true;
        for old in old {
            if old != last {
                runs.push(0);
                last = old;
            }
            *runs
                .last_mut()
                .unwrap_or_else(|| unreachable!("starts with one")) += 1;
        }
        Self { runs }
    }

    /// Whether each coordinate was there before the expansion.
    pub(crate) fn is_old(&self) -> impl Iterator<Item = bool> + '_ {
        self.runs
            .iter()
            .enumerate()
            .flat_map(|(index, run)| core::iter::repeat_n(index % 2 == 0, *run))
    }
}

impl Region {
    /// The region that an expansion adds to `param`; none if nothing of it is re-warmed.
    pub(crate) fn of(plan: &Plan, param: &ParamPlan, ramp: Ramp, count: usize) -> Option<Self> {
        if ramp.scope == RewarmupScope::NewCoordinates && !param.grows() {
            return None;
        }
        let extents = (0..param.roles.len()).map(|dim| match ramp.scope {
            RewarmupScope::NewCoordinates => match plan.kept(param, dim) {
                Some(kept) => Extent::of(kept),
                None => Extent::of(core::iter::repeat_n(true, param.new_shape[dim])),
            },
            RewarmupScope::All => Extent::of(core::iter::repeat_n(false, param.new_shape[dim])),
        });
        Some(Self {
            extents: extents.collect(),
            age: 0,
            count,
            start: None,
            ramp,
        })
    }

    /// Whether the region tells about every coordinate of a parameter of `shape` and no other, and counts
    /// as a run can.
    pub(crate) fn fits(&self, shape: &[usize]) -> bool {
        let counts = [self.age, self.count, self.ramp.steps, self.ramp.horizon];
        let size = |extent: &Extent| {
            let mut runs = extent.runs.iter();
            runs.try_fold(0_usize, |sum, run| sum.checked_add(*run))
        };
        counts.iter().all(|count| *count <= MAX_STEPS)
            && self.extents.len() == shape.len()
            && self
                .extents
                .iter()
                .zip(shape)
                .all(|(extent, whole)| size(extent) == Some(*whole))
    }

    /// The region after a later expansion: a copy is as old as what it copies.
    pub(crate) fn expanded(&self, plan: &Plan, param: &ParamPlan) -> Self {
        let mut next = self.clone();
        for (dim, extent) in next.extents.iter_mut().enumerate() {
            if let Some(source) = plan.source(param, dim) {
                let old: Vec<bool> = extent.is_old().collect();
                *extent = Extent::of(source.into_iter().map(|old_index| {
                    // What is drawn is new in the newest region, whatever it is here.
                    old_index.is_none_or(|index| old[index])
                }));
            }
        }
        next
    }

    /// The rate for one more step at base rate `base`.
    pub(crate) fn advance(&mut self, base: LearningRate) -> LearningRate {
        let start = *self.start.get_or_insert(base);
        let rate = self.ramp.step_rate(self.age, self.count, start, base);
        self.age += 1;
        rate
    }

    /// The named scalars that a record holds for the region.
    pub(crate) fn scalars(&self) -> Vec<(String, Scalar)> {
        let mut scalars: Vec<(String, Scalar)> = vec![
            ("age".into(), self.age.into()),
            ("count".into(), self.count.into()),
            ("rho".into(), self.ramp.rho.into()),
            ("steps".into(), self.ramp.steps.into()),
            ("horizon".into(), self.ramp.horizon.into()),
            ("all".into(), (self.ramp.scope == RewarmupScope::All).into()),
        ];
        let numbers = [
            self.ramp.bias_correction.numbers(),
            self.ramp.schedule.numbers(),
        ]
        .concat();
        let start = self.start.map(|start| ("start", start));
        for (name, number) in numbers.into_iter().chain(start) {
            scalars.push((name.into(), number.into()));
        }
        for (dim, extent) in self.extents.iter().enumerate() {
            for (index, run) in extent.runs.iter().enumerate() {
                scalars.push((format!("{dim}.{index}"), (*run).into()));
            }
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
        let count = size("count")?;
        let steps = size("steps")?;
        let horizon = size("horizon")?;
        let extents = (0..rank).map(|dim| {
            let runs = (0..).map_while(|index| size(&format!("{dim}.{index}")));
            Extent {
                runs: runs.collect(),
            }
        });
        let extents = extents.collect();
        let all = bool::try_from(scalar("all")?).ok()?;
        let mut rate = |name: &str| f64::try_from(scalar(name)?).ok();
        Some(Self {
            extents,
            age,
            count,
            start: rate("start"),
            ramp: Ramp {
                schedule: match (rate("min_lr"), rate("peak")) {
                    (None, _) => RewarmupSchedule::Proportional,
                    (Some(min_lr), None) => RewarmupSchedule::Cosine { min_lr },
                    (Some(min_lr), Some(peak)) => RewarmupSchedule::Remapped {
                        peak,
                        min_lr,
                        progress: rate("progress"),
                        within: rate("within")?,
                    },
                },
                rho: rate("rho")?,
                steps,
                horizon,
                scope: if all {
                    RewarmupScope::All
                } else {
                    RewarmupScope::NewCoordinates
                },
                bias_correction: match (rate("beta_1"), rate("beta_2")) {
                    (Some(beta_1), Some(beta_2)) => BiasCorrection::Restarted { beta_1, beta_2 },
                    _ => BiasCorrection::Shared,
                },
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

/// How many [`cells`] there are at most, without making them.
pub(crate) fn most_cells<const D: usize>(regions: &[Region], shape: [usize; D]) -> usize {
    let segments = (0..D).map(|dim| segments(regions, dim, shape[dim]).len());
    segments.fold(1, usize::saturating_mul)
}

/// The runs of coordinates along one dimension with the newest region they are new in, from one, or
/// zero.
fn segments(regions: &[Region], dim: usize, size: usize) -> Vec<(Range<usize>, usize)> {
    let mut newest = vec![0; size];
    for (index, region) in regions.iter().enumerate() {
        for (newest, old) in newest.iter_mut().zip(region.extents[dim].is_old()) {
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

    /// Runs of old and new coordinates, dimension by dimension.
    pub(crate) fn region(runs: &[&[usize]]) -> Region {
        let extents = runs.iter().map(|runs| Extent {
            runs: runs.to_vec(),
        });
        Region {
            extents: extents.collect(),
            age: 0,
            count: 0,
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
                    let new =
                        |dim: usize, at: usize| region.extents[dim].is_old().nth(at) == Some(false);
                    new(0, row) || new(1, column)
                }));
            }
        }
        out
    }

    #[test]
    fn cells_cover_exactly_the_coordinates_of_each_region() {
        let table = [
            (vec![region(&[&[2, 2], &[3, 3]])], [4, 6]),
            (vec![region(&[&[2, 2, 2, 2], &[6]])], [8, 6]),
            (vec![region(&[&[1, 2, 1, 2], &[2, 4, 2, 4]])], [6, 12]),
            (
                vec![
                    region(&[&[2, 4], &[4, 4]]),
                    region(&[&[3, 3], &[4, 4]]),
                    region(&[&[6], &[4, 4]]),
                ],
                [6, 8],
            ),
            (
                vec![region(&[&[2, 2], &[6]]), region(&[&[0, 4], &[0, 6]])],
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
    fn a_region_comes_back_from_its_scalars() {
        let schedules = [
            Rewarmup::proportional(),
            Rewarmup::cosine(1e-4),
            Rewarmup::cosine(1e-4).with_restarted_bias_correction(0.9, 0.95),
            Rewarmup::faster_decay(1.0, 0.1, 0.25),
            Rewarmup::remapped(1.0, 0.1, 0.3),
        ];
        for schedule in schedules {
            let mut region = region(&[&[2, 1, 2, 1], &[0, 4]]);
            region.ramp = schedule.ramp(10, 100);
            region.count = 10;
            for start in [None, Some(0.5)] {
                region.start = start;
                let scalars: std::collections::BTreeMap<_, _> =
                    region.scalars().into_iter().collect();
                let back = Region::from_scalars(2, |name| scalars.get(name).copied());
                assert_eq!(back.as_ref(), Some(&region));
            }
        }
    }

    #[test]
    fn new_rows_are_one_cell() {
        let region = region(&[&[2, 2], &[3, 3]]);
        let ranges: Vec<_> = cells(&[region], [4, 6])
            .into_iter()
            .map(|cell| cell.ranges)
            .collect();
        assert_eq!(ranges, [[0..2, 3..6], [2..4, 0..6]]);
    }
}
