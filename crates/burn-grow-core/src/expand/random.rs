//! Random initialization of new coordinates.

use std::collections::HashMap;
use std::rc::Rc;

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
    let Some((row, outer)) = dims.split_last() else {
        return;
    };
    let outer_shape: Vec<usize> = outer.iter().map(Vec::len).collect();
    let outer_strides = strides(&outer_shape);
    let all: Vec<usize> = (0..row.len()).collect();
    let random: Vec<usize> = (0..row.len()).filter(|at| row[*at].is_random()).collect();
    let mut whole = None;
    let mut columns: HashMap<Vec<bool>, Rc<Columns>> = HashMap::new();
    for number in 0..outer_shape.iter().product() {
        let around = outer.iter().zip(&outer_strides);
        let around = around.map(|(dim, stride)| dim[number / stride % dim.len()]);
        let around: Vec<Coordinate> = around.collect();
        let content_around = around.iter().map(|coordinate| coordinate.content).max();
        let roots = around.iter().zip(&outer_strides);
        let root_around: usize = roots.map(|(root, stride)| root.root * stride).sum();
        let kept: Vec<Option<usize>> = around.iter().map(Coordinate::kept).collect();
        // Those of this row: where the coordinate along it is not fixed, and where it is.
        let mut columns_of_row = [None, None];
        let places = match around.iter().any(Coordinate::is_random) {
            true => &all,
            false => &random,
        };
        for at in places {
            let coordinate = row[*at];
            let content = Some(coordinate.content).max(content_around);
            let Some(content @ (Content::Random | Content::Symbol)) = content else {
                continue;
            };
            let flat = number * row.len() + at;
            let root = root_around * row.len() + coordinate.root;
            // A root comes before its copies.
            values[flat] = if root < flat {
                values[root]
            } else {
                let (mean, deviation) = if content == Content::Random {
                    *whole
                        .get_or_insert_with(|| moments((0..old.count()).map(|index| old.at(index))))
                } else {
                    let along = coordinate.kept();
                    let (columns, first) = columns_of_row[usize::from(along.is_some())]
                        .get_or_insert_with(|| {
                            let fixed = kept.iter().chain([&along]).map(Option::is_some);
                            let fixed: Vec<bool> = fixed.collect();
                            let columns = columns.entry(fixed).or_insert_with_key(|fixed| {
                                Rc::new(Columns::of(old, old_shape, fixed))
                            });
                            (columns.clone(), columns.place(&kept))
                        });
                    columns.moments[*first + columns.place_along(along)]
                };
                V::of(mean + deviation * normals.next().unwrap_or_default())
            };
        }
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
        let mut sums = vec![(0.0, 0.0); sizes.iter().product()];
        each(values, shape, &own, |column, value| sums[column].0 += value);
        let count = (values.count() / sums.len().max(1)).max(1) as f64;
        for (mean, _) in &mut sums {
            *mean /= count;
        }
        each(values, shape, &own, |column, value| {
            let (mean, squares) = &mut sums[column];
            *squares += (value - *mean).powi(2);
        });
        for (_, deviation) in &mut sums {
            *deviation = (*deviation / count).sqrt();
        }
        Self {
            strides: own,
            moments: sums,
        }
    }

    /// Returns the place of the first column at these coordinates of the dimensions around a row.
    fn place(&self, around: &[Option<usize>]) -> usize {
        let places = around.iter().zip(&self.strides);
        places.map(|(at, stride)| at.unwrap_or(0) * stride).sum()
    }

    /// Returns how much further the column at this coordinate of a row is.
    fn place_along(&self, along: Option<usize>) -> usize {
        along.unwrap_or(0) * self.strides.last().copied().unwrap_or(0)
    }
}

/// Visits the values of a tensor of `shape` in their order, each with the place that `own` strides
/// give it.
fn each(
    values: &(impl OldValues + ?Sized),
    shape: &[usize],
    own: &[usize],
    mut visit: impl FnMut(usize, f64),
) {
    let (row, outer) = match shape.split_last() {
        Some((row, outer)) => (*row, outer),
        None => (1, shape),
    };
    let along = own.last().copied().unwrap_or(0);
    let all = strides(outer);
    for number in 0..outer.iter().product() {
        let dims = all.iter().zip(outer).zip(own);
        let first: usize = dims
            .map(|((stride, size), own)| number / stride % size * own)
            .sum();
        for at in 0..row {
            visit(first + at * along, values.at(number * row + at));
        }
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
            let place = outer.place(&[None, Some(j)]) + outer.place_along(None);
            assert_eq!(outer.moments[place], moments(column));
        }
        let inner = Columns::of(values.as_slice(), &[2, 3, 4], &[true, false, true]);
        for (i, k) in [(0, 0), (1, 2), (1, 3)] {
            let column = (0..3).map(|j| flat([i, j, k]));
            let place = inner.place(&[Some(i), None]) + inner.place_along(Some(k));
            assert_eq!(inner.moments[place], moments(column));
        }
    }
}
