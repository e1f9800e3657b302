//! `lab plan`: what an expansion of a model would do and cost, from a configuration file alone, and
//! whether it would pay, from two learning curves.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use burn_grow::cost::{Budget, CostChange, Forecast, LearningCurve, Payoff, StateSize};
use burn_grow::moe::{HfError, MoeConfig};
use burn_grow::plan::{AxisSetting, Blocks, Target};
use burn_grow::{Blueprint, Expansion, InitPair, Plan, Scaling};
use clap::Parser;
use serde::Serialize;

use crate::files;

/// Prints what an expansion of a mixture-of-experts model does to every parameter, what it costs,
/// and what growing saves for expansion points from 10 % to 90 % of a run. Builds no parameter.
/// From learning curves, whether and when growing pays
#[derive(Clone, Debug, Parser)]
pub struct PlanCli {
    /// A model configuration, TOML or JSON by its extension; what it leaves out keeps its default.
    /// Or the `config.json` of an OLMoE or a Qwen3-MoE
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "curves",
        requires = "axes"
    )]
    pub config: Option<PathBuf>,
    /// An axis and a factor or a width, as in `inner=2x`, `hidden=2048` or `layers=4x`; may be
    /// repeated
    #[arg(long = "axis", value_name = "AXIS=TARGET", requires = "config")]
    pub axes: Vec<AxisSetting<Target>>,
    /// What the new blocks of an axis are, in words: what they hold (copy, identity, drawn, fresh),
    /// their order (stacked, interleaved, last), or the source of every block, as in
    /// `layers=identity`, `layers=fresh,interleaved` or `layers=0,1,1,2`; may be repeated
    #[arg(long, value_name = "AXIS=WORDS")]
    pub blocks: Vec<AxisSetting<Blocks>>,
    /// What the new coordinates hold, producer-consumer
    #[arg(long, default_value_t)]
    pub init: InitPair,
    /// How the consumers are rescaled
    #[arg(long, value_enum, default_value_t)]
    pub scaling: ScalingRule,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The optimizer whose state is counted
    #[arg(long, value_enum, default_value_t)]
    pub optimizer: OptimizerName,
    /// The tokens of the run
    #[arg(long, value_name = "N", conflicts_with = "flops", value_parser = positive)]
    pub tokens: Option<f64>,
    /// The FLOPs of the run
    #[arg(long, value_name = "N", value_parser = positive)]
    pub flops: Option<f64>,
    /// Learning curves of the narrow and the wide model, each a JSON file `[[FLOPs, loss], ..]`:
    /// says on `--flops` whether and when growing pays
    #[arg(long, num_args = 2, value_names = ["NARROW", "WIDE"], requires = "flops")]
    pub curves: Option<Vec<PathBuf>>,
    /// The part of the narrow model's progress that an expansion keeps: 0.6 where copies double
    /// both widths, 1 where layers are copied
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.6,
        requires = "curves",
        value_parser = positive
    )]
    pub kept: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// [`Scaling`] on the command line.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum ScalingRule {
    /// Keeps the RMS of every activation.
    #[default]
    RmsPreserving,
    /// Keeps the function.
    FunctionPreserving,
    /// Leaves the consumers as they are.
    None,
}

/// Optimizers that differ in what they remember.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum OptimizerName {
    /// Two moments.
    #[default]
    Adamw,
    /// A momentum.
    Sgd,
    /// A momentum.
    Muon,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("expected a positive number".into())
    }
}

impl PlanCli {
    /// Gives the expansion asked for.
    pub fn expansion(&self) -> Expansion {
        let scaling = match self.scaling {
            ScalingRule::RmsPreserving => Scaling::RmsPreserving,
            ScalingRule::FunctionPreserving => Scaling::FunctionPreserving,
            ScalingRule::None => Scaling::None,
        };
        let expansion = Expansion::default()
            .with_init(self.init)
            .with_scaling(scaling)
            .with_seed(self.seed);
        let expansion = self.axes.iter().fold(expansion, |expansion, of| {
            let name = of.axis.as_str();
            match of.value {
                Target::Factor(factor) => expansion.and_by(name, factor),
                Target::Width(width) => expansion.and_to(name, width),
            }
        });
        self.blocks.iter().fold(expansion, |expansion, of| {
            expansion.with_blocks(of.axis.as_str(), of.value.clone())
        })
    }

