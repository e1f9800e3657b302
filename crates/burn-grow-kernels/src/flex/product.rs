//! Products of matrices.
//!
//! Every number of the answer is one chain of fused multiply-adds, in the order of the inner
//! dimension. So it is the same to the last bit whatever the width of the vectors is, and however
//! the rows are shared out. (Processors without the instruction multiply and add, and round twice.)
//!
//! The answer is made in tiles that stay in registers, 8 x 32 numbers with AVX-512 and 6 x 16
//! otherwise. A tile reads a panel of the right factor, which is as wide as the tile and copied
//! to where it is contiguous, and the rows of the left factor where they lie. Only a transposed
//! left factor is copied, into panels of its own.

use core::array;
use core::borrow::Borrow;
use core::ops::Range;

use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd};

use super::parallel::{for_each, pays};

/// How much of the inner dimension is done at once: a panel then fits the first cache.
const DEPTH: usize = 256;

/// The fewest and the most rows that a thread takes at once. Each time costs a copy of the right
/// factor.
const PIECE: [usize; 2] = [32, 192];

/// A matrix in the memory of somebody else.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// The distance of two rows as they are stored.
    stride: usize,
    /// The rows are stored as columns.
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A matrix of `values`, row by row.
    pub(crate) fn new(values: &'a [f32], columns: usize) -> Self {
        Self {
            values,
            rows: values.len() / columns,
            columns,
            stride: columns,
            transposed: false,
        }
    }

    /// The transposed matrix.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            transposed: !self.transposed,
            ..self
        }
    }

    /// Some of its rows.
    pub(crate) fn rows(self, rows: Range<usize>) -> Self {
        let step = if self.transposed { 1 } else { self.stride };
        Self {
            values: &self.values[rows.start * step..],
            rows: rows.len(),
            ..self
        }
    }

    /// Numbers that are stored side by side: `length` of them from `start` on, in the row `line` as
    /// it is stored.
    #[inline(always)]
    fn stored(&self, line: usize, start: usize, length: usize) -> &'a [f32] {
        &self.values[line * self.stride + start..][..length]
    }
}

/// `lhs rhs`, row by row.
pub(crate) fn product(lhs: Matrix, rhs: Matrix) -> Vec<f32> {
    let mut out = vec![0.0; lhs.rows * rhs.columns];
    multiply(lhs, rhs, &mut out);
    out
}

/// `out = lhs rhs`, row by row.
pub(crate) fn multiply(lhs: Matrix, rhs: Matrix, out: &mut [f32]) {
    share(lhs, rhs, out, false);
}

/// `out += lhs rhs`, row by row.
pub(crate) fn multiply_add(lhs: Matrix, rhs: Matrix, out: &mut [f32]) {
    share(lhs, rhs, out, true);
}

/// Shares the rows out to threads.
fn share(lhs: Matrix, rhs: Matrix, out: &mut [f32], add: bool) {
    debug_assert_eq!(lhs.columns, rhs.rows);
    debug_assert_eq!(out.len(), lhs.rows * rhs.columns);
    let work = lhs.rows * lhs.columns * rhs.columns;
    let piece = if pays(work) {
        let even = lhs.rows.div_ceil(rayon::current_num_threads());
        even.next_multiple_of(8).clamp(PIECE[0], PIECE[1])
    } else {
        lhs.rows
    };
    let pieces = out.chunks_mut(piece * rhs.columns).enumerate();
    for_each(pieces, work, |(index, out)| {
        let start = index * piece;
        let lhs = lhs.rows(start..lhs.rows.min(start + piece));
        let product = Product { lhs, rhs, out, add };
        AutoArch::new().dispatch(product);
    });
}

struct Product<'a> {
    lhs: Matrix<'a>,
    rhs: Matrix<'a>,
    out: &'a mut [f32],
    /// Adds to `out` instead of overwriting it.
    add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        // Few rows, as when text is generated token by token.
        let few = self.lhs.rows <= 2;
        match S::lanes32() {
            16 if few => self.run::<S, 2, 2, 32>(),
            8 if few => self.run::<S, 2, 2, 16>(),
            16 => self.run::<S, 8, 2, 32>(),
            8 => self.run::<S, 6, 2, 16>(),
            4 => self.run::<S, 6, 4, 16>(),
            _ => self.run::<S, 4, 4, 4>(),
        }
    }
}

