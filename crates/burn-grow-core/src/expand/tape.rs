//! What a parameter is to autodiff, taken before its value is computed anew.

use burn_core::module::ParamId;
use burn_core::tensor::{GradientCheckpointingStrategy, Tensor};

/// How a parameter enters the tape: a computed tensor is no leaf, so a new value is computed off the
/// tape and enters it as the old one did.
pub(crate) struct Tape {
    pub(crate) autodiff: bool,
    require_grad: bool,
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Tape {
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        let autodiff = tensor.is_autodiff();
        Self {
            autodiff,
            require_grad: tensor.is_require_grad(),
            // Asking a plain tensor panics.
            distributed: autodiff && tensor.is_distributed(),
            checkpointing: tensor.gradient_checkpointing_strategy(),
        }
    }

    /// Lets `value`, that of the parameter `id`, enter the tape.
    pub(crate) fn enter<const D: usize>(self, id: ParamId, mut value: Tensor<D>) -> Tensor<D> {
        if self.autodiff {
            value = Tensor::from_inner(value);
        }
        if let Some(strategy) = self.checkpointing {
            value = value.with_gradient_checkpointing_strategy(strategy);
        }
        if self.require_grad {
            value = value.require_grad();
        }
        if self.distributed {
            value = value.set_distributed(id);
        }
        value
    }
}
