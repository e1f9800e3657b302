//! The base of every kernel: an operation on slices of host memory, recorded on the tape.

use core::fmt::Debug;

use burn_core::backend::autodiff::checkpoint::base::Checkpointer;
use burn_core::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn_core::backend::autodiff::grads::Gradients;
use burn_core::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn_core::backend::flex::FlexTensor;
use burn_core::backend::{Autodiff, AutodiffBackend, DispatchDevice, Flex};
use burn_core::tensor::{DType, GradientCheckpointingStrategy, Tensor, TensorData};

/// True if the kernels can take the place of the tensor API for `x`: `f32` on Flex, on the tape or
/// off it. Gradient checkpointing has a tape of another type, which they cannot record on.
pub(crate) fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device();
    let checkpoints =
        device.gradient_checkpointing_strategy() == Some(GradientCheckpointingStrategy::Balanced);
    let flex = matches!(device.inner().as_dispatch(), DispatchDevice::Flex(_));
    flex && !checkpoints && x.dtype() == DType::F32
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

/// A float tensor of any rank, on the tape or off it.
pub(crate) enum Input {
    Tape(<Autodiff<Flex> as burn_core::backend::BackendTypes>::FloatTensorPrimitive),
    Plain(FlexTensor),
}

impl<const D: usize> From<Tensor<D>> for Input {
    fn from(tensor: Tensor<D>) -> Self {
        if tensor.is_autodiff() {
            Self::Tape(on_flex(tensor.try_into_primitive::<Autodiff<Flex>>()))
        } else {
            Self::Plain(on_flex(tensor.try_into_primitive::<Flex>()))
        }
    }
}

fn on_flex<T, E: Debug>(primitive: Result<T, E>) -> T {
    primitive.expect("the caller asked `supports`, and all inputs share a device")
}

/// Runs `operation`, on the tape if any input is.
pub(crate) fn apply<O, const N: usize, const D: usize>(
    operation: O,
    inputs: [Input; N],
) -> Tensor<D>
where
    O: Operation<N>,
{
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        let inputs = inputs.map(|input| match input {
            Input::Tape(tensor) => tensor.into_primitive(),
            Input::Plain(tensor) => tensor,
        });
        let (output, _) = operation.forward(inputs.map(|tensor| tensor.to_contiguous()));
        return Tensor::from_primitive::<Flex>(output);
    }
    let tensors = inputs.map(|input| match input {
        Input::Tape(tensor) => tensor,
        Input::Plain(tensor) => Autodiff::<Flex>::from_inner(tensor),
    });
    let guards = tensors.each_ref().map(|tensor| tensor.node());
    let (output, saved) =
        operation.forward(tensors.map(|tensor| tensor.into_primitive().to_contiguous()));
    let output = match Step(operation)
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(saved, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

#[derive(Clone, Debug)]
struct Step<O>(O);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let inputs = self.0.backward(ops.state, grad);
        for (parent, grad) in ops.parents.into_iter().zip(inputs) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, grad);
            }
        }
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
