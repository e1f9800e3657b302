//! Causal attention on Flex, with its derivative.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::Tensor;

use super::attention_backward::Backward;
use super::attention_loops::{Forward, Heads};
use super::op::{Operation, apply, dims, numbers, tensor};
use super::parallel::for_each;
use super::simd::vectorized;

/// [`causal_attention`](crate::causal_attention) as one operation, which neither computes
/// nor stores the scores of the future.
///
/// The forward pass keeps the log of each query's partition function, from which the backward pass
/// makes the weights again ([arXiv 2205.14135](https://arxiv.org/abs/2205.14135)):
/// `ds = p * (dO v^T - sum(dO * O))`, `dq = ds k`, `dk = ds^T q`, `dv = p^T dO`.
pub(crate) fn causal_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    apply(CausalAttention, [q.into(), k.into(), v.into()])
}

#[derive(Clone, Debug)]
struct CausalAttention;

#[derive(Clone, Debug)]
struct Saved {
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    out: FlexTensor,
    /// `[batch, n_heads, seq]`
    partition: Vec<f32>,
}

fn heads(q: &FlexTensor, k: &FlexTensor) -> Heads {
    let [_, seq, n_heads, head_dim] = dims(q);
    let [_, _, n_kv_heads, _] = dims(k);
    Heads {
        seq,
        n_heads,
        n_kv_heads,
        head_dim,
    }
}

impl Operation<3> for CausalAttention {
    type Saved = Saved;

    fn forward(&self, [q, k, v]: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        let [batch, seq, n_heads, head_dim] = dims(&q);
        let heads = heads(&q, &k);
        let mut out = vec![0.0; batch * heads.queries()];
        let mut partition = vec![0.0; batch * n_heads * seq];
        let items = numbers(&q)
            .chunks_exact(heads.queries())
            .zip(numbers(&k).chunks_exact(heads.keys()))
            .zip(numbers(&v).chunks_exact(heads.keys()))
            .zip(out.chunks_exact_mut(heads.queries()))
            .zip(partition.chunks_exact_mut(n_heads * seq))
            .map(|((((q, k), v), out), partition)| Forward {
                heads,
                q,
                k,
                v,
                out,
                partition,
            });
        for_each(items, batch * heads.work(), vectorized);
        let out = tensor(out, [batch, seq, n_heads, head_dim]);
        let saved = Saved {
            q,
            k,
            v,
            out: out.clone(),
            partition,
        };
        (out, saved)
    }

    fn backward(self, saved: Saved, grad: FlexTensor) -> [FlexTensor; 3] {
        let Saved { q, k, v, .. } = &saved;
        let heads = heads(q, k);
        let [batch, seq, n_heads, _] = dims(q);
        let mut dq = vec![0.0; batch * heads.queries()];
        let mut dk = vec![0.0; batch * heads.keys()];
        let mut dv = vec![0.0; batch * heads.keys()];
        let inputs = numbers(q)
            .chunks_exact(heads.queries())
            .zip(numbers(k).chunks_exact(heads.keys()))
            .zip(numbers(v).chunks_exact(heads.keys()))
            .zip(numbers(&saved.out).chunks_exact(heads.queries()))
            .zip(numbers(&grad).chunks_exact(heads.queries()))
            .zip(saved.partition.chunks_exact(n_heads * seq));
        let grads = dq
            .chunks_exact_mut(heads.queries())
            .zip(dk.chunks_exact_mut(heads.keys()))
            .zip(dv.chunks_exact_mut(heads.keys()));
        let items = inputs.zip(grads).map(|(inputs, ((dq, dk), dv))| {
            let (((((q, k), v), out), dout), partition) = inputs;
            Backward {
                heads,
                q,
                k,
                v,
                out,
                dout,
                partition,
                dq,
                dk,
                dv,
            }
        });
        for_each(items, 2 * batch * heads.work(), vectorized);
        let queries = q.layout().shape().to_vec();
        let keys = k.layout().shape().to_vec();
        [
            tensor(dq, queries),
            tensor(dk, keys.clone()),
            tensor(dv, keys),
        ]
    }
}
