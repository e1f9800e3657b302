//! SwiGLU experts on Flex: a matrix product per busy expert and matrix, the rest in one pass.

use burn_core::backend::Flex;
use burn_core::backend::flex::{FlexTensor, Layout};
use burn_core::backend::ops::FloatTensorOps;
use burn_core::tensor::{DType, Shape, Tensor};

use super::op::{Operation, apply, dims, numbers, tensor};
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
    let choice = routing.on_host();
    let operation = Moe {
        order: choice.by_expert(),
        load: choice.load().to_vec(),
        top_k: routing.top_k(),
    };
    apply(operation, inputs)
}

#[derive(Clone, Debug)]
struct Moe {
    /// The slots, expert by expert.
    order: Vec<usize>,
    /// The number of slots of each expert.
    load: Vec<usize>,
    top_k: usize,
}

#[derive(Clone, Debug)]
struct Saved {
    weights: FlexTensor,
    stacks: [FlexTensor; 3],
    /// The busy experts.
    experts: Vec<Busy>,
}

/// An expert with slots, and its activations.
#[derive(Clone, Debug)]
struct Busy {
    /// Its index.
    expert: usize,
    /// Where its slots start in the order.
    from: usize,
    /// `[rows, hidden]`
    x: FlexTensor,
    /// `[rows, inner]`
    gate: FlexTensor,
    /// `[rows, inner]`
    up: FlexTensor,
}

/// One matrix of a stack.
fn one(stack: &FlexTensor, index: usize) -> FlexTensor {
    let [_, rows, columns] = dims(stack);
    let layout = Layout::new(
        Shape::new([rows, columns]),
        vec![columns as isize, 1],
        index * rows * columns,
    );
    FlexTensor::from_arc(stack.data_arc(), layout, DType::F32)
}

fn product(lhs: FlexTensor, rhs: FlexTensor) -> FlexTensor {
    Flex::float_matmul(lhs, rhs)
}

fn transposed(matrix: &FlexTensor) -> FlexTensor {
    let layout = matrix.layout().transpose(0, 1);
    matrix.clone().with_layout(layout)
}

impl Moe {
    /// The busy experts: index, where the slots start in the order, and the slots.
    fn busy(&self) -> impl Iterator<Item = (usize, usize, &[usize])> {
        let mut from = 0;
        self.load
            .iter()
            .enumerate()
            .filter_map(move |(expert, load)| {
                let start = from;
                from += load;
                (*load > 0).then(|| (expert, start, &self.order[start..from]))
            })
    }

    /// The rows of `x` that `slots` hold, `[slots, width]`.
    fn gather(&self, x: &FlexTensor, slots: &[usize]) -> FlexTensor {
        let [_, width] = dims(x);
        let x = numbers(x);
        let mut rows = Vec::with_capacity(slots.len() * width);
        for slot in slots {
            let token = slot / self.top_k;
            rows.extend_from_slice(&x[token * width..(token + 1) * width]);
        }
        tensor(rows, [slots.len(), width])
    }
}

