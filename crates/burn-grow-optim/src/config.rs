//! Optimizer configurations, whole: what Burn applies in `init()`, gradient clipping, is kept.

use burn_core::module::ParamGroup;
use burn_grow_core::parametrization::{ParamWidths, Parametrized, Update};
use burn_optim::grad_clipping::GradientClipping;
use burn_optim::{
    AdaGrad, AdaGradConfig, Adafactor, AdafactorConfig, Adam, AdamConfig, AdamW, AdamWConfig, Adan,
    AdanConfig, Lamb, LambConfig, Lion, LionConfig, ModuleOptimizer, Muon, MuonConfig, Optimizer,
    RmsProp, RmsPropConfig, Sgd, SgdConfig,
};

use crate::settings::{self, orthogonal, relative_if};
use crate::width_groups::width_groups;
use crate::{
    AsymmetricExt, BatchedMuon, BatchedMuonConfig, MixedPrecision, OptimError,
    ParametrizedOptimizer, PerExpert,
};

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
pub trait AsymmetricConfig: Clone + Send + Sync + 'static {
    /// The optimizer that is configured.
    type Optimizer: Optimizer;

    /// The optimizer by itself, as Burn's `build()` makes it: without gradient clipping.
    fn build_plain(&self) -> Self::Optimizer;

    /// The gradient clipping that is configured.
    fn gradient_clipping(&self) -> Option<GradientClipping>;

    /// What the size of an update depends on, which decides how rates follow widths.
    fn update(&self) -> Update;

    /// The configuration with `factor` times its weight decay.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read and written.
    fn with_decay(&self, factor: f64) -> Result<Self, OptimError>;

    /// The optimizer by itself, [`Asymmetric`](crate::Asymmetric): without gradient clipping.
    fn build_asymmetric(&self) -> impl Optimizer {
        self.build_plain().asymmetric()
    }

    /// As [`build_asymmetric`](Self::build_asymmetric), for parameters with these widths.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read and written.
    fn build_parametrized(&self, widths: ParamWidths) -> Result<impl Optimizer, OptimError> {
        Ok(ParametrizedOptimizer::new(self.clone(), widths)?.asymmetric())
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

    /// As [`init_asymmetric`](Self::init_asymmetric), with rates that follow the widths of `model`:
    /// the scheduler gives one base rate, and every parameter trains at its own multiple of it.
    ///
    /// ```
    /// # use burn_core as burn;
    /// # use burn_core::module::Module;
    /// # use burn_core::tensor::Device;
    /// # use burn_grow_core::{Blueprint, Growable};
    /// # use burn_grow_derive::Growable;
    /// # use burn_grow_optim::AsymmetricConfig;
    /// # use burn_nn::{Linear, LinearConfig};
    /// # use burn_optim::AdamWConfig;
    /// use burn_grow_core::parametrization::Parametrization;
    /// # #[derive(Module, Growable, Debug)]
    /// # #[grow(crate = burn_grow_core)]
    /// # struct Mlp {
    /// #     #[grow(fan_out = "inner")]
    /// #     up: Linear,
    /// #     #[grow(fan_in = "inner")]
    /// #     down: Linear,
    /// # }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let device = Device::default().autodiff();
    /// # let (up, down) = (LinearConfig::new(2, 16), LinearConfig::new(16, 2));
    /// # let model = Mlp { up: up.init(&device), down: down.init(&device) };
    /// // The rate was tuned at 4 inner units.
    /// let parametrization = Parametrization::mup([("inner", 4)]);
    /// let widths = parametrization.of(&Blueprint::of(&model)?)?;
    /// let optim = AdamWConfig::new().init_parametrized(&widths)?;
    /// # let _ = optim;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When blocks of a stack differ in a way that new ones cannot follow.
    fn init_parametrized(&self, model: &Parametrized) -> Result<ModuleOptimizer, OptimError> {
        let all = ParamGroup::all();
        self.init_asymmetric()
            .with_parametrized_group(all, self, model)
    }
}

/// Optimizer of a training that grows: a configuration, or a [`ModuleOptimizer`] made of several.
///
/// A configuration is taken whole, with its gradient clipping. Groups of parameters are added to
/// [`init_asymmetric`](AsymmetricConfig::init_asymmetric) with
/// [`with_asymmetric_group`](AsymmetricGroups::with_asymmetric_group), which keeps theirs. A
/// `ModuleOptimizer` made in another way is used as it is.
pub trait IntoModuleOptimizer {
    /// Makes the optimizer.
    fn into_module_optimizer(self) -> ModuleOptimizer;
}

