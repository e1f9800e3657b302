//! Linear layers on Flex.

use burn_core::backend::flex::FlexTensor;
use burn_core::tensor::Tensor;

use super::op::{Operation, apply, dims, numbers, tensor};
use super::product::{Matrix, product};

/// [`linear`](crate::linear) as one operation: `dx = dy weight^T`, `dweight = x^T dy`.
///
/// Burn's own product fills the memory of its answer with zeros and copies that before it computes,
/// and wakes other threads for large products only.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    apply(Linear, [x.into(), weight.into()])
}

#[derive(Clone, Debug)]
struct Linear;

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [_, columns] = dims(tensor);
    Matrix::new(numbers(tensor), columns)
}

impl Operation<2> for Linear {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let [[rows, _], [_, columns]] = inputs.each_ref().map(dims);
        let y = product(matrix(&inputs[0]), matrix(&inputs[1]));
        (tensor(y, [rows, columns]), inputs)
    }

    fn backward(self, [x, weight]: Self::Saved, grad: FlexTensor) -> [FlexTensor; 2] {
        let dx = product(matrix(&grad), matrix(&weight).transposed());
        let dweight = product(matrix(&x).transposed(), matrix(&grad));
        [
            tensor(dx, dims::<2>(&x)),
            tensor(dweight, dims::<2>(&weight)),
        ]
    }
}
