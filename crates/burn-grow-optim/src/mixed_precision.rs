use burn_core::tensor::{DType, Device, Tensor};
use burn_optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use derive_new::new;

/// What a record calls the copy of the parameter.
pub(crate) const MASTER: &str = "master";

/// Steps parameters in half precision as if they were in single precision.
///
/// The state of the optimizer inside is in single precision, and so is a master copy of the parameter
/// ([arXiv 1710.03740](https://arxiv.org/abs/1710.03740)): updates that the parameter's few bits would swallow add up
/// there. Where the parameter is not what the master copy rounds to, coordinate by coordinate, the copy starts
/// again from the parameter. So it follows whatever else moves parameters: an expansion, or loaded weights.
///
/// A parameter in single precision has no copy. Burn 0.22.1 loads records in single precision, so the state of an
/// optimizer without this around it cannot be saved and resumed in half precision.
///
/// [`Asymmetric`](crate::Asymmetric) goes inside: it rescales updates, which are rounded outside.
///
/// ```
/// # use burn_grow_optim::{AsymmetricExt, MixedPrecision};
/// # use burn_optim::{AdamWConfig, ModuleOptimizer};
/// let adamw = AdamWConfig::new().build().asymmetric();
/// let optim = ModuleOptimizer::from(MixedPrecision::new(adamw));
/// ```
#[derive(Clone, Debug, new)]
pub struct MixedPrecision<O> {
    pub(crate) inner: O,
}

/// The state of [`MixedPrecision`].
#[derive(Clone, Debug)]
pub struct MixedPrecisionState<S, const D: usize> {
    /// The parameter in single precision, if it is stored in another.
    pub master: Option<Tensor<D>>,
    /// The state of the optimizer inside.
    pub inner: Option<S>,
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