impl Product<'_> {
    /// Makes the answer in tiles of `ROWS` rows and `VECTORS` vectors, which are `WIDTH` numbers.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize, const WIDTH: usize>(self) {
        let Self { lhs, rhs, out, add } = self;
        let columns = rhs.columns;
        let mut panel = [[0.0; WIDTH]; DEPTH];
        let mut left = Vec::new();
        // A transposed left factor is copied if it is read for many panels, and its rest always.
        let copied = match columns > 4 * WIDTH {
            true => 0,
            false => lhs.rows / ROWS * ROWS,
        };
        for from in (0..lhs.columns).step_by(DEPTH) {
            let depth = DEPTH.min(lhs.columns - from);
            let panel = &mut panel[..depth];
            if lhs.transposed {
                let blocks = (copied..lhs.rows).step_by(ROWS);
                left.resize(blocks.len() * depth, [0.0; ROWS]);
                for (block, row) in left.chunks_exact_mut(depth).zip(blocks) {
                    copy_lines(block, lhs, from, row, ROWS.min(lhs.rows - row));
                }
            }
            for column in (0..columns).step_by(WIDTH) {
                let width = WIDTH.min(columns - column);
                if rhs.transposed {
                    copy_transposed(panel, rhs, from, column, width);
                } else {
                    copy_lines(panel, rhs, from, column, width);
                }
                for row in (0..lhs.rows).step_by(ROWS) {
                    let tile = Tile {
                        out: &mut out[row * columns + column..],
                        stride: columns,
                        rows: ROWS.min(lhs.rows - row),
                        columns: width,
                        add: add || from > 0,
                    };
                    if lhs.transposed && row >= copied {
                        let left = &left[(row - copied) / ROWS * depth..][..depth];
                        tile.run::<S, _, ROWS, VECTORS, WIDTH>(panel, |k| &left[k]);
                    } else if lhs.transposed {
                        let column = |k: usize| {
                            let numbers = lhs.stored(from + k, row, ROWS).first_chunk();
                            numbers.expect("as many numbers as were asked for")
                        };
                        tile.run::<S, _, ROWS, VECTORS, WIDTH>(panel, column);
                    } else {
                        // The rest of the rows is filled with the last one, which is not stored.
                        let last = tile.rows - 1;
                        let left: [&[f32]; ROWS] =
                            array::from_fn(|r| lhs.stored(row + r.min(last), from, depth));
                        let column = |k: usize| -> [f32; ROWS] { array::from_fn(|r| left[r][k]) };
                        tile.run::<S, _, ROWS, VECTORS, WIDTH>(panel, column);
                    }
                }
            }
        }
    }
}

/// Copies the lines `from..` of a matrix as it is stored, `width` numbers from `start` on.
#[inline(always)]
fn copy_lines<const WIDTH: usize>(
    panel: &mut [[f32; WIDTH]],
    matrix: Matrix,
    from: usize,
    start: usize,
    width: usize,
) {
    for (k, line) in panel.iter_mut().enumerate() {
        if width == WIDTH {
            line.copy_from_slice(matrix.stored(from + k, start, WIDTH));
        } else {
            line[..width].copy_from_slice(matrix.stored(from + k, start, width));
        }
    }
}

/// The same, where lines and numbers have changed places.
#[inline(always)]
fn copy_transposed<const WIDTH: usize>(
    panel: &mut [[f32; WIDTH]],
    matrix: Matrix,
    from: usize,
    start: usize,
    width: usize,
) {
    // Squares of this side, which compile to shuffles.
    const SIDE: usize = 4;
    let depth = panel.len();
    let squares = width / SIDE * SIDE;
    for l in (0..squares).step_by(SIDE) {
        let lines: [&[f32]; SIDE] = array::from_fn(|i| matrix.stored(start + l + i, from, depth));
        for (q, rows) in panel.chunks_mut(SIDE).enumerate() {
            for (k, row) in rows.iter_mut().enumerate() {
                let column: [f32; SIDE] = array::from_fn(|i| lines[i][q * SIDE + k]);
                row[l..l + SIDE].copy_from_slice(&column);
            }
        }
    }
    for l in squares..width {
        let line = matrix.stored(start + l, from, depth);
        for (row, value) in panel.iter_mut().zip(line) {
            row[l] = *value;
        }
    }
}

/// A tile of the answer.
struct Tile<'a> {
    /// The answer from the tile's first number on.
    out: &'a mut [f32],
    /// The distance of two rows in it.
    stride: usize,
    rows: usize,
    columns: usize,
    /// Starts from what lies there, and from zero otherwise.
    add: bool,
}

