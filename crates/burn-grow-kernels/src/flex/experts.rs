//! SwiGLU experts on Flex: a matrix product per busy expert and matrix, the rest in one pass, on as
//! many threads as there are.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::Tensor;

use super::op::{Operation, apply, dims, numbers, tensor};
use super::parallel::for_each;
use super::product::{Matrix, multiply, multiply_add, product};
use super::simd::{Kernel, sigmoid, sum_of, vectorized};
use crate::expert_matrices::ExpertMatrices;
use crate::routing::Routing;

/// [`experts`](crate::experts) as one operation, on exactly the rows that every expert was sent.
///
/// With `a = silu(g) * u`, `g = x gate`, `u = x up`, and `h = dy down^T` for the gradient `dy` of
/// the answer of a slot of weight `w`: `dw = sum(h * a)`, `da = w h`, `dg = da * u * silu'(g)`, `du
/// = da * silu(g)`, `ddown = (w a)^T dy`, `dgate = x^T dg`, `dup = x^T du`, `dx = dg gate^T + du
/// up^T`.
pub(crate) fn experts(
    x: Tensor<2>,
    weights: Tensor<2>,
    routing: &Routing,
    matrices: ExpertMatrices,
) -> Tensor<2> {
    let inputs = [
        x.into(),
        weights.into(),
        matrices.gate.into(),
        matrices.up.into(),
        matrices.down.into(),
    ];
    apply(Moe::new(routing), inputs)
}

#[derive(Clone, Debug)]
struct Moe {
    /// The slots, expert by expert.
    order: Vec<usize>,
    /// The choices of every token, `top_k` each, expert by expert.
    choices: Vec<Choice>,
    /// The number of slots of each expert.
    load: Vec<usize>,
    top_k: usize,
}

/// One of the experts that a token is sent to.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    slot: usize,
    /// The expert's index among the busy ones.
    busy: usize,
    /// The token's row among those of the expert.
    row: usize,
}

#[derive(Clone, Debug)]
struct Saved {
    weights: FlexTensor,
    stacks: [FlexTensor; 3],
    /// Of the busy experts.
    activations: Vec<Activations>,
}

/// What an expert made of its rows.
#[derive(Clone, Debug)]
struct Activations {
    /// `[rows, hidden]`
    x: FlexTensor,
    /// `[rows, inner]`
    gate: FlexTensor,
    /// `[rows, inner]`
    up: FlexTensor,
}

/// One matrix of a stack.
fn one(stack: &FlexTensor, index: usize) -> Matrix<'_> {
    let [_, rows, columns] = dims(stack);
    let values = &numbers(stack)[index * rows * columns..];
    Matrix::new(&values[..rows * columns], columns)
}

impl Moe {
    fn new(routing: &Routing) -> Self {
        let (choice, top_k) = (routing.on_host(), routing.top_k());
        let order = choice.by_expert();
        let mut moe = Self {
            choices: vec![Choice::default(); order.len()],
            order,
            load: choice.load().to_vec(),
            top_k,
        };
        let mut known = vec![0; routing.tokens()];
        let mut choices = core::mem::take(&mut moe.choices);
        for (busy, (_, slots)) in moe.busy().enumerate() {
            for (row, &slot) in slots.iter().enumerate() {
                let token = slot / top_k;
                choices[token * top_k + known[token]] = Choice { slot, busy, row };
                known[token] += 1;
            }
        }
        Self { choices, ..moe }
    }

    /// The busy experts and their slots.
    fn busy(&self) -> impl Iterator<Item = (usize, &[usize])> {
        let mut end = 0;
        let experts = self.load.iter().enumerate();
        experts.filter_map(move |(expert, load)| {
            end += load;
            (*load > 0).then(|| (expert, &self.order[end - load..end]))
        })
    }

