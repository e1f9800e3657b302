//! Every setting of a run, with its default and its range.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use burn_grow::describe::Axis;
use burn_grow::moe::MoeConfig;
use burn_grow::plan::Target;
use serde::{Deserialize, Serialize};

use crate::json::{self, Overlay, is_default};
use crate::spec::{AgeSetting, Backend, OptimizerKind, OptimizerSettings, ParametrizationSetting};

/// Which widths grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum WidthAxis {
    /// The width between the two matrices of an expert.
    Inner,
    /// The residual stream.
    Hidden,
    /// Both.
    #[default]
    Both,
}

impl WidthAxis {
    /// The name of the setting's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Hidden => "hidden",
            Self::Both => "both",
        }
    }
}

/// Every setting, as a settings file spells it. The defaults are the demonstration's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The optimizer steps of a run at full length, a multiple of `epochs`.
    pub steps: usize,
    /// Into how many epochs these are cut: each ends with a validation loss and a checkpoint.
    pub epochs: usize,
    /// Seed of the initial model and of the data order.
    pub seed: u64,
    /// Which widths grow.
    pub axis: WidthAxis,
    /// By how much they grow.
    pub factor: f64,
    /// The axes that grow, each to a factor or a width of its own, instead of those of `axis` by
    /// `factor`.
    #[serde(skip_serializing_if = "is_default")]
    pub targets: BTreeMap<Axis, Target>,
    /// When, as a fraction of the steps that falls between two epochs.
    pub at: f64,
    /// The peak of the re-warmup, as a multiple of the rate at the expansion.
    pub rho: f64,
    /// The length of the re-warmup's climb, as a fraction of the steps.
    pub tau: f64,
    /// The runs to do, by name; absent, all of them.
    pub runs: Option<Vec<String>>,
    /// A file or directory of text; absent, the sources of Burn that `Cargo.lock` pins.
    pub corpus: Option<PathBuf>,
    /// The bytes a model sees at once.
    pub context: usize,
    /// The windows of one step.
    pub batch: usize,
    /// The held-out windows of the validation loss at every epoch.
    pub valid_windows: usize,
    /// The held-out windows of the final loss.
    pub final_windows: usize,
    /// The small model.
    pub model: MoeConfig,
    /// The optimizer.
    pub optimizer: OptimizerSettings,
    /// Where the tensors live.
    pub device: Backend,
    /// How many runs go on at once; absent, one for each core up to two.
    pub jobs: Option<usize>,
    /// Where everything is written.
    pub out: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            steps: 2000,
            epochs: 40,
            seed: 0,
            axis: WidthAxis::default(),
            factor: 2.0,
            targets: BTreeMap::new(),
            at: 0.5,
            rho: 3.0,
            tau: 0.01,
            runs: None,
            corpus: None,
            context: 128,
            batch: 8,
            valid_windows: 64,
            final_windows: 512,
            model: MoeConfig::default(),
            // What the sweep chose (experiment `baseline`).
            optimizer: OptimizerSettings {
                from_scratch_ratio: 1.0,
                warmup: 0.1,
                stable: 0.5,
                ..OptimizerSettings::default()
            },
            device: Backend::default(),
            jobs: None,
            out: PathBuf::from("target/demo"),
        }
    }
}