    fn budget(&self) -> Option<Budget> {
        match (self.tokens, self.flops) {
            (Some(tokens), _) => Some(Budget::Tokens(tokens)),
            (None, flops) => flops.map(Budget::Flops),
        }
    }

    fn payoff(&self) -> Result<Option<Payoff>> {
        let (Some([narrow, wide]), Some(budget)) = (self.curves.as_deref(), self.flops) else {
            return Ok(None);
        };
        let curve = |path: &Path| -> Result<LearningCurve> {
            let missing = || format!("{}: no such file", path.display());
            files::json(path)?.with_context(missing)
        };
        let (narrow, wide) = (curve(narrow)?, curve(wide)?);
        Ok(Some(Payoff::new(&narrow, &wide, budget, self.kept)))
    }

    fn state(&self) -> StateSize {
        match self.optimizer {
            OptimizerName::Adamw => StateSize::AdamW,
            OptimizerName::Sgd | OptimizerName::Muon => StateSize::Momentum,
        }
    }
}

/// What `cargo xtask plan` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The growth of a model, if its configuration was given.
    #[serde(flatten)]
    pub growth: Option<PlannedGrowth>,
    /// Whether and when it pays, if learning curves were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payoff: Option<Payoff>,
}

/// The growth of a model.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedGrowth {
    /// What grows.
    pub expansion: Expansion,
    /// What that does to every parameter.
    pub plan: Plan,
    /// What the model costs before and after.
    pub cost: CostChange,
    /// What growing saves, if a budget was given.
    pub forecast: Option<Forecast>,
}

impl Planned {
    /// Plans what the command line asks for.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be read or describes no model, the model cannot grow that way,
    /// or a curve cannot be read.
    pub fn of(cli: &PlanCli) -> Result<Self> {
        let growth = cli.config.as_ref();
        Ok(Self {
            growth: growth
                .map(|path| PlannedGrowth::of(cli, path))
                .transpose()?,
            payoff: cli.payoff()?,
        })
    }
}

impl PlannedGrowth {
    fn of(cli: &PlanCli, config: &Path) -> Result<Self> {
        let model = read(config)?.try_init(&Device::flex()).context("model")?;
        let expansion = cli.expansion();
        let plan = Plan::new(&Blueprint::of_lazy(&model)?, &expansion)?;
        let forecast = |budget| Forecast::new(budget, plan.active_params());
        Ok(Self {
            cost: plan.cost(cli.state()),
            forecast: cli.budget().map(forecast),
            expansion,
            plan,
        })
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.growth, &self.payoff) {
            (Some(growth), Some(payoff)) => write!(f, "{growth}\n\n{payoff}"),
            (Some(growth), None) => growth.fmt(f),
            (None, Some(payoff)) => payoff.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for PlannedGrowth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.plan, self.cost)?;
        match &self.forecast {
            Some(forecast) => write!(f, "\n\n{forecast}"),
            None => Ok(()),
        }
    }
}

/// Reads a configuration: TOML, or JSON of this crate's or of Hugging Face's.
fn read(path: &Path) -> Result<MoeConfig> {
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    if !json {
        return files::toml(path);
    }
    match MoeConfig::from_hf(path) {
        // Ours names no type.
        Err(HfError::Key { key, found, .. }) if key == "model_type" && found == "missing" => {
            let missing = || format!("{}: no such file", path.display());
            files::json(path)?.with_context(missing)
        }
        read => Ok(read?),
    }
}