    /// The matrices of the busy experts.
    fn busy_matrices<'a>(&self, stack: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
        let matrices = stack.chunks_exact_mut(stack.len() / self.load.len());
        let loads = self.load.iter();
        matrices
            .zip(loads)
            .filter_map(|(matrix, load)| (*load > 0).then_some(matrix))
    }

    /// The rows of `x` that `slots` hold, `[slots, width]`.
    fn gather(&self, x: &FlexTensor, slots: &[usize]) -> Vec<f32> {
        let [_, width] = dims(x);
        let x = numbers(x);
        let mut rows = Vec::with_capacity(slots.len() * width);
        for slot in slots {
            rows.extend_from_slice(&x[slot / self.top_k * width..][..width]);
        }
        rows
    }

    /// The sum of the answers to every token, expert by expert, weighted by slot.
    fn combine(&self, answers: &[Vec<f32>], weights: Option<&[f32]>, width: usize) -> FlexTensor {
        /// The tokens that a thread takes at once.
        const TOKENS: usize = 64;
        let tokens = self.order.len() / self.top_k;
        let mut y = vec![0.0; tokens * width];
        let chunks = y
            .chunks_mut(TOKENS * width)
            .zip(self.choices.chunks(TOKENS * self.top_k));
        for_each(chunks, self.order.len() * width, |(y, choices)| {
            vectorized(Combine {
                answers,
                choices,
                top_k: self.top_k,
                weights,
                width,
                y,
            });
        });
        tensor(y, [tokens, width])
    }
}

impl Operation<5> for Moe {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 5]) -> (FlexTensor, Saved) {
        let [x, weights, gates, ups, downs] = inputs;
        let [_, hidden, inner] = dims(&gates);
        let mut made: Vec<_> = self.busy().map(|_| None).collect();
        let work = 3 * self.order.len() * hidden * inner;
        for_each(
            self.busy().zip(&mut made),
            work,
            |((expert, slots), made)| {
                let rows = self.gather(&x, slots);
                let gate = product(Matrix::new(&rows, hidden), one(&gates, expert));
                let up = product(Matrix::new(&rows, hidden), one(&ups, expert));
                let mut unit = vec![0.0; gate.len()];
                vectorized(Unit {
                    gate: &gate,
                    up: &up,
                    unit: &mut unit,
                });
                let answers = product(Matrix::new(&unit, inner), one(&downs, expert));
                let activations = Activations {
                    x: tensor(rows, [slots.len(), hidden]),
                    gate: tensor(gate, [slots.len(), inner]),
                    up: tensor(up, [slots.len(), inner]),
                };
                *made = Some((activations, answers));
            },
        );
        let (activations, answers): (Vec<_>, Vec<_>) = made.into_iter().flatten().unzip();
        let y = self.combine(&answers, Some(numbers(&weights)), hidden);
        let saved = Saved {
            weights,
            stacks: [gates, ups, downs],
            activations,
        };
        (y, saved)
    }

    fn backward(self, saved: Saved, grad: FlexTensor) -> [FlexTensor; 5] {
        let Saved {
            weights,
            stacks,
            activations,
        } = saved;
        let [gates, ups, downs] = &stacks;
        let [_, hidden, inner] = dims(gates);
        let slots = self.order.len();
        let mut drows = vec![Vec::new(); activations.len()];
        let mut dorder = vec![0.0; slots];
        let mut dstacks = stacks
            .each_ref()
            .map(|stack| vec![0.0; numbers(stack).len()]);
        let mut rest = dorder.as_mut_slice();
        let dorders = self.busy().map(|(_, slots)| {
            let (part, left) = core::mem::take(&mut rest).split_at_mut(slots.len());
            rest = left;
            part
        });
        let [dgates, dups, ddowns] = &mut dstacks;
        let experts = (self.busy())
            .zip(activations)
            .zip(self.busy_matrices(dgates))
            .zip(self.busy_matrices(dups))
            .zip(self.busy_matrices(ddowns))
            .zip(dorders.zip(&mut drows));
        let work = 6 * slots * hidden * inner;
        for_each(experts, work, |experts| {
            let (((((busy, made), dgates), dups), ddown), (dweights, drows)) = experts;
            let (expert, slots) = busy;
            let dy = self.gather(&grad, slots);
            let dy = Matrix::new(&dy, hidden);
            let mut dup = product(dy, one(downs, expert).transposed());
            let [mut unit, mut dgate] = [(); 2].map(|()| vec![0.0; dup.len()]);
            vectorized(UnitBackward {
                gate: numbers(&made.gate),
                up: numbers(&made.up),
                slots,
                weights: numbers(&weights),
                inner,
                unit: &mut unit,
                dunit: &mut dup,
                dgate: &mut dgate,
                dweights,
            });
            let x = Matrix::new(numbers(&made.x), hidden).transposed();
            let (dgate, dup) = (Matrix::new(&dgate, inner), Matrix::new(&dup, inner));
            multiply(x, dgate, dgates);
            multiply(x, dup, dups);
            multiply(Matrix::new(&unit, inner).transposed(), dy, ddown);
            *drows = product(dgate, one(gates, expert).transposed());
            multiply_add(dup, one(ups, expert).transposed(), drows);
        });
        let mut dweights = vec![0.0; slots];
        for (slot, dweight) in self.order.iter().zip(dorder) {
            dweights[*slot] = dweight;
        }
        let [dgates, dups, ddowns] = dstacks;
        let shape = |stack: &FlexTensor| stack.layout().shape().to_vec();
        [
            self.combine(&drows, None, hidden),
            tensor(dweights, [slots / self.top_k, self.top_k]),
            tensor(dgates, shape(gates)),
            tensor(dups, shape(ups)),
            tensor(ddowns, shape(downs)),
        ]
    }
}

