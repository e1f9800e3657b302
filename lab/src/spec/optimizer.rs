//! The settings of the optimizer and its learning rate.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer};
use burn_grow::Blueprint;
use burn_grow::describe::Axis;
use burn_grow::optim::{AsymmetricConfig, AsymmetricGroups, BatchedMuonConfig};
use burn_grow::parametrization::{Parametrization, Parametrized};
use serde::{Deserialize, Serialize};

use crate::json::is_default;

/// Which optimizer moves the matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// AdamW, as all else.
    #[default]
    #[value(name = "adamw")]
    #[serde(rename = "adamw")]
    AdamW,
    /// Muon for the projections of attention and experts, AdamW for all else.
    Muon,
}

/// What counts as the age of new coordinates in AdamW's bias correction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AgeSetting {
    /// The step count of their parameter: the paper's.
    #[default]
    Shared,
    /// The steps since the expansion, where the state begins there.
    Own,
}

/// What rates, initialization and the factor of the logits follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParametrizationSetting {
    /// Nothing: one rate and one standard deviation for all parameters at every width.
    #[default]
    None,
    /// The widths, by the standard parametrization.
    Standard,
    /// The widths, by muP.
    Mup,
}

/// The optimizer and its learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerSettings {
    /// Which one.
    pub kind: OptimizerKind,
    /// The age of new coordinates.
    pub age: AgeSetting,
    /// The highest learning rate of the small model, which grown runs keep.
    pub peak_rate: f64,
    /// The highest rate of the wide model trained from scratch, as a fraction of that: wide models
    /// want less.
    pub from_scratch_ratio: f64,
    /// The fraction of the steps that the rate climbs.
    pub warmup: f64,
    /// The fraction of them that it then stays at its highest, before it goes down.
    #[serde(skip_serializing_if = "is_default")]
    pub stable: f64,
    /// The last rate, as a fraction of the highest.
    pub final_ratio: f64,
    /// The decay of AdamW's first moment.
    pub beta_1: f32,
    /// The decay of AdamW's second moment.
    pub beta_2: f32,
    /// What keeps AdamW from dividing by zero.
    pub epsilon: f32,
    /// The weight decay.
    pub weight_decay: f32,
    /// What rates and initialization follow.
    #[serde(skip_serializing_if = "is_default")]
    pub parametrization: ParametrizationSetting,
    /// The base widths of the parametrization: of `hidden`, `inner`, `kv_heads` and `queries`.
    #[serde(skip_serializing_if = "is_default")]
    pub base: BTreeMap<Axis, usize>,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::default(),
            age: AgeSetting::default(),
            peak_rate: 8e-3,
            from_scratch_ratio: 0.75,
            warmup: 0.03,
            stable: 0.0,
            final_ratio: 0.01,
            beta_1: 0.9,
            beta_2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            parametrization: ParametrizationSetting::default(),
            base: BTreeMap::new(),
        }
    }
}

impl OptimizerSettings {
    /// The parametrization, if rates and initialization follow one.
    pub fn parametrization(&self) -> Option<Parametrization> {
        let base = self.base.clone();
        match self.parametrization {
            ParametrizationSetting::None => None,
            ParametrizationSetting::Standard => Some(Parametrization::standard(base)),
            ParametrizationSetting::Mup => Some(Parametrization::mup(base)),
        }
    }

    /// The optimizer of a run that begins with a model like `blueprint`.
    ///
    /// # Errors
    ///
    /// When an axis has no base width, or one that the model does not have is given.
    pub fn build(&self, blueprint: &Blueprint) -> Result<ModuleOptimizer> {
        let adamw = AdamWConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .with_weight_decay(self.weight_decay);
        let widths = self.parametrization();
        let widths = widths.map(|it| it.of(blueprint)).transpose();
        self.around(&adamw, widths.context("optimizer.base")?.as_ref())
    }

    /// The optimizer of a run whose AdamW is configured like this, with all that is set there.
    fn around(
        &self,
        adamw: &AdamWConfig,
        widths: Option<&Parametrized>,
    ) -> Result<ModuleOptimizer> {
        let optim = match widths {
            None => adamw.init_asymmetric(),
            Some(widths) => adamw.init_parametrized(widths)?,
        };
        if self.kind == OptimizerKind::AdamW {
            return Ok(optim);
        }
        // With updates as large as AdamW's, rates and decay can stay what they are.
        let muon = BatchedMuonConfig::new()
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .with_weight_decay(Some(WeightDecayConfig::new(self.weight_decay)));
        let matrices = ParamGroup::from_predicate("_proj");
        match widths {
            None => Ok(optim.with_asymmetric_group(matrices, &muon)),
            Some(widths) => Ok(optim.with_parametrized_group(matrices, &muon, widths)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::grad_clipping::GradientClippingConfig;

    use super::*;

    #[test]
    fn a_clipping_that_is_configured_is_part_of_the_optimizer() {
        for kind in [OptimizerKind::AdamW, OptimizerKind::Muon] {
            let settings = OptimizerSettings {
                kind,
                ..OptimizerSettings::default()
            };
            let clipping = Some(GradientClippingConfig::Norm(1.0));
            let clipped = AdamWConfig::new().with_grad_clipping(clipping);
            let around = |adamw| settings.around(adamw, None).expect("an optimizer");
            assert!(around(&clipped).has_gradient_clipping());
            assert!(!around(&AdamWConfig::new()).has_gradient_clipping());
        }
    }
}
