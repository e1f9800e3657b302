//! The optimizer around any other that follows a re-warmup.

use burn_core::tensor::{Device, Tensor};
use burn_optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use derive_new::new;

use crate::keys::{RANK, RecordKeys};
use crate::region::Region;
use crate::rescale::{Masks, rescale};

/// The most by which an update at the base rate is scaled up.
const MAX_QUOTIENT: f64 = 8.0;

/// Optimizer around any other that gives the new coordinates of grown parameters a learning rate of
/// their own.
///
/// The inner optimizer steps at the base rate. The update of the coordinates that an expansion
/// added is then rescaled by the quotient of their learning rate and the base rate. That is exact
/// for every optimizer whose update is linear in the learning rate, weight decay included. All
/// other coordinates are bit-equal to the inner optimizer's, and before the first expansion this is
/// the inner optimizer.
///
/// Records are interchangeable with the inner optimizer's until something has grown.
///
/// [`AsymmetricConfig`](crate::AsymmetricConfig) makes one from a configuration, gradient clipping
/// included. Around an optimizer, clipping is up to you:
///
/// ```
/// # use burn_grow_optim::AsymmetricExt;
/// # use burn_optim::grad_clipping::GradientClipping;
/// # use burn_optim::{AdamWConfig, ModuleOptimizer};
/// let adamw = AdamWConfig::new().build();
/// let optim = ModuleOptimizer::from(adamw.asymmetric())
///     .with_grad_clipping(GradientClipping::Norm(1.0));
/// # assert!(optim.has_gradient_clipping());
/// ```
///
/// Burn's `LBFGS` cannot be adapted, because it does not implement [`Optimizer`]: it keeps one flat
/// history of the whole model, in which parameters cannot be told apart, and takes one step length
/// for all coordinates.
///
/// ```compile_fail
/// # use burn_grow_optim::AsymmetricExt;
/// # use burn_optim::LBFGSConfig;
/// let optim = LBFGSConfig::new().init().asymmetric();
/// ```
#[derive(Clone, Debug, new)]
pub struct Asymmetric<O> {
    inner: O,
}

/// Adds [`asymmetric`](Self::asymmetric) to every optimizer.
pub trait AsymmetricExt: Optimizer {
    /// Wraps the optimizer so that it can follow a [`Rewarmup`](crate::Rewarmup). An optimizer has
    /// no gradient clipping, whatever its configuration said:
    /// [`AsymmetricConfig`](crate::AsymmetricConfig) keeps it.
    fn asymmetric(self) -> Asymmetric<Self> {
        Asymmetric::new(self)
    }
}

impl<O: Optimizer> AsymmetricExt for O {}

/// State of [`Asymmetric`]: the inner state, and the coordinates that expansions added.
#[derive(Clone, Debug)]
pub struct AsymmetricState<S, const D: usize> {
    /// `None` for a parameter that grew before its first gradient.
    inner: Option<S>,
    /// The oldest first.
    regions: Vec<Region>,
    /// The regions on a device that needs them there, from the first step on.
    masks: Option<Masks<D>>,
}

impl<O: Optimizer> Optimizer for Asymmetric<O> {
    type State<const D: usize> = AsymmetricState<O::State<D>, D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (inner, mut regions, mut masks) = match state {
            Some(state) => (state.inner, state.regions, state.masks),
            None => (None, Vec::new(), None),
        };
        if regions.is_empty() {
            let (tensor, inner) = self.inner.step(lr, tensor, grad, inner);
            let state = inner.map(|inner| AsymmetricState {
                inner: Some(inner),
                regions,
                masks,
            });
            return (tensor, state);
        }
        let rates: Vec<_> = regions
            .iter_mut()
            .map(|region| region.advance(lr))
            .collect();
        let fastest = rates.iter().copied().fold(lr, f64::max);
        // A far slower base update has too few bits left to be scaled up, and none at a rate of
        // zero. Then the inner optimizer also runs at the rate of the fastest region.
        let own_run = (fastest > lr * MAX_QUOTIENT)
            .then(|| (tensor.clone(), grad.clone(), inner.clone()))
            .map(|(tensor, grad, inner)| self.inner.step(fastest, tensor, grad, inner).0);
        let (updated, inner) = self.inner.step(lr, tensor.clone(), grad, inner);
        let run = if own_run.is_some() { fastest } else { lr };
        let updated = if run == 0.0 {
            updated
        } else {
            rescale(tensor, updated, own_run, &regions, &mut masks, &rates, run)
        };
        let state = AsymmetricState {
            inner,
            regions,
            masks,
        };
        (updated, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AsymmetricState {
            inner: state.inner.map(|inner| O::to_device(inner, device)),
            regions: state.regions,
            masks: state.masks.map(|masks| masks.moved_to(device)),
        }
    }
}

impl<S: RecordState + Clone, const D: usize> RecordState for AsymmetricState<S, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(inner) = &self.inner {
            inner.state_flatten(prefix, out);
        }
        for (index, region) in self.regions.iter().enumerate() {
            let prefix = RecordKeys::under(prefix).region(index);
            for (name, value) in region.scalars() {
                out.push_scalar(&prefix, &name, value);
            }
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let inner = S::state_unflatten(prefix, src, device);
        let rank = usize::try_from(src.take_scalar(prefix, RANK)?).ok()?;
        let regions: Vec<_> = (0..)
            .map_while(|index| {
                let prefix = RecordKeys::under(prefix).region(index);
                Region::from_scalars(rank, |name| src.take_scalar(&prefix, name))
            })
            .collect();
        let masks = None;
        (inner.is_some() || !regions.is_empty()).then_some(Self {
            inner,
            regions,
            masks,
        })
    }
}