/// `unit = silu(gate) * up`.
struct Unit<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    unit: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    #[inline(always)]
    fn run(self) {
        for ((unit, gate), up) in self.unit.iter_mut().zip(self.gate).zip(self.up) {
            *unit = gate * sigmoid(*gate) * up;
        }
    }
}

/// Adds the answers to every token, weighted by slot.
struct Combine<'a> {
    /// Of the busy experts.
    answers: &'a [Vec<f32>],
    choices: &'a [Choice],
    top_k: usize,
    weights: Option<&'a [f32]>,
    width: usize,
    y: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    #[inline(always)]
    fn run(self) {
        let tokens = self.y.chunks_exact_mut(self.width);
        for (y, choices) in tokens.zip(self.choices.chunks_exact(self.top_k)) {
            for Choice { slot, busy, row } in choices {
                let weight = self.weights.map_or(1.0, |weights| weights[*slot]);
                let answer = &self.answers[*busy][row * self.width..][..self.width];
                for (y, answer) in y.iter_mut().zip(answer) {
                    *y = weight.mul_add(*answer, *y);
                }
            }
        }
    }
}

/// Turns `h`, the gradient of the unit before its weight, into the gradients of gate, up and
/// weights, and recomputes the weighted unit.
struct UnitBackward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    slots: &'a [usize],
    weights: &'a [f32],
    inner: usize,
    /// The unit times its weight.
    unit: &'a mut [f32],
    /// `h` on the way in, the gradient of `up` on the way out.
    dunit: &'a mut [f32],
    dgate: &'a mut [f32],
    /// Of the slots in turn.
    dweights: &'a mut [f32],
}

impl Kernel for UnitBackward<'_> {
    #[inline(always)]
    fn run(self) {
        let rows = self
            .gate
            .chunks_exact(self.inner)
            .zip(self.up.chunks_exact(self.inner));
        let outputs = self
            .unit
            .chunks_exact_mut(self.inner)
            .zip(self.dunit.chunks_exact_mut(self.inner))
            .zip(self.dgate.chunks_exact_mut(self.inner))
            .zip(self.dweights);
        for ((slot, (gate, up)), (((unit, dunit), dgate), dweight)) in
            self.slots.iter().zip(rows).zip(outputs)
        {
            let weight = self.weights[*slot];
            for i in 0..self.inner {
                // Kept where the gradient goes, until it is made from it.
                dgate[i] = sigmoid(gate[i]);
                unit[i] = gate[i] * dgate[i] * up[i];
            }
            *dweight = sum_of(unit, dunit, |a, h| a * h);
            for i in 0..self.inner {
                let s = dgate[i];
                let silu = gate[i] * s;
                let da = dunit[i] * weight;
                unit[i] *= weight;
                dunit[i] = da * silu;
                dgate[i] = da * up[i] * (s + silu * (1.0 - s));
            }
        }
    }
}