impl<C: AsymmetricConfig> IntoModuleOptimizer for C {
    fn into_module_optimizer(self) -> ModuleOptimizer {
        self.init_asymmetric()
    }
}

impl IntoModuleOptimizer for ModuleOptimizer {
    fn into_module_optimizer(self) -> ModuleOptimizer {
        self
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

    /// As [`with_asymmetric_group`](Self::with_asymmetric_group), with rates that follow the widths
    /// of `model`: one group of Burn's for all parameters of `group` that follow them alike. Blocks
    /// that are added to a stack later belong to the groups of their siblings.
    ///
    /// # Errors
    ///
    /// When blocks of a stack differ in a way that new ones cannot follow.
    fn with_parametrized_group(
        self,
        group: ParamGroup,
        config: &impl AsymmetricConfig,
        model: &Parametrized,
    ) -> Result<Self, OptimError>
    where
        Self: Sized;
}

impl AsymmetricGroups for ModuleOptimizer {
    fn with_asymmetric_group(self, group: ParamGroup, config: &impl AsymmetricConfig) -> Self {
        self.with_group(group, config.build_asymmetric(), config.gradient_clipping())
    }

    fn with_parametrized_group(
        mut self,
        group: ParamGroup,
        config: &impl AsymmetricConfig,
        model: &Parametrized,
    ) -> Result<Self, OptimError> {
        self = self.with_asymmetric_group(group.clone(), config);
        for alike in width_groups(model)? {
            let optim = config.build_parametrized(alike.widths)?;
            let group = group.clone().exclude(alike.others);
            self = self.with_group(group, optim, config.gradient_clipping());
        }
        Ok(self)
    }
}

macro_rules! configures {
    ($($config:ty => $optimizer:ty, $update:expr;)+) => {$(
        impl AsymmetricConfig for $config {
            type Optimizer = $optimizer;

            fn build_plain(&self) -> Self::Optimizer {
                self.build()
            }

            fn gradient_clipping(&self) -> Option<GradientClipping> {
                // The field is private to Burn, and this is what it does with it.
                self.init().grad_clipping().cloned()
            }

            fn update(&self) -> Update {
                let update: fn(&Self) -> Update = $update;
                update(self)
            }

            fn with_decay(&self, factor: f64) -> Result<Self, OptimError> {
                settings::with_decay(self, factor)
            }
        }
    )+};
}

configures! {
    AdaGradConfig => AdaGrad, |_| Update::Elementwise;
    AdafactorConfig => Adafactor, |config| relative_if(config, "scale_parameter");
    AdamConfig => Adam, |_| Update::Elementwise;
    AdamWConfig => AdamW, |_| Update::Elementwise;
    AdanConfig => Adan, |_| Update::Elementwise;
    BatchedMuonConfig => BatchedMuon, orthogonal;
    LambConfig => Lamb, |config| relative_if(config, "use_trust_ratio");
    LionConfig => Lion, |_| Update::Elementwise;
    MuonConfig => Muon, orthogonal;
    RmsPropConfig => RmsProp, |_| Update::Elementwise;
    SgdConfig => Sgd, |_| Update::Gradient;
}

impl<C: AsymmetricConfig> AsymmetricConfig for PerExpert<C> {
    type Optimizer = PerExpert<C::Optimizer>;

    fn build_plain(&self) -> Self::Optimizer {
        PerExpert::new(self.inner.build_plain())
    }

    fn gradient_clipping(&self) -> Option<GradientClipping> {
        self.inner.gradient_clipping()
    }

    fn update(&self) -> Update {
        self.inner.update()
    }

    fn with_decay(&self, factor: f64) -> Result<Self, OptimError> {
        Ok(PerExpert::new(self.inner.with_decay(factor)?))
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

    fn update(&self) -> Update {
        self.inner.update()
    }

    fn with_decay(&self, factor: f64) -> Result<Self, OptimError> {
        Ok(MixedPrecision::new(self.inner.with_decay(factor)?))
    }

    /// Rounds outside: the update is rescaled in single precision.
    fn build_asymmetric(&self) -> impl Optimizer {
        MixedPrecision::new(self.inner.build_asymmetric())
    }

    fn build_parametrized(&self, widths: ParamWidths) -> Result<impl Optimizer, OptimError> {
        Ok(MixedPrecision::new(self.inner.build_parametrized(widths)?))
    }
}
