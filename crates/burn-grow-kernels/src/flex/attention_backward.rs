//! The backward pass of causal attention of one batch item, 64 queries at a time.

use super::attention_loops::{Heads, ROWS, columns, load, products, rows, store, weighted};
use super::simd::{Kernel, LANES, Lanes, add_scaled, exp, sum_of};

/// The queries whose weights are kept at once.
const QUERIES: usize = 64;

/// The loops of the backward pass: inputs and outputs of the forward pass, and the gradients.
pub(super) struct Backward<'a> {
    pub(super) heads: Heads,
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a [f32],
    pub(super) dout: &'a [f32],
    pub(super) partition: &'a [f32],
    pub(super) dq: &'a mut [f32],
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}

/// One number for every query that is kept and every key: block `b` of keys of query `i` is
/// `blocks[b * QUERIES + i]`.
type Kept = Vec<Lanes>;

/// A key head as its queries read it, and the gradients that it collects from them.
struct KeyHead {
    /// The keys by coordinate, times the scale.
    keys: Vec<Lanes>,
    /// The values by coordinate.
    values: Vec<Lanes>,
    /// The keys by key.
    key_rows: Vec<Lanes>,
    /// By coordinate.
    dkeys: Vec<Lanes>,
    /// By coordinate.
    dvalues: Vec<Lanes>,
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(mut self) {
        let Heads {
            seq,
            n_heads,
            n_kv_heads,
            head_dim,
        } = self.heads;
        let group = n_heads / n_kv_heads;
        let kept = vec![[0.0; LANES]; Heads::blocks(seq) * QUERIES];
        let (mut weights, mut slopes) = (kept.clone(), kept);
        for kv_head in 0..n_kv_heads {
            let keys = columns(self.k, n_kv_heads, kv_head, head_dim, self.heads.scale());
            let mut key_head = KeyHead {
                values: columns(self.v, n_kv_heads, kv_head, head_dim, 1.0),
                key_rows: rows(self.k, n_kv_heads, kv_head, head_dim),
                dkeys: vec![[0.0; LANES]; keys.len()],
                dvalues: vec![[0.0; LANES]; keys.len()],
                keys,
            };
            for head in kv_head * group..(kv_head + 1) * group {
                for start in (0..seq).step_by(QUERIES) {
                    self.queries(head, start, &key_head, &mut weights, &mut slopes);
                    let from = (head, start);
                    self.collect(self.q, from, &slopes, &mut key_head.dkeys);
                    self.collect(self.dout, from, &weights, &mut key_head.dvalues);
                }
            }
            let scale = self.heads.scale();
            unpack(
                &key_head.dkeys,
                self.dk,
                n_kv_heads,
                kv_head,
                head_dim,
                scale,
            );
            unpack(
                &key_head.dvalues,
                self.dv,
                n_kv_heads,
                kv_head,
                head_dim,
                1.0,
            );
        }
    }
}

impl Backward<'_> {
    /// Makes the weights of the queries from `start` on again, the gradients of their scores, and
    /// from these the gradients of the queries.
    #[inline(always)]
    fn queries(
        &mut self,
        head: usize,
        start: usize,
        key_head: &KeyHead,
        weights: &mut Kept,
        slopes: &mut Kept,
    ) {
        let Heads {
            seq,
            n_heads,
            head_dim,
            ..
        } = self.heads;
        let mut queries = vec![[0.0; ROWS]; head_dim];
        let mut grads = queries.clone();
        let padded = Heads::blocks(seq) * LANES;
        let mut slope_rows: [Vec<f32>; ROWS] = core::array::from_fn(|_| vec![0.0; padded]);
        for first in (start..seq.min(start + QUERIES)).step_by(ROWS) {
            load(&mut queries, self.q, n_heads, head, first);
            load(&mut grads, self.dout, n_heads, head, first);
            let mut partition = [0.0; ROWS];
            let mut agreement = [0.0; ROWS];
            for row in 0..ROWS.min(seq - first) {
                let at = ((first + row) * n_heads + head) * head_dim;
                let (out, dout) = (&self.out[at..at + head_dim], &self.dout[at..at + head_dim]);
                partition[row] = self.partition[head * seq + first + row];
                agreement[row] = sum_of(out, dout, |a, b| a * b);
            }
            let seen = (first + ROWS).min(seq);
            let blocks = Heads::blocks(seen);
            let columns = key_head.keys.chunks_exact(head_dim);
            let columns = columns.zip(key_head.values.chunks_exact(head_dim));
            for (block, (keys, values)) in columns.take(blocks).enumerate() {
                let mut scores = products(&queries, keys);
                let mut dweights = products(&grads, values);
                for row in 0..ROWS {
                    let (p, ds) = (&mut scores[row], &mut dweights[row]);
                    let own = first + row + 1;
                    for lane in 0..LANES {
                        let weight = exp(p[lane] - partition[row]);
                        p[lane] = if block * LANES + lane < own {
                            weight
                        } else {
                            0.0
                        };
                        ds[lane] = p[lane] * (ds[lane] - agreement[row]);
                    }
                }
                let at = block * QUERIES + first - start;
                weights[at..at + ROWS].copy_from_slice(&scores);
                slopes[at..at + ROWS].copy_from_slice(&dweights);
                for (row, slopes) in slope_rows.iter_mut().zip(&dweights) {
                    row[block * LANES..][..LANES].copy_from_slice(slopes);
                }
            }
            for chunk in 0..self.heads.chunks() {
                let key_rows = &key_head.key_rows[chunk * padded..][..seen];
                let sums = weighted(&slope_rows, key_rows);
                let factors = [self.heads.scale(); ROWS];
                store(self.dq, &self.heads, head, first, chunk, &sums, &factors);
            }
        }
    }

    /// Adds to every key the heads `x` of the queries that saw it, weighted by what is kept.
    #[inline(always)]
    fn collect(&self, x: &[f32], (head, start): (usize, usize), kept: &Kept, sums: &mut [Lanes]) {
        let Heads {
            seq,
            n_heads,
            head_dim,
            ..
        } = self.heads;
        let end = seq.min(start + QUERIES);
        // Coordinates of all queries, four by four: `[head_dim / 4, QUERIES]`.
        let mut queries = vec![[0.0; ROWS]; head_dim.div_ceil(ROWS) * QUERIES];
        for query in start..end {
            let x = &x[(query * n_heads + head) * head_dim..][..head_dim];
            for (four, x) in x.chunks(ROWS).enumerate() {
                queries[four * QUERIES + query - start][..x.len()].copy_from_slice(x);
            }
        }
        let blocks = sums.chunks_exact_mut(head_dim).take(Heads::blocks(end));
        for (block, sums) in blocks.enumerate() {
            // The queries before the first key of a block do not see it.
            let (from, to) = ((block * LANES).saturating_sub(start), end - start);
            let kept = &kept[block * QUERIES..][from..to];
            for (four, sums) in sums.chunks_mut(ROWS).enumerate() {
                let queries = &queries[four * QUERIES..][from..to];
                for (sums, product) in sums.iter_mut().zip(&products(queries, kept)) {
                    add_scaled(sums, 1.0, product);
                }
            }
        }
    }
}

/// The inverse of [`columns`], times `scale`.
#[inline(always)]
fn unpack(columns: &[Lanes], x: &mut [f32], count: usize, head: usize, dim: usize, scale: f32) {
    for (t, position) in x.chunks_exact_mut(count * dim).enumerate() {
        let block = &columns[t / LANES * dim..][..dim];
        for (x, column) in position[head * dim..][..dim].iter_mut().zip(block) {
            *x = column[t % LANES] * scale;
        }
    }
}
