//! SwiGLU experts on CubeCL devices: products over exactly the rows that every expert was sent.

use burn_core::backend::Cube;
use burn_core::backend::tensor::FloatTensor;
use burn_core::tensor::activation::{sigmoid, silu};
use burn_core::tensor::{DType, Tensor};

use super::extension::ExpertOps;
use super::form::Form;
use super::groups::Groups;
use crate::expert_matrices::ExpertMatrices;
use crate::op::{Operation, apply};

/// [`experts`](crate::experts) as one operation, on exactly the rows that every expert was sent.
///
/// The formulas are those of the Flex kernel: with `a = silu(g) * u`, `g = x gate`, `u = x up`, and
/// `h = dy down^T` for the gradient `dy` of the answer of a slot of weight `w`: `dw = sum(h * a)`,
/// `da = w h`, `dg = da * u * silu'(g)`, `du = da * silu(g)`, `ddown = (w a)^T dy`, `dgate = x^T
/// dg`, `dup = x^T du`, `dx = dg gate^T + du up^T`.
pub(crate) fn experts(
    x: Tensor<2>,
    weights: Tensor<2>,
    groups: &Groups,
    matrices: ExpertMatrices,
) -> Tensor<2> {
    let [tokens, top_k] = weights.dims();
    let operation = Moe {
        groups: groups.clone(),
        tokens,
        top_k,
    };
    let inputs = [
        x.into(),
        weights.into(),
        matrices.gate.into(),
        matrices.up.into(),
        matrices.down.into(),
    ];
    apply::<Cube, _, 5, 2>(operation, inputs)
}

#[derive(Clone, Debug)]
struct Moe {
    groups: Groups,
    tokens: usize,
    top_k: usize,
}

#[derive(Clone, Debug)]
struct Saved {
    x: Tensor<2>,
    weights: Tensor<2>,
    stacks: [Tensor<3>; 3],
    /// `[slots, inner]`, by expert.
    gate: Tensor<2>,
    /// `[slots, inner]`, by expert.
    up: Tensor<2>,
}

fn primitive<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Cube> {
    tensor
        .try_into_primitive::<Cube>()
        .expect("an operation sees plain tensors of its backend")
}

fn tensor<const D: usize>(primitive: FloatTensor<Cube>) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(primitive)
}

impl Moe {
    fn product<const L: usize, const R: usize, const D: usize>(
        &self,
        form: Form,
        lhs: &Tensor<L>,
        rhs: &Tensor<R>,
    ) -> Tensor<D> {
        let starts = self.groups.starts.clone();
        let starts = starts
            .try_into_primitive::<Cube>()
            .expect("the groups are on the device");
        let (lhs, rhs) = (primitive(lhs.clone()), primitive(rhs.clone()));
        tensor(Cube::product(lhs, rhs, starts, form))
    }

    /// The rows of tokens by expert, `[slots, width]`.
    fn gather(&self, x: Tensor<2>) -> Tensor<2> {
        x.select(0, self.groups.order.clone() / self.top_k as i32)
    }

    /// The sum of the rows by expert over the choices of each token, `[tokens, width]`.
    fn combine(&self, rows: Tensor<2>) -> Tensor<2> {
        let [_, width] = rows.dims();
        let dtype = rows.dtype();
        rows.select(0, self.groups.rows.clone())
            .reshape([self.tokens, self.top_k, width])
            .cast(DType::F32)
            .sum_dim(1)
            .cast(dtype)
            .reshape([self.tokens, width])
    }

    /// A number of each slot by expert, `[slots, 1]`.
    fn by_expert(&self, weights: &Tensor<2>) -> Tensor<2> {
        let slots = self.tokens * self.top_k;
        let weights = weights.clone().reshape([slots, 1]);
        weights.select(0, self.groups.order.clone())
    }
}

impl Operation<Cube, 5> for Moe {
    type Saved = Saved;

    fn forward(&self, inputs: [FloatTensor<Cube>; 5]) -> (FloatTensor<Cube>, Saved) {
        let [x, weights, gates, ups, downs] = inputs;
        let (x, weights) = (tensor::<2>(x), tensor::<2>(weights));
        let stacks = [gates, ups, downs].map(tensor::<3>);
        let rows = self.gather(x.clone());
        let gate: Tensor<2> = self.product(Form::Plain, &rows, &stacks[0]);
        let up: Tensor<2> = self.product(Form::Plain, &rows, &stacks[1]);
        let unit = silu(gate.clone()) * up.clone() * self.by_expert(&weights);
        let answers = self.product(Form::Plain, &unit, &stacks[2]);
        let y = primitive(self.combine(answers));
        let saved = Saved {
            x,
            weights,
            stacks,
            gate,
            up,
        };
        (y, saved)
    }

    fn backward(self, saved: Saved, grad: FloatTensor<Cube>) -> [FloatTensor<Cube>; 5] {
        let Saved {
            x,
            weights,
            stacks: [gates, ups, downs],
            gate,
            up,
        } = saved;
        let dy = self.gather(tensor(grad));
        let h: Tensor<2> = self.product(Form::Transposed, &dy, &downs);
        let weight = self.by_expert(&weights);

        let open = sigmoid(gate.clone());
        let silu = gate.clone() * open.clone();
        let unit = silu.clone() * up.clone();
        let dweights = (h.clone() * unit.clone()).cast(DType::F32).sum_dim(1);
        let dweights = dweights
            .cast(weights.dtype())
            .select(0, self.groups.rows.clone())
            .reshape([self.tokens, self.top_k]);
        let dunit = h * weight.clone();
        let slope = open.clone() + silu.clone() * (open.neg() + 1.0);
        let dgate = dunit.clone() * up * slope;
        let dup = dunit * silu;

        let rows = self.gather(x);
        let per_expert = |lhs: &Tensor<2>, rhs: &Tensor<2>| {
            primitive(self.product::<2, 2, 3>(Form::PerExpert, lhs, rhs))
        };
        let dgates = per_expert(&rows, &dgate);
        let dups = per_expert(&rows, &dup);
        let ddowns = per_expert(&(unit * weight), &dy);
        let dx = self.product::<2, 3, 2>(Form::Transposed, &dgate, &gates)
            + self.product::<2, 3, 2>(Form::Transposed, &dup, &ups);
        [
            primitive(self.combine(dx)),
            primitive(dweights),
            dgates,
            dups,
            ddowns,
        ]
    }
}