impl Settings {
    /// Gives settings for a run of seconds that goes through everything and shows nothing about the
    /// method.
    pub fn quick() -> Self {
        Self {
            steps: 160,
            epochs: 8,
            context: 64,
            batch: 4,
            valid_windows: 16,
            final_windows: 32,
            out: PathBuf::from("target/demo-quick"),
            ..Self::default()
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// Names the first one out of its range.
    pub fn validate(&self) -> Result<()> {
        let wrong =
            |name: &str, value: String, expected: &str| Err(out_of_range(name, value, expected));
        if self.epochs < 4 {
            return wrong("epochs", self.epochs.to_string(), "4 or more");
        }
        if self.steps == 0 || !self.steps.is_multiple_of(self.epochs) {
            let expected = format!("a multiple of `epochs` ({})", self.epochs);
            return wrong("steps", self.steps.to_string(), &expected);
        }
        for (name, value) in [
            ("context", self.context),
            ("batch", self.batch),
            ("valid_windows", self.valid_windows),
            ("final_windows", self.final_windows),
            ("jobs", self.jobs.unwrap_or(1)),
            ("runs", self.runs.as_ref().map_or(1, Vec::len)),
        ] {
            if value == 0 {
                return wrong(name, value.to_string(), "at least 1");
            }
        }
        let optimizer = &self.optimizer;
        for (name, value) in [
            ("rho", self.rho),
            ("optimizer.peak_rate", optimizer.peak_rate),
            ("optimizer.from_scratch_ratio", optimizer.from_scratch_ratio),
        ] {
            if !value.is_finite() || value <= 0.0 {
                return wrong(name, value.to_string(), "a positive number");
            }
        }
        self.step_at(self.at)?;
        if !(self.factor.is_finite() && self.factor > 1.0) {
            return wrong("factor", self.factor.to_string(), "a number above 1");
        }
        for (name, value) in [
            ("tau", self.tau),
            ("optimizer.warmup", optimizer.warmup),
            ("optimizer.final_ratio", optimizer.final_ratio),
        ] {
            if !(0.0..=0.5).contains(&value) {
                return wrong(name, value.to_string(), "a fraction, 0 to 0.5");
            }
        }
        if !(0.0..=0.9).contains(&optimizer.stable) {
            let expected = "a fraction, 0 to 0.9";
            return wrong("optimizer.stable", optimizer.stable.to_string(), expected);
        }
        if optimizer.age == AgeSetting::Own && optimizer.kind == OptimizerKind::Muon {
            let expected = "`shared` under Muon, which corrects no bias";
            return wrong("optimizer.age", "`own`".into(), expected);
        }
        let follows = optimizer.parametrization != ParametrizationSetting::None;
        if follows == optimizer.base.is_empty() {
            let value = format!("{:?}", optimizer.base);
            let expected = "base widths exactly where `optimizer.parametrization` is not `none`";
            return wrong("optimizer.base", value, expected);
        }
        if self.model.vocab_size != 256 {
            let value = self.model.vocab_size.to_string();
            return wrong("model.vocab_size", value, "256, one for each byte");
        }
        self.model.validate().context("model")
    }

    /// Gives the steps of one epoch.
    pub fn epoch_steps(&self) -> usize {
        self.steps / self.epochs
    }

    /// Gives the optimizer steps before an expansion at that fraction of them.
    ///
    /// # Errors
    ///
    /// When the fraction does not fall between two epochs.
    pub fn step_at(&self, at: f64) -> Result<usize> {
        let epochs = self.epochs as f64 * at;
        let whole = epochs.round();
        if (epochs - whole).abs() < 1e-9 && (1.0..self.epochs as f64).contains(&whole) {
            Ok(whole as usize * self.epoch_steps())
        } else {
            let expected = format!(
                "a fraction that falls between two of {} epochs",
                self.epochs
            );
            Err(out_of_range("at", at, &expected))
        }
    }

    /// Gives the tokens of one step.
    pub fn step_tokens(&self) -> usize {
        self.batch * self.context
    }

    /// Gives the steps that the re-warmup climbs.
    pub fn rewarmup_steps(&self) -> usize {
        ((self.steps as f64 * self.tau).round() as usize).max(1)
    }

    /// Gives how many runs go on at once.
    pub fn workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.unwrap_or(cores.min(2))
    }

    /// Gives these settings with others, which belong to `place`, laid over them.
    ///
    /// # Errors
    ///
    /// When there is no setting of a name, or a value does not fit.
    pub fn laid(&self, place: &str, over: &Overlay) -> Result<Self> {
        json::laid(self, over).with_context(|| format!("settings of {place}"))
    }

    /// Gives the same settings cut down to a twentieth of the steps, with few held-out windows.
    pub fn shortened(self) -> Self {
        Self {
            steps: (self.steps / 20).max(1).next_multiple_of(self.epochs),
            valid_windows: self.valid_windows.min(16),
            final_windows: self.final_windows.min(64),
            ..self
        }
    }

    /// Gives what decides the numbers of a run, and so has to be the same when it is resumed.
    pub fn identity(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(settings) = value.as_object_mut() {
            for free in ["runs", "jobs", "out"] {
                settings.remove(free);
            }
        }
        value
    }
}

/// Makes the error for a setting out of its range.
pub fn out_of_range(name: &str, value: impl Display, expected: &str) -> anyhow::Error {
    anyhow!("setting `{name}` is {value}: expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(inner: usize) -> MoeConfig {
        MoeConfig {
            inner,
            ..Settings::default().model
        }
    }

    #[test]
    fn both_presets_are_valid() {
        assert!(Settings::default().validate().is_ok());
        assert!(Settings::quick().validate().is_ok());
    }

    #[test]
    fn every_mistake_is_named() {
        let base = Settings::default;
        let cases = [
            (
                Settings {
                    epochs: 3,
                    ..base()
                },
                "setting `epochs` is 3",
            ),
            (
                Settings { at: 0.51, ..base() },
                "setting `at` is 0.51: expected a fraction that falls between two of 40 epochs",
            ),
            (Settings { at: 1.0, ..base() }, "setting `at` is 1"),
            (Settings { at: 0.0, ..base() }, "setting `at` is 0"),
            (
                Settings {
                    steps: 41,
                    ..base()
                },
                "expected a multiple of `epochs` (40)",
            ),
            (Settings { batch: 0, ..base() }, "setting `batch` is 0"),
            (
                Settings {
                    rho: f64::NAN,
                    ..base()
                },
                "setting `rho` is NaN",
            ),
            (Settings { tau: 0.9, ..base() }, "setting `tau` is 0.9"),
            (
                Settings {
                    factor: 1.0,
                    ..base()
                },
                "setting `factor` is 1",
            ),
            (
                Settings {
                    runs: Some(Vec::new()),
                    ..base()
                },
                "setting `runs`",
            ),
            (
                Settings {
                    optimizer: OptimizerSettings {
                        parametrization: ParametrizationSetting::Mup,
                        ..OptimizerSettings::default()
                    },
                    ..base()
                },
                "setting `optimizer.base` is {}",
            ),
            (
                Settings {
                    model: model(0),
                    ..base()
                },
                "model: `inner` is 0",
            ),
        ];
        for (settings, message) in cases {
            let error = format!("{:#}", settings.validate().expect_err("a mistake"));
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_settings_file_holds_every_setting_and_no_other() {
        let text = toml::to_string(&Settings::quick()).expect("settings serialize");
        let settings: Settings = toml::from_str(&text).expect("and parse");
        assert_eq!(settings, Settings::quick());
        let settings: Settings = toml::from_str("rho = 1.3\n[model]\nhidden = 48").expect("valid");
        assert_eq!(
            (settings.rho, settings.model.hidden, settings.model.inner),
            (1.3, 48, 16)
        );
        assert!(toml::from_str::<Settings>("rhoo = 1.3").is_err());
        assert!(toml::from_str::<Settings>("[optimizer]\nbeta = 1").is_err());
    }

    #[test]
    fn settings_are_laid_over_others_field_by_field() {
        let over = |text| serde_json::from_str(text).expect("an object");
        let base = Settings::quick();
        let laid = base.laid(
            "",
            &over(r#"{"rho": 3, "model": {"inner": 8}, "axis": "inner"}"#),
        );
        let expected = Settings {
            rho: 3.0,
            model: model(8),
            axis: WidthAxis::Inner,
            ..base.clone()
        };
        assert_eq!(laid.expect("settings"), expected);
        assert_eq!(base.laid("", &Overlay::new()).expect("settings"), base);
        for text in [
            r#"{"rhoo": 3}"#,
            r#"{"model": {"iner": 8}}"#,
            r#"{"rho": "high"}"#,
        ] {
            let error = base.laid("run `a`", &over(text)).expect_err("a mistake");
            let error = format!("{error:#}");
            assert!(error.starts_with("settings of run `a`: "), "{error}");
        }
    }

    #[test]
    fn short_settings_are_valid() {
        for settings in [Settings::default(), Settings::quick()] {
            let short = settings.shortened();
            assert!(short.validate().is_ok());
            assert!(short.steps <= 400);
        }
    }
}
