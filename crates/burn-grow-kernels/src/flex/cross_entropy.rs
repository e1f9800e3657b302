//! Cross entropy on Flex, with its derivative.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::{Int, Tensor};

use super::op::{Operation, apply, dims, numbers, tensor};
use super::simd::{Kernel, LANES, exp, largest, sum, vectorized};

/// [`cross_entropy`](crate::cross_entropy) as one operation.
///
/// `dlogits = (softmax(logits) - onehot(target)) / tokens`.
pub(crate) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let ids = targets.into_data();
    let targets = ids.iter::<i64>().map(|id| id as usize).collect();
    apply(CrossEntropy { targets }, [logits.into()])
}

#[derive(Clone, Debug)]
struct CrossEntropy {
    targets: Vec<usize>,
}

impl Operation<1> for CrossEntropy {
    /// The logits, and the log of their partition function for every token.
    type Saved = (FlexTensor, Vec<f32>);

    fn forward(&self, [logits]: [FlexTensor; 1]) -> (FlexTensor, Self::Saved) {
        let [tokens, vocab] = dims(&logits);
        let mut partition = vec![0.0; tokens];
        vectorized(LogSumExp {
            logits: numbers(&logits),
            vocab,
            partition: &mut partition,
        });
        let rows = numbers(&logits).chunks_exact(vocab);
        let nats: f64 = rows
            .zip(&self.targets)
            .zip(&partition)
            .map(|((row, target), partition)| (partition - row[*target]) as f64)
            .sum();
        let mean = tensor(vec![(nats / tokens as f64) as f32], [1]);
        (mean, (logits, partition))
    }

    fn backward(self, (logits, partition): Self::Saved, grad: FlexTensor) -> [FlexTensor; 1] {
        let [tokens, vocab] = dims(&logits);
        let factor = numbers(&grad)[0] / tokens as f32;
        let mut dlogits = vec![0.0; tokens * vocab];
        vectorized(Softmax {
            logits: numbers(&logits),
            partition: &partition,
            factor,
            vocab,
            out: &mut dlogits,
        });
        for (row, target) in dlogits.chunks_exact_mut(vocab).zip(&self.targets) {
            row[*target] -= factor;
        }
        [tensor(dlogits, [tokens, vocab])]
    }
}

struct LogSumExp<'a> {
    logits: &'a [f32],
    vocab: usize,
    partition: &'a mut [f32],
}

impl Kernel for LogSumExp<'_> {
    #[inline(always)]
    fn run(self) {
        for (row, partition) in self.logits.chunks_exact(self.vocab).zip(self.partition) {
            let most = largest(row);
            let (blocks, rest) = row.as_chunks::<LANES>();
            let mut total = [0.0; LANES];
            for block in blocks {
                for lane in 0..LANES {
                    total[lane] += exp(block[lane] - most);
                }
            }
            let rest: f32 = rest.iter().map(|logit| exp(logit - most)).sum();
            *partition = most + (sum(&total) + rest).ln();
        }
    }
}

struct Softmax<'a> {
    logits: &'a [f32],
    partition: &'a [f32],
    factor: f32,
    vocab: usize,
    out: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run(self) {
        let rows = self.logits.chunks_exact(self.vocab).zip(self.partition);
        for (out, (row, partition)) in self.out.chunks_exact_mut(self.vocab).zip(rows) {
            for (out, logit) in out.iter_mut().zip(row) {
                *out = exp(logit - partition) * self.factor;
            }
        }
    }
}