impl PlanCli {
    /// Gives the text that the command line asks for.
    ///
    /// # Errors
    ///
    /// As [`Planned::of`].
    pub fn text(&self) -> Result<String> {
        let planned = Planned::of(self)?;
        if self.json {
            Ok(serde_json::to_string_pretty(&planned)?)
        } else {
            Ok(planned.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_grow::plan::BlockContent;

    use super::*;

    fn growth(planned: Planned) -> PlannedGrowth {
        planned.growth.expect("a model's")
    }

    #[test]
    fn two_curves_say_whether_growing_pays() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = |name: &str, floor: f64, scale: f64| {
            let point = |n: u32| (f64::from(n), floor + scale / f64::from(n));
            let points: Vec<_> = (1..=50).map(point).collect();
            let path = folder.path().join(name);
            std::fs::write(&path, serde_json::to_vec(&points).expect("JSON")).expect("a file");
            path.into_os_string()
        };
        let curves = [file("narrow.json", 1.0, 10.0), file("wide.json", 0.5, 30.0)];
        let said = |more: &[&str]| {
            let line = ["plan", "--curves"].map(Into::into).into_iter();
            let line = line
                .chain(curves.clone())
                .chain(more.iter().map(Into::into));
            PlanCli::try_parse_from(line)?.text()
        };
        let short = said(&["--flops", "100", "--kept", "0.8"]).expect("a table");
        assert!(short.contains("grow after"), "{short}");
        let long = said(&["--flops", "1000"]).expect("a table");
        assert!(long.ends_with("do not grow"), "{long}");
        let json = said(&["--flops", "100", "--json"]).expect("JSON");
        assert!(json.contains("\"payoff\""), "{json}");
        assert!(said(&[]).is_err(), "no budget");
        assert!(
            said(&["--flops", "100", "--axis", "inner=2x"]).is_err(),
            "no model"
        );
        std::fs::write(&curves[0], "[[1.0, 2.0]]").expect("a file");
        let error = format!("{:#}", said(&["--flops", "100"]).expect_err("no curve"));
        assert!(
            error.contains("narrow.json") && error.contains("needs 4 or more"),
            "{error}"
        );
    }

    #[test]
    fn an_axis_stands_in_front() {
        let parse = |text: &str| text.parse::<AxisSetting<Target>>();
        let of = parse("inner=2x").expect("a target");
        assert_eq!((of.axis.as_str(), of.value), ("inner", Target::Factor(2.0)));
        for text in ["inner", "inner=", "=2x", "inner=1.5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_configuration_is_planned_in_either_format() {
        let folder = tempfile::tempdir().expect("a directory");
        let planned = |name: &str, text: &str| {
            let config = folder.path().join(name);
            std::fs::write(&config, text).expect("a file");
            let line = [
                "plan",
                "--axis",
                "inner=2x",
                "--axis",
                "hidden=2048",
                "--tokens",
                "2e11",
            ];
            let line = line.into_iter().chain(["--config"]).map(Into::into);
            let line = line.chain([config.into_os_string()]);
            Planned::of(&PlanCli::parse_from(line)).map(growth)
        };
        let toml = planned("model.toml", "hidden = 1024\ninner = 512").expect("planned");
        let json = planned("model.json", r#"{"hidden": 1024, "inner": 512}"#).expect("planned");
        assert_eq!(toml.plan, json.plan);
        assert!(
            toml.plan
                .axes()
                .values()
                .all(|axis| axis.factor().uniform() == Some(0.5))
        );
        assert_eq!(toml.forecast.map(|forecast| forecast.points.len()), Some(9));
        for (name, text) in [
            ("model.toml", "hiden = 1024"),
            ("model.json", r#"{"hiden": 1024}"#),
        ] {
            let error = format!("{:#}", planned(name, text).expect_err("misspelt"));
            assert!(error.contains("hiden"), "{error}");
        }
        // As Hugging Face writes it.
        let olmoe = r#"{"model_type": "olmoe", "vocab_size": 256, "hidden_size": 1024,
            "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 16,
            "num_experts": 8, "num_experts_per_tok": 2, "rms_norm_eps": 1e-5}"#;
        let plan = planned("config.json", olmoe).expect("planned").plan;
        assert_eq!(
            plan.axis(&"inner".into()).map(|axis| axis.new_width()),
            Some(1024)
        );
    }

    #[test]
    fn layers_are_planned_alone_and_with_a_width() {
        let folder = tempfile::tempdir().expect("a directory");
        let config = folder.path().join("model.toml");
        std::fs::write(&config, "n_layers = 2").expect("a file");
        let config = config.to_str().expect("a path");
        let planned = |more: &[&str]| {
            let line = ["plan", "--config", config, "--axis", "layers=4x"];
            Planned::of(&PlanCli::parse_from([&line, more].concat())).map(growth)
        };
        let sources = |planned: &PlannedGrowth| {
            let layers = planned.plan.axis(&"layers".into());
            layers.map(|layers| (layers.source().to_vec(), layers.blocks()))
        };
        let stacked = planned(&[]).expect("planned");
        assert_eq!(
            sources(&stacked),
            Some((vec![0, 1, 0, 1, 0, 1, 0, 1], Some(BlockContent::Copy)))
        );
        // What is not a block is the embedding and the last norm.
        let config = MoeConfig::default();
        let outside = (config.vocab_size * config.hidden + config.hidden) as f64;
        let (small, large) = stacked.plan.active_params();
        assert_eq!(large - outside, 4.0 * (small - outside));

        let more = [
            "--axis",
            "inner=2x",
            "--blocks",
            "layers=identity,interleaved",
        ];
        let both = planned(&more).expect("planned");
        assert_eq!(
            sources(&both),
            Some((vec![0, 0, 0, 0, 1, 1, 1, 1], Some(BlockContent::Identity)))
        );
        let inner = both.plan.axis(&"inner".into());
        assert_eq!(inner.map(|axis| axis.new_width()), Some(32));
        // Nothing else is a stack.
        assert!(planned(&["--blocks", "hidden=copy"]).is_err());
    }

    #[test]
    fn a_configuration_of_another_kind_is_called_what_it_is() {
        let folder = tempfile::tempdir().expect("a directory");
        for (text, expected) in [
            (
                r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}"#,
                "llama (LlamaForCausalLM), a model without experts",
            ),
            (
                r#"{"model_type": "bert", "architectures": ["BertForMaskedLM"]}"#,
                "bert (BertForMaskedLM), a model without experts",
            ),
            (
                r#"{"model_type": "mixtral", "num_local_experts": 8}"#,
                "`model_type` is mixtral, expected olmoe or qwen3_moe",
            ),
            (
                r#"{"peft_type": "LORA", "base_model_name_or_path": "m", "r": 8}"#,
                "the configuration of an adapter",
            ),
            (
                r#"{"tokenizer_class": "GPTNeoXTokenizer", "model_max_length": 10}"#,
                "the configuration of a tokenizer",
            ),
            (
                r#"{"version": "1.0", "pre_tokenizer": null, "model": {}}"#,
                "a tokenizer (`tokenizer.json`)",
            ),
            (
                r#"{"global_step": 3, "log_history": []}"#,
                "the state of a training",
            ),
            (
                r#"{"metadata": {}, "weight_map": {}}"#,
                "the index of a sharded checkpoint",
            ),
            (
                r#"{"_from_model_config": true}"#,
                "the settings of text generation",
            ),
        ] {
            let config = folder.path().join("config.json");
            std::fs::write(&config, text).expect("a file");
            let error = format!("{:#}", read(&config).expect_err("another kind"));
            assert!(error.contains(expected), "{error}");
            assert!(error.contains("config.json"), "{error}");
        }
        // One beside it, which nobody wrote.
        let error = format!(
            "{:#}",
            read(&folder.path().join("none.json")).expect_err("missing")
        );
        assert!(error.contains("none.json"), "{error}");
    }
}