impl Operation<5> for Moe {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 5]) -> (FlexTensor, Saved) {
        let [x, weights, gates, ups, downs] = inputs;
        let [tokens, hidden] = dims(&x);
        let mut y = vec![0.0; tokens * hidden];
        let mut experts = Vec::new();
        for (expert, from, slots) in self.busy() {
            let rows = self.gather(&x, slots);
            let gate = product(rows.clone(), one(&gates, expert));
            let up = product(rows.clone(), one(&ups, expert));
            let mut unit = vec![0.0; numbers(&gate).len()];
            vectorized(Unit {
                gate: numbers(&gate),
                up: numbers(&up),
                unit: &mut unit,
            });
            let unit = tensor(unit, gate.layout().shape().to_vec());
            let answers = product(unit, one(&downs, expert));
            vectorized(Combine {
                answers: numbers(&answers),
                slots,
                top_k: self.top_k,
                weights: Some(numbers(&weights)),
                width: hidden,
                y: &mut y,
            });
            experts.push(Busy {
                expert,
                from,
                x: rows,
                gate,
                up,
            });
        }
        let saved = Saved {
            weights,
            stacks: [gates, ups, downs],
            experts,
        };
        (tensor(y, [tokens, hidden]), saved)
    }

    fn backward(self, saved: Saved, grad: FlexTensor) -> [FlexTensor; 5] {
        let Saved {
            weights,
            stacks,
            experts,
        } = saved;
        let [gates, ups, downs] = &stacks;
        let [tokens, hidden] = dims(&grad);
        let mut dx = vec![0.0; tokens * hidden];
        let mut dweights = vec![0.0; tokens * self.top_k];
        let mut dstacks = stacks
            .each_ref()
            .map(|stack| vec![0.0; numbers(stack).len()]);
        for Busy {
            expert,
            from,
            x,
            gate,
            up,
        } in experts
        {
            let [count, inner] = dims(&gate);
            let slots = &self.order[from..from + count];
            let dy = self.gather(&grad, slots);
            let mut dunit = product(dy.clone(), transposed(&one(downs, expert)));
            let shape = [count, inner];
            let (mut dgate, mut unit) = (vec![0.0; count * inner], vec![0.0; count * inner]);
            vectorized(UnitBackward {
                gate: numbers(&gate),
                up: numbers(&up),
                slots,
                weights: numbers(&weights),
                inner,
                unit: &mut unit,
                dunit: dunit.storage_mut(),
                dgate: &mut dgate,
                dweights: &mut dweights,
            });
            let (dgate, dup) = (tensor(dgate, shape), dunit);
            let x = transposed(&x);
            let grads = [
                product(x.clone(), dgate.clone()),
                product(x, dup.clone()),
                product(transposed(&tensor(unit, shape)), dy),
            ];
            for (stack, grad) in dstacks.iter_mut().zip(&grads) {
                let grad = numbers(grad);
                stack[expert * grad.len()..(expert + 1) * grad.len()].copy_from_slice(grad);
            }
            for (grad, stack) in [(dgate, gates), (dup, ups)] {
                let rows = product(grad, transposed(&one(stack, expert)));
                vectorized(Combine {
                    answers: numbers(&rows),
                    slots,
                    top_k: self.top_k,
                    weights: None,
                    width: hidden,
                    y: &mut dx,
                });
            }
        }
        let [dgates, dups, ddowns] = dstacks;
        let shape = |stack: &FlexTensor| stack.layout().shape().to_vec();
        [
            tensor(dx, [tokens, hidden]),
            tensor(dweights, [tokens, self.top_k]),
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

/// Adds the answers to the rows of their tokens, weighted by slot.
struct Combine<'a> {
    answers: &'a [f32],
    slots: &'a [usize],
    top_k: usize,
    weights: Option<&'a [f32]>,
    width: usize,
    y: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    #[inline(always)]
    fn run(self) {
        for (slot, answer) in self.slots.iter().zip(self.answers.chunks_exact(self.width)) {
            let weight = self.weights.map_or(1.0, |weights| weights[*slot]);
            let token = slot / self.top_k;
            let y = &mut self.y[token * self.width..][..self.width];
            for (y, answer) in y.iter_mut().zip(answer) {
                *y = weight.mul_add(*answer, *y);
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
            .zip(self.dgate.chunks_exact_mut(self.inner));
        for ((slot, (gate, up)), ((unit, dunit), dgate)) in self.slots.iter().zip(rows).zip(outputs)
        {
            let weight = self.weights[*slot];
            for i in 0..self.inner {
                // Kept where the gradient goes, until it is made from it.
                dgate[i] = sigmoid(gate[i]);
                unit[i] = gate[i] * dgate[i] * up[i];
            }
            self.dweights[*slot] = sum_of(unit, dunit, |a, h| a * h);
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
