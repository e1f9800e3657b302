//! Causal attention of one batch item, four queries at a time against blocks of 16 keys.

use super::simd::{Kernel, LANES, Lanes, add_scaled, exp, largest, sum};

/// The queries handled at once.
pub(super) const ROWS: usize = 4;

/// The sizes of one batch item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub(super) seq: usize,
    pub(super) n_heads: usize,
    pub(super) n_kv_heads: usize,
    pub(super) head_dim: usize,
}

impl Heads {
    /// The numbers in the queries: `[seq, n_heads, head_dim]`.
    pub(super) fn queries(&self) -> usize {
        self.seq * self.n_heads * self.head_dim
    }

    /// The numbers in the keys: `[seq, n_kv_heads, head_dim]`.
    pub(super) fn keys(&self) -> usize {
        self.seq * self.n_kv_heads * self.head_dim
    }

    /// About how many multiplications the forward pass takes.
    pub(super) fn work(&self) -> usize {
        self.queries() * self.seq
    }

    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// The blocks that hold `keys` keys.
    #[inline(always)]
    pub(super) fn blocks(keys: usize) -> usize {
        keys.div_ceil(LANES)
    }

    /// The blocks that hold one head of one position.
    #[inline(always)]
    pub(super) fn chunks(&self) -> usize {
        self.head_dim.div_ceil(LANES)
    }
}

pub(super) struct Forward<'a> {
    pub(super) heads: Heads,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) partition: &'a mut [f32],
}

/// A head of `[seq, count, head_dim]`, coordinate by coordinate in blocks of keys, times `scale`:
/// coordinate `c` of the keys of block `b` is `columns[b * head_dim + c]`.
#[inline(always)]
pub(super) fn columns(x: &[f32], count: usize, head: usize, dim: usize, scale: f32) -> Vec<Lanes> {
    let positions = x.chunks_exact(count * dim);
    let mut columns = vec![[0.0; LANES]; Heads::blocks(positions.len()) * dim];
    for (t, position) in positions.enumerate() {
        let block = &mut columns[t / LANES * dim..][..dim];
        for (column, x) in block.iter_mut().zip(&position[head * dim..][..dim]) {
            column[t % LANES] = x * scale;
        }
    }
    columns
}

/// A head of `[seq, count, head_dim]`, key by key in chunks of coordinates: chunk `c` of key `t` is
/// `rows[c * padded + t]`, `padded` the positions that fill blocks.
#[inline(always)]
pub(super) fn rows(x: &[f32], count: usize, head: usize, dim: usize) -> Vec<Lanes> {
    let positions = x.chunks_exact(count * dim);
    let padded = Heads::blocks(positions.len()) * LANES;
    let mut rows = vec![[0.0; LANES]; dim.div_ceil(LANES) * padded];
    for (t, position) in positions.enumerate() {
        for (chunk, x) in position[head * dim..][..dim].chunks(LANES).enumerate() {
            rows[chunk * padded + t][..x.len()].copy_from_slice(x);
        }
    }
    rows
}

/// Loads one head of four positions from `first` on, coordinate by coordinate, zeros past the end.
#[inline(always)]
pub(super) fn load(group: &mut [[f32; ROWS]], x: &[f32], count: usize, head: usize, first: usize) {
    let dim = group.len();
    for row in 0..ROWS {
        let at = ((first + row) * count + head) * dim;
        match x.get(at..at + dim) {
            Some(x) => {
                for (group, x) in group.iter_mut().zip(x) {
                    group[row] = *x;
                }
            }
            None => group.iter_mut().for_each(|group| group[row] = 0.0),
        }
    }
}

/// The products of four rows with one block of columns.
#[inline(always)]
pub(super) fn products(group: &[[f32; ROWS]], columns: &[Lanes]) -> [Lanes; ROWS] {
    let mut acc = [[0.0; LANES]; ROWS];
    for (rows, column) in group.iter().zip(columns) {
        for (acc, x) in acc.iter_mut().zip(rows) {
            add_scaled(acc, *x, column);
        }
    }
    acc
}

/// The sums of a chunk of rows, weighted by four rows of weights.
#[inline(always)]
pub(super) fn weighted(weights: &[Vec<f32>; ROWS], rows: &[Lanes]) -> [Lanes; ROWS] {
    let mut acc = [[0.0; LANES]; ROWS];
    let [w0, w1, w2, w3] = weights.each_ref().map(|row| &row[..rows.len()]);
    for (t, row) in rows.iter().enumerate() {
        for (acc, w) in acc.iter_mut().zip([w0[t], w1[t], w2[t], w3[t]]) {
            add_scaled(acc, w, row);
        }
    }
    acc
}

/// Writes the sums of a chunk of four heads from position `first` on, times `factor`.
#[inline(always)]
pub(super) fn store(
    out: &mut [f32],
    heads: &Heads,
    head: usize,
    first: usize,
    chunk: usize,
    sums: &[Lanes; ROWS],
    factors: &[f32; ROWS],
) {
    let from = chunk * LANES;
    let width = LANES.min(heads.head_dim - from);
    for row in 0..ROWS.min(heads.seq - first) {
        let at = ((first + row) * heads.n_heads + head) * heads.head_dim + from;
        for (out, sum) in out[at..at + width].iter_mut().zip(&sums[row]) {
            *out = sum * factors[row];
        }
    }
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let Heads {
            seq,
            n_heads,
            n_kv_heads,
            head_dim,
        } = self.heads;
        let heads = &self.heads;
        let padded = Heads::blocks(seq) * LANES;
        let mut weights: [Vec<f32>; ROWS] = core::array::from_fn(|_| vec![0.0; padded]);
        let mut queries = vec![[0.0; ROWS]; head_dim];
        for kv_head in 0..n_kv_heads {
            let keys = columns(self.k, n_kv_heads, kv_head, head_dim, heads.scale());
            let values = rows(self.v, n_kv_heads, kv_head, head_dim);
            let group = n_heads / n_kv_heads;
            for head in kv_head * group..(kv_head + 1) * group {
                for first in (0..seq).step_by(ROWS) {
                    load(&mut queries, self.q, n_heads, head, first);
                    let seen = (first + ROWS).min(seq);
                    let blocks = keys.chunks_exact(head_dim).take(Heads::blocks(seen));
                    for (block, keys) in blocks.enumerate() {
                        let scores = products(&queries, keys);
                        for (weights, scores) in weights.iter_mut().zip(&scores) {
                            weights[block * LANES..][..LANES].copy_from_slice(scores);
                        }
                    }
                    let mut factors = [0.0; ROWS];
                    for (row, weights) in weights.iter_mut().enumerate() {
                        let weights = &mut weights[..Heads::blocks(seen) * LANES];
                        let own = (first + row + 1).min(seq);
                        let most = largest(&weights[..own]);
                        for weight in weights.iter_mut() {
                            *weight = exp(*weight - most);
                        }
                        weights[own..].fill(0.0);
                        let mut total = [0.0; LANES];
                        for block in weights.as_chunks::<LANES>().0 {
                            add_scaled(&mut total, 1.0, block);
                        }
                        let total = sum(&total);
                        factors[row] = 1.0 / total;
                        if first + row < seq {
                            self.partition[head * seq + first + row] = most + total.ln();
                        }
                    }
                    for chunk in 0..heads.chunks() {
                        let sums = weighted(&weights, &values[chunk * padded..][..seen]);
                        store(self.out, heads, head, first, chunk, &sums, &factors);
                    }
                }
            }
        }
    }
}