impl Tile<'_> {
    /// Adds up the products of the panel with the columns of the left factor.
    #[inline(always)]
    fn run<S, L, const ROWS: usize, const VECTORS: usize, const WIDTH: usize>(
        self,
        panel: &[[f32; WIDTH]],
        left: impl Fn(usize) -> L,
    ) where
        S: Simd,
        L: Borrow<[f32; ROWS]>,
    {
        let lanes = WIDTH / VECTORS;
        let mut sums = [[0f32.splat::<S>(); VECTORS]; ROWS];
        if self.add {
            for (row, sums) in sums.iter_mut().enumerate().take(self.rows) {
                let mut start = [0.0; WIDTH];
                let out = &self.out[row * self.stride..][..self.columns];
                start[..self.columns].copy_from_slice(out);
                for (sum, start) in sums.iter_mut().zip(start.chunks_exact(lanes)) {
                    *sum = load(start);
                }
            }
        }
        for (k, right) in panel.iter().enumerate() {
            let left = left(k);
            let left = left.borrow();
            let right: [Vector<S, f32>; VECTORS] =
                array::from_fn(|v| load(&right[v * lanes..(v + 1) * lanes]));
            for r in 0..ROWS {
                let left = left[r].splat::<S>();
                for v in 0..VECTORS {
                    sums[r][v] = left.mul_add(right[v], sums[r][v]);
                }
            }
        }
        if self.rows == ROWS && self.columns == WIDTH {
            for (row, sums) in sums.iter().enumerate() {
                let out = &mut self.out[row * self.stride..][..WIDTH];
                for (out, sum) in out.chunks_exact_mut(lanes).zip(sums) {
                    store(*sum, out);
                }
            }
        } else {
            for (row, sums) in sums.iter().enumerate().take(self.rows) {
                let mut all = [0.0; WIDTH];
                for (all, sum) in all.chunks_exact_mut(lanes).zip(sums) {
                    store(*sum, all);
                }
                let out = &mut self.out[row * self.stride..][..self.columns];
                out.copy_from_slice(&all[..self.columns]);
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd>(numbers: &[f32]) -> Vector<S, f32> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(numbers))
}

#[inline(always)]
fn store<S: Simd>(vector: Vector<S, f32>, numbers: &mut [f32]) {
    numbers.copy_from_slice(bytemuck::cast_slice(bytemuck::bytes_of(&vector)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / 16_777_216.0 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    /// One chain of fused multiply-adds a number.
    fn naive(lhs: &[f32], rhs: &[f32], out: &mut [f32], [rows, depth, columns]: [usize; 3]) {
        for row in 0..rows {
            for column in 0..columns {
                let out = &mut out[row * columns + column];
                for k in 0..depth {
                    *out = lhs[row * depth + k].mul_add(rhs[k * columns + column], *out);
                }
            }
        }
    }

    fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
        let rows = values.len() / columns;
        (0..values.len())
            .map(|i| values[i % rows * columns + i / rows])
            .collect()
    }

    #[test]
    fn products_are_chains_of_fused_multiply_adds() {
        // Rests of tiles, of squares and of the depth that is done at once.
        for sizes in [
            [1, 1, 1],
            [2, 70, 40],
            [8, 4, 32],
            [9, 7, 33],
            [5, 256, 16],
            [17, 300, 50],
            [64, 515, 64],
            [400, 60, 70], // in several pieces
        ] {
            let [rows, depth, columns] = sizes;
            let (lhs, rhs) = (random(rows * depth, 1), random(depth * columns, 2));
            let (lhs_t, rhs_t) = (transposed(&lhs, depth), transposed(&rhs, columns));
            let start = random(rows * columns, 3);
            let mut sum = start.clone();
            naive(&lhs, &rhs, &mut sum, sizes);
            let mut plain = vec![0.0; rows * columns];
            naive(&lhs, &rhs, &mut plain, sizes);
            for lhs in [
                Matrix::new(&lhs, depth),
                Matrix::new(&lhs_t, rows).transposed(),
            ] {
                for rhs in [
                    Matrix::new(&rhs, columns),
                    Matrix::new(&rhs_t, depth).transposed(),
                ] {
                    let mut out = start.clone();
                    multiply(lhs, rhs, &mut out);
                    assert_eq!(out, plain, "{sizes:?}");
                    out.copy_from_slice(&start);
                    multiply_add(lhs, rhs, &mut out);
                    assert_eq!(out, sum, "{sizes:?}");
                }
            }
        }
    }
}
