use burn_core::tensor::{DType, Device, Tensor};
use burn_optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use derive_new::new;

use crate::keys::MASTER;

/// Optimizer around any other that steps parameters in half precision as if they were in single
/// precision.
///
/// The state of the optimizer inside is in single precision, and so is a master copy of the
/// parameter ([arXiv 1710.03740](https://arxiv.org/abs/1710.03740)), where updates add up that the
/// few bits of the parameter would swallow. A coordinate of the copy starts again from the
/// parameter when it no longer rounds to it. So the copy follows whatever else moves parameters: an
/// expansion, or loaded weights.
///
/// A parameter in single precision has no copy. Burn 0.22.1 loads records in single precision, so
/// that the state of any other optimizer in half precision cannot be saved and resumed.
///
/// Wrap a configuration ([`AsymmetricConfig`](crate::AsymmetricConfig)), which keeps its gradient
/// clipping, or an optimizer. [`Asymmetric`](crate::Asymmetric) goes inside: it rescales updates,
/// and rounding comes last.
///
/// ```
/// # use burn_grow_optim::{AsymmetricConfig, AsymmetricExt, MixedPrecision};
/// # use burn_optim::{AdamWConfig, ModuleOptimizer};
/// let optim = MixedPrecision::new(AdamWConfig::new()).init_asymmetric();
///
/// let adamw = AdamWConfig::new().build().asymmetric();
/// let same = ModuleOptimizer::from(MixedPrecision::new(adamw));
/// ```
#[derive(Clone, Debug, new)]
pub struct MixedPrecision<O> {
    pub(crate) inner: O,
}

/// State of [`MixedPrecision`].
#[derive(Clone, Debug)]
pub struct MixedPrecisionState<S, const D: usize> {
    /// The parameter in single precision, if it is stored in half precision.
    pub master: Option<Tensor<D>>,
    inner: Option<S>,
}

impl<O: Optimizer> Optimizer for MixedPrecision<O> {
    type State<const D: usize> = MixedPrecisionState<O::State<D>, D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let dtype = tensor.dtype();
        let (master, inner) = match state {
            Some(state) => (state.master, state.inner),
            None => (None, None),
        };
        if !matches!(dtype, DType::F16 | DType::BF16) {
            let (tensor, inner) = self.inner.step(lr, tensor, grad, inner);
            let state = inner.map(|inner| MixedPrecisionState {
                master: None,
                inner: Some(inner),
            });
            return (tensor, state);
        }
        let rounded = tensor.cast(DType::F32);
        let exact = match master {
            Some(master) => {
                let same = master
                    .clone()
                    .cast(dtype)
                    .cast(DType::F32)
                    .equal(rounded.clone());
                rounded.mask_where(same, master)
            }
            None => rounded,
        };
        let (master, inner) = self.inner.step(lr, exact, grad.cast(DType::F32), inner);
        let tensor = master.clone().cast(dtype);
        let master = Some(master);
        (tensor, Some(MixedPrecisionState { master, inner }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        MixedPrecisionState {
            master: state.master.map(|master| master.to_device(device)),
            inner: state.inner.map(|inner| O::to_device(inner, device)),
        }
    }
}

impl<S: RecordState, const D: usize> RecordState for MixedPrecisionState<S, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(master) = &self.master {
            out.push_tensor(prefix, MASTER, master.to_data());
        }
        if let Some(inner) = &self.inner {
            inner.state_flatten(prefix, out);
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let master = src.take_tensor(prefix, MASTER);
        let master = master.map(|data| Tensor::from_data(data, (device, DType::F32)));
        let inner = S::state_unflatten(prefix, src, device);
        (master.is_some() || inner.is_some()).then_some(Self { master, inner })
    }
}
