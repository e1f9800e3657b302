//! Settings of Burn's configurations, whose fields are private: read and written as data.

use burn_core::config::Config;
use burn_grow_core::parametrization::{ShapeFactor, Update};
use burn_optim::AdjustLrFn;
use serde_json::{Value, json};

use crate::OptimError;

/// The field that every configuration of burn-optim calls its weight decay: a number, an object with
/// a penalty, or nothing.
const DECAY: &str = "weight_decay";
const PENALTY: &str = "penalty";

/// Returns `config` with `factor` times the weight decay.
pub(crate) fn with_decay<C: Config>(config: &C, factor: f64) -> Result<C, OptimError> {
    let mut settings = serde_json::to_value(config).map_err(OptimError::Settings)?;
    let decay = match settings.get_mut(DECAY) {
        Some(Value::Object(fields)) => fields.get_mut(PENALTY),
        decay => decay,
    };
    if let Some(decay) = decay
        && let Some(value) = decay.as_f64()
    {
        *decay = json!(value * factor);
    }
    serde_json::from_value(settings).map_err(OptimError::Settings)
}

/// What updates of an optimizer are like that multiplies them by the RMS of the parameter if the
/// switch `name` is on.
pub(crate) fn relative_if<C: Config>(config: &C, name: &str) -> Update {
    match setting(config, name) {
        Value::Bool(true) => Update::Relative,
        _ => Update::Elementwise,
    }
}

/// What Muon's updates are like, by its rule of rates.
pub(crate) fn orthogonal<C: Config>(config: &C) -> Update {
    let rule = serde_json::from_value(setting(config, "adjust_lr_fn"));
    Update::Orthogonal(match rule.unwrap_or_default() {
        AdjustLrFn::Original => ShapeFactor::Aspect,
        AdjustLrFn::MatchRmsAdamW => ShapeFactor::LargerSide,
    })
}

fn setting<C: Config>(config: &C, name: &str) -> Value {
    let mut settings = serde_json::to_value(config).unwrap_or_default();
    settings.get_mut(name).map(Value::take).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use burn_optim::decay::WeightDecayConfig;
    use burn_optim::{
        AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, LambConfig,
        LionConfig, MuonConfig, RmsPropConfig, SgdConfig,
    };

    use super::*;
    use crate::BatchedMuonConfig;

    #[test]
    fn the_decay_of_every_configuration_is_scaled_and_nothing_else_changes() {
        let penalty = |decay| Some(WeightDecayConfig::new(decay));
        macro_rules! check {
            ($($config:ident, $decay:expr;)+) => {$(
                let with = |decay| $config::new().with_weight_decay($decay(decay));
                let scaled = with_decay(&with(0.5), 0.25).expect("scaled");
                assert_eq!(scaled.to_string(), with(0.125).to_string());
                let same = with_decay(&with(0.1), 1.0).expect("scaled");
                assert_eq!(same.to_string(), with(0.1).to_string());
            )+};
        }
        check! {
            AdafactorConfig, |decay| decay;
            AdamWConfig, |decay| decay;
            AdanConfig, |decay| decay;
            LambConfig, |decay| decay;
            LionConfig, |decay| decay;
            AdaGradConfig, penalty;
            AdamConfig, penalty;
            BatchedMuonConfig, penalty;
            MuonConfig, penalty;
            RmsPropConfig, penalty;
            SgdConfig, penalty;
        }
        let none = with_decay(&SgdConfig::new(), 4.0).expect("scaled");
        assert_eq!(none.to_string(), SgdConfig::new().to_string());
    }

    #[test]
    fn switches_are_read() {
        let lamb = LambConfig::new();
        let off = lamb.clone().with_use_trust_ratio(false);
        assert_eq!(relative_if(&lamb, "use_trust_ratio"), Update::Relative);
        assert_eq!(relative_if(&off, "use_trust_ratio"), Update::Elementwise);
        let adafactor = AdafactorConfig::new();
        let off = adafactor.clone().with_scale_parameter(false);
        assert_eq!(relative_if(&adafactor, "scale_parameter"), Update::Relative);
        assert_eq!(relative_if(&off, "scale_parameter"), Update::Elementwise);
        let muon = MuonConfig::new();
        let matched = muon.clone().with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
        let update = Update::Orthogonal;
        assert_eq!(orthogonal(&muon), update(ShapeFactor::Aspect));
        assert_eq!(orthogonal(&matched), update(ShapeFactor::LargerSide));
    }
}
