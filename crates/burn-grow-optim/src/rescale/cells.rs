//! Blocks of coordinates that follow one region.

use core::ops::Range;

use crate::region::Region;

/// A block of coordinates that follows one region.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell<const D: usize> {
    pub(crate) ranges: [Range<usize>; D],
    /// The region, by index.
    pub(crate) region: usize,
}

/// The coordinates of a tensor of `shape` that follow a region rather than the base rate, in
/// blocks.
///
/// A coordinate is new in a region if it is new along any dimension, and follows the newest region
/// it is new in.
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
mod tests {
    use super::*;
    use crate::region::tests::region;

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
    fn new_rows_are_one_cell() {
        let region = region(&[&[2, 2], &[3, 3]]);
        let ranges: Vec<_> = cells(&[region], [4, 6])
            .into_iter()
            .map(|cell| cell.ranges)
            .collect();
        assert_eq!(ranges, [[0..2, 3..6], [2..4, 0..6]]);
    }
}
