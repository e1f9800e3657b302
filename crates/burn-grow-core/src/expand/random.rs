//! Random initialization of new coordinates.

use std::collections::HashMap;

use crate::plan::coordinates::{Content, Coordinate, fixed};
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::random::normals;

/// Tells if the plan makes some coordinate random.
pub(super) fn is_random(dims: &[Option<Vec<Coordinate>>]) -> bool {
    dims.iter().flatten().flatten().any(Coordinate::is_random)
}

/// The old values of a parameter, wherever they are.
pub(super) trait OldValues {
    fn count(&self) -> usize;

    fn at(&self, index: usize) -> f64;
}

impl OldValues for [f64] {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> f64 {
        self[index]
    }
}

/// A new value.
pub(super) trait NewValue: Copy {
    fn of(value: f64) -> Self;
}

impl NewValue for f64 {
    fn of(value: f64) -> Self {
        value
    }
}

impl NewValue for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
}

/// Writes the coordinates of `param` that the plan makes random into `values`, by the moments of
/// its `old` values.
pub(super) fn draw<V: NewValue>(
    plan: &Plan,
    param: &ParamPlan,
    dims: &[Option<Vec<Coordinate>>],
    old: &(impl OldValues + ?Sized),
    values: &mut [V],
) {
    let dims = dims.iter().zip(&param.old_shape);
    let dims: Vec<_> = dims
        .map(|(dim, size)| dim.clone().unwrap_or_else(|| fixed(*size)))
        .collect();
    let normals = normals(plan.seed(), &param.path);
    randomize(&dims, (old, &param.old_shape), values, normals);
}

/// Computes the mean and the standard deviation of `values`.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares = values.map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / count).sqrt())
}

/// Writes the random coordinates of a parameter into `values`, its new values so far.
///
/// A random coordinate has the mean and the standard deviation of the `old` values. One that copies
/// a random coordinate along some dimension gets the same number, so that copies stay copies.
fn randomize<V: NewValue>(
    dims: &[Vec<Coordinate>],
    (old, old_shape): (&(impl OldValues + ?Sized), &[usize]),
    values: &mut [V],
    mut normals: impl Iterator<Item = f64>,
) {
    let new_shape: Vec<usize> = dims.iter().map(Vec::len).collect();
    let strides = strides(&new_shape);
    let whole = moments((0..old.count()).map(|index| old.at(index)));
    let mut columns: HashMap<Vec<bool>, Columns> = HashMap::new();
    for flat in Drawn::of(dims).places() {
        let coordinates =
            (0..dims.len()).map(|dim| dims[dim][flat / strides[dim] % new_shape[dim]]);
        let content = coordinates
            .clone()
            .map(|coordinate| coordinate.content)
            .max();
        let Some(content @ (Content::Random | Content::Symbol)) = content else {
            continue;
        };
        let roots = coordinates.clone().map(|coordinate| coordinate.root);
        let root: usize = roots
            .zip(&strides)
            .map(|(root, stride)| root * stride)
            .sum();
        // A root comes before its copies.
        values[flat] = if root < flat {
            values[root]
        } else {
            let (mean, deviation) = if content == Content::Random {
                whole
            } else {
                let kept: Vec<_> = coordinates.map(|coordinate| coordinate.kept()).collect();
                let fixed = kept.iter().map(Option::is_some).collect();
                columns
                    .entry(fixed)
                    .or_insert_with_key(|fixed| Columns::of(old, old_shape, fixed))
                    .moments(&kept)
            };
            V::of(mean + deviation * normals.next().unwrap_or_default())
        };
    }
}

/// The coordinates that may be random, row by row.
struct Drawn<'a> {
    /// The dimensions around a row.
    outer: &'a [Vec<Coordinate>],
    strides: Vec<usize>,
    /// All coordinates of a row.
    all: Vec<usize>,
    /// Those that are random in every row.
    random: Vec<usize>,
}

