use std::collections::HashMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::dimension::{Content, Coordinate};

/// A generator for what `key` names, a path or an axis: the same numbers on every replica and device.
pub(crate) fn generator(seed: u64, key: &str) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    // FNV-1a, because the standard library's hashes may change with its version.
    let stream = key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    generator.set_stream(stream);
    generator
}

/// Standard normal numbers, drawn for `key`.
pub(crate) fn normals(seed: u64, key: &str) -> impl Iterator<Item = f64> {
    let mut generator = generator(seed, key);
    core::iter::repeat_with(move || StandardNormal.sample(&mut generator))
}

/// The mean and the standard deviation of `values`.
pub(crate) fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares = values.map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / count).sqrt())
}

/// Writes the drawn coordinates of a parameter of `old` values into `values`, its new ones so far.
///
/// A coordinate that copies a drawn one along some dimension gets the same number, so that copies stay
/// copies.
pub(crate) fn draw(
    dims: &[Vec<Coordinate>],
    (old, old_shape): (&[f64], &[usize]),
    values: &mut [f64],
    mut normals: impl Iterator<Item = f64>,
) {
    let new_shape: Vec<usize> = dims.iter().map(Vec::len).collect();
    let strides = strides(&new_shape);
    let whole = moments(old.iter().copied());
    let mut columns: HashMap<Vec<Option<usize>>, (f64, f64)> = HashMap::new();
    for flat in 0..values.len() {
        let coordinates =
            (0..dims.len()).map(|dim| dims[dim][flat / strides[dim] % new_shape[dim]]);
        let content = coordinates
            .clone()
            .map(|coordinate| coordinate.content)
            .max();
        let Some(content @ (Content::Drawn | Content::Symbol)) = content else {
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
            let (mean, deviation) = if content == Content::Drawn {
                whole
            } else {
                let fixed: Vec<_> = coordinates.map(|coordinate| coordinate.kept()).collect();
                *columns
                    .entry(fixed)
                    .or_insert_with_key(|fixed| moments(column(old, old_shape, fixed)))
            };
            mean + deviation * normals.next().unwrap_or_default()
        };
    }
}

/// The values at the `fixed` coordinates, over all others.
fn column<'a>(
    values: &'a [f64],
    shape: &'a [usize],
    fixed: &'a [Option<usize>],
) -> impl Iterator<Item = f64> + Clone + 'a {
    let strides = strides(shape);
    let inside = move |flat: &usize| {
        let mut dims = fixed.iter().enumerate();
        dims.all(|(dim, fixed)| fixed.is_none_or(|at| flat / strides[dim] % shape[dim] == at))
    };
    (0..values.len()).filter(inside).map(|flat| values[flat])
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
    fn a_key_names_a_stream() {
        let first = |seed, key| normals(seed, key).take(4).collect::<Vec<_>>();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
        let (mean, deviation) =
            moments(normals(0, "").take(100_000).collect::<Vec<_>>().into_iter());
        assert!(
            mean.abs() < 0.01 && (deviation - 1.0).abs() < 0.01,
            "{mean} {deviation}"
        );
    }
}
