//! The slots of a batch in the order of their experts, on the device.

use burn_core::backend::Cube;
use burn_core::backend::tensor::IntTensor;
use burn_core::tensor::{DType, Int, Tensor};

use super::extension::ExpertOps;

/// The experts of every token, and the slots in the order of their experts.
///
/// Row `r` of the batch by expert is slot `order[r]`, and slot `s` is its row `rows[s]`.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// The chosen experts, `[tokens, top_k]`.
    pub experts: Tensor<2, Int>,
    /// The number of slots of each expert, `[n_experts]`.
    pub load: Tensor<1, Int>,
    /// Where the rows of each expert start, and their number in the end: `[n_experts + 1]`.
    pub starts: Tensor<1, Int>,
    /// The slot of each row, `[slots]`.
    pub order: Tensor<1, Int>,
    /// The row of each slot, `[slots]`.
    pub rows: Tensor<1, Int>,
}

impl Groups {
    /// Chooses by `[tokens, n_experts]` probabilities, as
    /// [`Routing::choose`](crate::Routing::choose) says.
    pub(crate) fn choose(probabilities: &Tensor<2>, top_k: usize) -> Self {
        let [_, n_experts] = probabilities.dims();
        let probabilities = probabilities.clone().without_autodiff().cast(DType::F32);
        let probabilities = probabilities
            .try_into_primitive::<Cube>()
            .expect("the caller asked `runs_on`");
        let experts = Cube::choose(probabilities, top_k);
        let (load, starts, order, rows) = Cube::group(experts.clone(), n_experts);
        Self {
            experts: Tensor::from_primitive::<Cube>(experts),
            load: integers(load),
            starts: integers(starts),
            order: integers(order),
            rows: integers(rows),
        }
    }
}

fn integers(primitive: IntTensor<Cube>) -> Tensor<1, Int> {
    Tensor::from_primitive::<Cube>(primitive)
}
