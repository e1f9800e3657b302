//! Optimizer configurations, whole: what Burn applies in `init()`, gradient clipping, is kept.

use burn_core::module::ParamGroup;
use burn_optim::grad_clipping::GradientClipping;
use burn_optim::{
    AdaGrad, AdaGradConfig, Adafactor, AdafactorConfig, Adam, AdamConfig, AdamW, AdamWConfig, Adan,
    AdanConfig, Lamb, LambConfig, Lion, LionConfig, ModuleOptimizer, Muon, MuonConfig, Optimizer,
    RmsProp, RmsPropConfig, Sgd, SgdConfig,
};

use crate::{AsymmetricExt, BatchedMuon, BatchedMuonConfig, MixedPrecision, PerExpert};

/// Configuration of an optimizer that can follow a [`Rewarmup`](crate::Rewarmup): write
/// [`init_asymmetric`](Self::init_asymmetric) where Burn's programs write `init`.
///
/// Burn clips gradients in the [`ModuleOptimizer`] that a configuration's `init()` makes. The bare
/// optimizer of its `build()` has no clipping, so
/// `ModuleOptimizer::from(config.build().asymmetric())` does not clip, whatever the configuration
/// says. `init_asymmetric` does.
///
/// Parameter groups take configurations too ([`with_asymmetric_group`](AsymmetricGroups)), and
/// [`PerExpert`] and [`MixedPrecision`] wrap them as they wrap optimizers.
///
/// ```
/// # use burn_core::module::ParamGroup;
/// # use burn_grow_optim::{AsymmetricConfig, AsymmetricGroups, BatchedMuonConfig, MixedPrecision};
/// # use burn_optim::AdamWConfig;
/// # use burn_optim::grad_clipping::GradientClippingConfig;
/// let clipped = || AdamWConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)));
/// let optim = clipped()
///     .init_asymmetric()
///     .with_asymmetric_group(ParamGroup::from_predicate("experts"), &BatchedMuonConfig::new());
/// assert!(optim.has_gradient_clipping());
///
/// let half = MixedPrecision::new(clipped()).init_asymmetric();
/// assert!(half.has_gradient_clipping());
/// ```
pub trait AsymmetricConfig {
    /// The optimizer that is configured.
    type Optimizer: Optimizer;

    /// The optimizer by itself, as Burn's `build()` makes it: without gradient clipping.
    fn build_plain(&self) -> Self::Optimizer;

    /// The gradient clipping that is configured.
    fn gradient_clipping(&self) -> Option<GradientClipping>;

    /// The optimizer by itself, [`Asymmetric`](crate::Asymmetric): without gradient clipping.
    fn build_asymmetric(&self) -> impl Optimizer {
        self.build_plain().asymmetric()
    }

    /// The optimizer of a whole module, [`Asymmetric`](crate::Asymmetric), with the gradient
    /// clipping that is configured.
    fn init_asymmetric(&self) -> ModuleOptimizer {
        let optim = ModuleOptimizer::from(self.build_asymmetric());
        match self.gradient_clipping() {
            Some(clipping) => optim.with_grad_clipping(clipping),
            None => optim,
        }
    }
}

/// Adds groups of parameters to an optimizer, each by a configuration.
pub trait AsymmetricGroups {
    /// Optimizes the parameters of `group` as `config` says, its gradient clipping included.
    ///
    /// As with Burn's [`with_group`](ModuleOptimizer::with_group), the last group that matches a
    /// parameter counts. A group does not inherit the gradient clipping of the optimizer it is
    /// added to, and Muon's configurations have none: to clip there, hand
    /// `config.build_asymmetric()` and a clipping to `with_group`.
    fn with_asymmetric_group(self, group: ParamGroup, config: &impl AsymmetricConfig) -> Self;
}

impl AsymmetricGroups for ModuleOptimizer {
    fn with_asymmetric_group(self, group: ParamGroup, config: &impl AsymmetricConfig) -> Self {
        self.with_group(group, config.build_asymmetric(), config.gradient_clipping())
    }
}

macro_rules! configures {
    ($($config:ty => $optimizer:ty,)+) => {$(
        impl AsymmetricConfig for $config {
            type Optimizer = $optimizer;

            fn build_plain(&self) -> Self::Optimizer {
                self.build()
            }

            fn gradient_clipping(&self) -> Option<GradientClipping> {
                // The field is private to Burn, and this is what it does with it.
                self.init().grad_clipping().cloned()
            }
        }
    )+};
}

configures! {
    AdaGradConfig => AdaGrad,
    AdafactorConfig => Adafactor,
    AdamConfig => Adam,
    AdamWConfig => AdamW,
    AdanConfig => Adan,
    BatchedMuonConfig => BatchedMuon,
    LambConfig => Lamb,
    LionConfig => Lion,
    MuonConfig => Muon,
    RmsPropConfig => RmsProp,
    SgdConfig => Sgd,
}

impl<C: AsymmetricConfig> AsymmetricConfig for PerExpert<C> {
    type Optimizer = PerExpert<C::Optimizer>;

    fn build_plain(&self) -> Self::Optimizer {
        PerExpert::new(self.inner.build_plain())
    }

    fn gradient_clipping(&self) -> Option<GradientClipping> {
        self.inner.gradient_clipping()
    }
}

impl<C: AsymmetricConfig> AsymmetricConfig for MixedPrecision<C> {
    type Optimizer = MixedPrecision<C::Optimizer>;

    fn build_plain(&self) -> Self::Optimizer {
        MixedPrecision::new(self.inner.build_plain())
    }

    fn gradient_clipping(&self) -> Option<GradientClipping> {
        self.inner.gradient_clipping()
    }

    /// Rounds outside: the update is rescaled in single precision.
    fn build_asymmetric(&self) -> impl Optimizer {
        MixedPrecision::new(self.inner.build_asymmetric())
    }
}
