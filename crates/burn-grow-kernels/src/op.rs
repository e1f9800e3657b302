//! An operation written for one backend, recorded on the tape with its own derivative.

use core::fmt::Debug;

use burn_core::backend::autodiff::checkpoint::base::Checkpointer;
use burn_core::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn_core::backend::autodiff::grads::Gradients;
use burn_core::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn_core::backend::tensor::FloatTensor;
use burn_core::backend::{
    Autodiff, AutodiffBackend, Backend, DispatchKindConversion, DispatchTensor,
};
use burn_core::tensor::{Device, GradientCheckpointingStrategy, Tensor};

/// The device below the tape, or `None` if the tape is one of gradient checkpointing, which is of
/// another type and cannot record these operations.
pub(crate) fn below_tape(device: &Device) -> Option<Device> {
    let checkpoints =
        device.gradient_checkpointing_strategy() == Some(GradientCheckpointingStrategy::Balanced);
    (!checkpoints).then(|| device.clone().inner())
}

/// An operation of backend `B` with its derivative.
pub(crate) trait Operation<B: Backend, const N: usize>:
    Debug + Clone + Send + 'static
{
    /// The values that the backward pass needs of the forward pass.
    type Saved: Debug + Clone + Send + 'static;

    /// Returns the output, and the values that the backward pass needs.
    fn forward(&self, inputs: [FloatTensor<B>; N]) -> (FloatTensor<B>, Self::Saved);

    /// Returns the gradients of the inputs, from the gradient of the output.
    fn backward(self, saved: Self::Saved, grad: FloatTensor<B>) -> [FloatTensor<B>; N];
}

/// A float tensor of any rank, on the tape or off it.
pub(crate) enum Input<B: Backend> {
    Tape(FloatTensor<Autodiff<B>>),
    Plain(FloatTensor<B>),
}

impl<B: Backend, const D: usize> From<Tensor<D>> for Input<B>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    fn from(tensor: Tensor<D>) -> Self {
        if tensor.is_autodiff() {
            Self::Tape(on_backend(tensor.try_into_primitive::<Autodiff<B>>()))
        } else {
            Self::Plain(on_backend(tensor.try_into_primitive::<B>()))
        }
    }
}

fn on_backend<T, E: Debug>(primitive: Result<T, E>) -> T {
    primitive.expect("the caller asked `supports`, and all inputs share a device")
}

/// Runs `operation`, on the tape if any input is.
pub(crate) fn apply<B, O, const N: usize, const D: usize>(
    operation: O,
    inputs: [Input<B>; N],
) -> Tensor<D>
where
    B: Backend,
    O: Operation<B, N>,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    if inputs.iter().all(|input| matches!(input, Input::Plain(_))) {
        let inputs = inputs.map(|input| match input {
            Input::Tape(tensor) => tensor.into_primitive(),
            Input::Plain(tensor) => tensor,
        });
        let (output, _) = operation.forward(inputs);
        return Tensor::from_primitive::<B>(output);
    }
    let tensors = inputs.map(|input| match input {
        Input::Tape(tensor) => tensor,
        Input::Plain(tensor) => Autodiff::<B>::from_inner(tensor),
    });
    let guards = tensors.each_ref().map(|tensor| tensor.node());
    let (output, saved) = operation.forward(tensors.map(|tensor| tensor.into_primitive()));
    let output = match Step(operation)
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish(saved, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

#[derive(Clone, Debug)]
struct Step<O>(O);

impl<B: Backend, O: Operation<B, N>, const N: usize> Backward<B, N> for Step<O> {
    type State = O::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let inputs = self.0.backward(ops.state, grad);
        for (parent, grad) in ops.parents.into_iter().zip(inputs) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}
