//! The base of every kernel: an operation on slices of host memory.

use core::fmt::Debug;

use burn_core::backend::flex::FlexTensor;
use burn_core::backend::{DispatchDevice, Flex};
use burn_core::tensor::{DType, Device, Tensor, TensorData};

use crate::op;

/// A float tensor of Flex, on the tape or off it.
pub(crate) type Input = op::Input<Flex>;

/// True if the kernels can take the place of the tensor API for `x`: `f32` on Flex, on the tape or
/// off it, without gradient checkpointing.
pub(crate) fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    let flex = |device: Device| matches!(device.as_dispatch(), DispatchDevice::Flex(_));
    op::below_tape(&x.device()).is_some_and(flex) && x.dtype() == DType::F32
}

/// An operation with its derivative, on contiguous host memory.
pub(crate) trait Operation<const N: usize>: Debug + Clone + Send + 'static {
    /// The values that the backward pass needs of the forward pass.
    type Saved: Debug + Clone + Send + 'static;

    /// Returns the output, and the values that the backward pass needs.
    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// Returns the gradients of the inputs, from the gradient of the output.
    fn backward(self, saved: Self::Saved, grad: FlexTensor) -> [FlexTensor; N];
}

/// Runs `operation`, on the tape if any input is.
pub(crate) fn apply<O, const N: usize, const D: usize>(
    operation: O,
    inputs: [Input; N],
) -> Tensor<D>
where
    O: Operation<N>,
{
    op::apply(Contiguous(operation), inputs)
}

/// An operation whose inputs are made contiguous.
#[derive(Clone, Debug)]
struct Contiguous<O>(O);

impl<O: Operation<N>, const N: usize> op::Operation<Flex, N> for Contiguous<O> {
    type Saved = O::Saved;

    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved) {
        self.0.forward(inputs.map(|tensor| tensor.to_contiguous()))
    }

    fn backward(self, saved: Self::Saved, grad: FlexTensor) -> [FlexTensor; N] {
        self.0.backward(saved, grad.to_contiguous())
    }
}

/// The numbers of a contiguous tensor.
pub(crate) fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("contiguous `f32`")
}

/// A tensor of `values`.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// The sizes of a tensor's dimensions.
pub(crate) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}