impl<'a> Drawn<'a> {
    fn of(dims: &'a [Vec<Coordinate>]) -> Self {
        let (row, outer): (&[Coordinate], &[_]) = match dims.split_last() {
            Some((row, outer)) => (row, outer),
            None => (&[], &[]),
        };
        let sizes: Vec<usize> = outer.iter().map(Vec::len).collect();
        let random = (0..row.len()).filter(|at| row[*at].is_random());
        Self {
            outer,
            strides: strides(&sizes),
            all: (0..row.len()).collect(),
            random: random.collect(),
        }
    }

    /// Iterates over the places in memory, in their order.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let rows: usize = self.outer.iter().map(Vec::len).product();
        (0..rows).flat_map(move |row| {
            let mut dims = self.outer.iter().zip(&self.strides);
            let random = dims.any(|(dim, stride)| dim[row / stride % dim.len()].is_random());
            let places = if random { &self.all } else { &self.random };
            places.iter().map(move |at| row * self.all.len() + at)
        })
    }
}

/// The mean and the standard deviation of every column: of all values at one place along the fixed
/// dimensions.
struct Columns {
    /// Zero where a dimension is not fixed.
    strides: Vec<usize>,
    moments: Vec<(f64, f64)>,
}

impl Columns {
    /// Takes two passes over the values, however many columns there are.
    fn of(values: &(impl OldValues + ?Sized), shape: &[usize], fixed: &[bool]) -> Self {
        let sizes: Vec<usize> = shape
            .iter()
            .zip(fixed)
            .map(|(size, fixed)| if *fixed { *size } else { 1 })
            .collect();
        let mut own = strides(&sizes);
        for (stride, fixed) in own.iter_mut().zip(fixed) {
            *stride *= usize::from(*fixed);
        }
        let all = strides(shape);
        let column = |flat: usize| -> usize {
            let dims = all.iter().zip(shape).zip(&own);
            dims.map(|((stride, size), own)| flat / stride % size * own)
                .sum()
        };
        let mut sums = vec![(0.0, 0.0); sizes.iter().product()];
        for flat in 0..values.count() {
            sums[column(flat)].0 += values.at(flat);
        }
        let count = (values.count() / sums.len().max(1)).max(1) as f64;
        for (mean, _) in &mut sums {
            *mean /= count;
        }
        for flat in 0..values.count() {
            let (mean, squares) = &mut sums[column(flat)];
            *squares += (values.at(flat) - *mean).powi(2);
        }
        for (_, deviation) in &mut sums {
            *deviation = (*deviation / count).sqrt();
        }
        Self {
            strides: own,
            moments: sums,
        }
    }

    /// Returns the moments of the column at these coordinates of the fixed dimensions.
    fn moments(&self, at: &[Option<usize>]) -> (f64, f64) {
        let places = at.iter().zip(&self.strides);
        let place: usize = places.map(|(at, stride)| at.unwrap_or(0) * stride).sum();
        self.moments[place]
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim] * shape[dim];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_moments_of_their_values() {
        let values: Vec<f64> = normals(0, "a").take(24).collect();
        // Shape [2, 3, 4].
        let flat = |at: [usize; 3]| values[12 * at[0] + 4 * at[1] + at[2]];
        let outer = Columns::of(values.as_slice(), &[2, 3, 4], &[false, true, false]);
        for j in 0..3 {
            let column = (0..2)
                .flat_map(|i| (0..4).map(move |k| [i, j, k]))
                .map(flat);
            assert_eq!(outer.moments(&[None, Some(j), None]), moments(column));
        }
        let inner = Columns::of(values.as_slice(), &[2, 3, 4], &[true, false, true]);
        for (i, k) in [(0, 0), (1, 2), (1, 3)] {
            let column = (0..3).map(|j| flat([i, j, k]));
            assert_eq!(inner.moments(&[Some(i), None, Some(k)]), moments(column));
        }
    }
}
