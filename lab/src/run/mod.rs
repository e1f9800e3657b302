//! One run: a specification under settings, with a seed, and everything that decides its numbers
//! worked out. The other files train it.

mod callback;
mod identity;
mod language_model;
mod list;
mod phase;
mod progress;
mod queue;
mod recorder;
mod sharing;
mod silent;
mod stop;
mod train;

use anyhow::{Result, ensure};
use burn_grow::cost::{saved_flops, training_flops};
use burn_grow::moe::MoeConfig;
use burn_grow::plan::Blocks;
use burn_grow::{Expansion, Rewarmup, StatePolicy};
use serde::{Deserialize, Serialize};

pub use callback::callback;
pub use identity::Identity;
pub use language_model::{LanguageModel, initial};
pub use phase::{Phase, Size};
pub use progress::{Board, Display};
pub use queue::run_all;
pub use recorder::Recorder;
pub use sharing::{Sharing, shared};
pub use stop::Stop;
pub use train::{Context, Ended};

use crate::run::phase::{phases, widened};
use crate::spec::{
    GrowthSpec, OptimizerSettings, Settings, Spec, Stage, WarmupStableCosine, WidthAxis,
    out_of_range,
};

/// A specification under settings, with a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub spec: Spec,
    /// All settings, the specification's own among them.
    pub settings: Settings,
    /// Fingerprint of the text; empty if no text was read.
    pub text: String,
    /// Name of its directory.
    pub key: String,
    /// What it is called while it goes on.
    pub label: String,
    /// Optimizer steps it takes.
    pub steps: usize,
    /// The optimizer, with the rates of this run.
    pub optimizer: OptimizerSettings,
    /// How it grows, if it does.
    pub growth: Option<GrowthSchedule>,
    /// The models it trains in turn.
    pub phases: Vec<Phase>,
    /// What it shares with other runs of a list.
    pub share: Sharing,
}

/// How a run grows, in optimizer steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthSchedule {
    /// Optimizer steps before each expansion, and the expansion.
    pub stages: Vec<(usize, Expansion)>,
    /// What happens to the optimizer state.
    pub state: StatePolicy,
    /// What happens to the learning rate, if anything.
    pub rewarmup: Option<Rewarmup>,
}

impl Run {
    /// Works out `spec` under `settings` on a text with fingerprint `text`, for as many steps as
    /// cost `flops`, or for all of them.
    ///
    /// # Errors
    ///
    /// When a setting is out of its range, or the model cannot be built or cannot grow that way.
    pub fn new(spec: Spec, settings: Settings, text: &str, flops: Option<f64>) -> Result<Self> {
        settings.validate()?;
        let ratio = match (spec.rate, spec.wide) {
            (Some(rate), _) => rate,
            (None, true) => settings.optimizer.from_scratch_ratio,
            (None, false) => 1.0,
        };
        if !(ratio.is_finite() && ratio > 0.0) {
            return Err(out_of_range("rate", ratio, "a positive number"));
        }
        let rewarmed = spec.growth.as_ref().and_then(|growth| growth.rewarmup);
        let stable = settings.optimizer.stable;
        if stable > 0.0 && rewarmed.is_some_and(|rewarmed| !rewarmed.schedule.climbs()) {
            let expected = format!("0, as run `{}` follows the base cosine", spec.name);
            return Err(out_of_range("optimizer.stable", stable, &expected));
        }
        // The peak rate and the re-warmup already contain these settings.
        let optimizer = OptimizerSettings {
            peak_rate: settings.optimizer.peak_rate * ratio,
            from_scratch_ratio: 1.0,
            age: Default::default(),
            ..settings.optimizer.clone()
        };
        let model = if spec.wide {
            let expansion = expansion(&Stage::default(), &settings)?;
            widened(settings.model.clone(), &expansion)
        } else {
            settings.model.clone()
        };
        let stages = match &spec.growth {
            Some(growth) => stages(growth, &settings)?,
            None => Vec::new(),
        };
        let phases = phases(model, &stages, settings.device)?;
        let steps = match flops {
            Some(flops) => {
                let tokens = settings.step_tokens() as f64;
                let step = training_flops(phases[0].size.active, tokens);
                (flops / step).round() as usize
            }
            None => settings.steps,
        };
        let schedule = WarmupStableCosine::new(&optimizer, steps);
        let growth = spec.growth.as_ref().map(|growth| GrowthSchedule {
            stages,
            state: growth.state,
            rewarmup: growth
                .rewarmup
                .map(|rewarmed| rewarmed.resolve(&settings, &schedule, growth.state)),
        });
        let mut run = Self {
            label: format!("{}, seed {}", spec.name, settings.seed),
            key: String::new(),
            text: text.to_owned(),
            share: Sharing::default(),
            spec,
            settings,
            steps,
            optimizer,
            growth,
            phases,
        };
        run.key = run.id()?;
        Ok(run)
    }

    /// Gives the prefix that it shares with the small run, and the last epoch of that prefix: the
    /// one before the first expansion. `None` if it does not grow, or grows in the first epoch.
    pub fn prefix(&self) -> Result<Option<(Self, usize)>> {
        let growth = self.growth.as_ref();
        let first = growth.and_then(|growth| growth.stages.first());
        let epoch = first.and_then(|(at, _)| (at / self.settings.epoch_steps()).checked_sub(1));
        let Some(epoch) = epoch.filter(|epoch| *epoch > 0) else {
            return Ok(None);
        };
        let mut prefix = Self {
            spec: Spec {
                name: "first part".into(),
                about: "the prefix that grown runs continue from".into(),
                ..Spec::default()
            },
            label: format!("first part, seed {}", self.settings.seed),
            growth: None,
            phases: self.phases[..1].to_vec(),
            ..self.clone()
        };
        prefix.key = format!("{}-part", prefix.id()?);
        Ok(Some((prefix, epoch)))
    }

    /// Gives the model it begins with.
    pub fn model(&self) -> &MoeConfig {
        &self.phases[0].model
    }

    /// Gives the model it trains after `steps` steps.
    pub fn phase(&self, steps: usize) -> &Phase {
        let begun = self.phases.iter().rev();
        let mut begun = begun.filter(|phase| phase.begins < steps.max(1));
        begun.next().unwrap_or(&self.phases[0])
    }

    /// Counts its epochs, the last one perhaps shorter.
    pub fn epochs(&self) -> usize {
        self.steps.div_ceil(self.settings.epoch_steps())
    }

    /// Gives its base learning rate.
    pub fn schedule(&self) -> WarmupStableCosine {
        WarmupStableCosine::new(&self.optimizer, self.steps)
    }

    /// Computes the FLOPs of its first `steps` steps, 6ND.
    pub fn flops(&self, steps: usize) -> f64 {
        self.segments(steps)
            .iter()
            .map(|(phase, tokens)| training_flops(phase.size.active, *tokens))
            .sum()
    }

    /// Computes the fraction of FLOPs that growing saves against its last model from scratch on as
    /// many tokens.
    pub fn saved(&self) -> f64 {
        let segments: Vec<_> = self
            .segments(self.steps)
            .into_iter()
            .map(|(phase, tokens)| (phase.size.active, tokens))
            .collect();
        saved_flops(&segments)
    }

    /// Lists the models of the first `steps` steps, and the tokens of each.
    pub fn segments(&self, steps: usize) -> Vec<(&Phase, f64)> {
        let ends = self.phases.iter().skip(1).map(|phase| phase.begins);
        let ends = ends.chain([usize::MAX]);
        let tokens = |steps: usize| (steps * self.settings.step_tokens()) as f64;
        self.phases
            .iter()
            .zip(ends)
            .map(|(phase, end)| {
                let (begin, end) = (phase.begins.min(steps), end.min(steps));
                (phase, tokens(end - begin))
            })
            .collect()
    }
}

/// Lists the expansions of a run, in optimizer steps.
fn stages(growth: &GrowthSpec, settings: &Settings) -> Result<Vec<(usize, Expansion)>> {
    let given = if growth.stages.is_empty() {
        &[Stage::default()]
    } else {
        growth.stages.as_slice()
    };
    let mut stages: Vec<(usize, Expansion)> = Vec::new();
    for stage in given {
        let fraction = stage.at.unwrap_or(settings.at);
        let at = settings.step_at(fraction)?;
        let later = stages.last().is_none_or(|(before, _)| *before < at);
        let expected = "later than the expansion before it";
        ensure!(later, out_of_range("at", fraction, expected));
        let expansion = expansion(stage, settings)?;
        let blocks = growth.blocks.iter();
        // Copies are what a stack gets where nothing is said, and one growth has one id.
        let said = blocks.filter(|(axis, blocks)| {
            expansion.targets.contains_key(*axis) && **blocks != Blocks::default()
        });
        let blocks = said.map(|(axis, blocks)| (axis.clone(), blocks.clone()));
        let expansion = Expansion {
            method: growth.method,
            blocks: blocks.collect(),
            ..expansion
        };
        stages.push((at, expansion));
    }
    for axis in growth.blocks.keys() {
        let grows = |(_, expansion): &(usize, Expansion)| expansion.targets.contains_key(axis);
        ensure!(
            stages.iter().any(grows),
            "growth: `blocks` names `{axis}`, expected an axis that grows"
        );
    }
    Ok(stages)
}

/// Gives which axes grow by how much.
fn expansion(stage: &Stage, settings: &Settings) -> Result<Expansion> {
    let short = stage.axis.is_some() || stage.factor.is_some();
    ensure!(
        !short || stage.targets.is_empty(),
        "growth: a stage has `targets` beside `axis` or `factor`, expected one of both"
    );
    let factor = stage.factor.unwrap_or(settings.factor);
    let widths = match stage.axis.unwrap_or(settings.axis) {
        WidthAxis::Inner => Expansion::by("inner", factor),
        WidthAxis::Hidden => Expansion::by("hidden", factor),
        WidthAxis::Both => Expansion::by("inner", factor).and_by("hidden", factor),
    };
    let targets = if !stage.targets.is_empty() {
        stage.targets.clone()
    } else if short || settings.targets.is_empty() {
        widths.targets
    } else {
        settings.targets.clone()
    };
    let expansion = Expansion {
        targets,
        ..Expansion::default()
    };
    Ok(expansion.with_seed(settings.seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Experiment, Length, RateRule, Rewarmed};

    fn runs(settings: &Settings) -> Vec<Run> {
        let demo = Experiment::demo().expect("an experiment");
        let specs: Vec<_> = demo.specs.iter().collect();
        let seeds = [settings.seed];
        Run::all(&demo, &specs, settings, &seeds, "text", Length::Full).expect("runs")
    }

    fn named<'a>(runs: &'a [Run], name: &str) -> &'a Run {
        let mut named = runs.iter().filter(|run| run.spec.name == name);
        named.next().expect("there")
    }

    #[test]
    fn the_sizes_are_those_of_the_reference_setting() {
        let runs = runs(&Settings::default());
        let sparkling = named(&runs, "sparkling");
        // Matrices, then the gains of the norms.
        assert_eq!(sparkling.phases[0].size.active, 31_232.0 + 224.0);
        assert_eq!(sparkling.phases[1].size.active, 74_752.0 + 384.0);
        assert!((sparkling.saved() - 0.2907).abs() < 1e-4);
        let wide = named(&runs, "from-scratch");
        assert_eq!(wide.phases[0].size, sparkling.phases[1].size);
    }

    #[test]
    fn budgets_of_equal_flops_are_equal_to_one_step() {
        let settings = Settings::default();
        let runs = runs(&settings);
        for run in &runs {
            if run.spec.name == "small" {
                assert_eq!(run.steps, settings.steps);
                continue;
            }
            let deep = run.spec.name.starts_with("deep");
            let grown = named(&runs, if deep { "deeper" } else { "sparkling" });
            let step = training_flops(grown.phases[1].size.active, settings.step_tokens() as f64);
            let off = run.flops(run.steps) - grown.flops(grown.steps);
            assert!(off.abs() <= step / 2.0, "{}", run.spec.name);
        }
        assert_eq!(named(&runs, "small-longer").steps, 3_389);
        assert_eq!(named(&runs, "from-scratch").steps, 1_419);
        assert_eq!(named(&runs, "deep-from-scratch").steps, 1_788);
    }

    #[test]
    fn grown_runs_begin_as_the_small_one_does() {
        let runs = runs(&Settings::default());
        let small = named(&runs, "small").identity();
        for name in ["naive-copy", "locked-control", "sparkling"] {
            let prefix = named(&runs, name).prefix().expect("an id");
            let (prefix, epoch) = prefix.expect("a first part");
            assert_eq!(prefix.identity(), small);
            assert_eq!(epoch, 19);
        }
        for name in ["small", "small-longer", "from-scratch"] {
            assert!(named(&runs, name).prefix().expect("an id").is_none());
        }
    }

    #[test]
    fn what_decides_no_number_of_a_run_is_not_part_of_its_id() {
        let id = |settings: Settings, name: &str| {
            let runs = runs(&settings);
            named(&runs, name).id().expect("an id")
        };
        let base = Settings::default;
        let other = Settings {
            rho: 1.3,
            tau: 0.02,
            at: 0.25,
            axis: WidthAxis::Inner,
            ..base()
        };
        assert_eq!(id(base(), "small"), id(other.clone(), "small"));
        assert_ne!(id(base(), "sparkling"), id(other, "sparkling"));
        let hotter = Settings { rho: 2.0, ..base() };
        assert_eq!(id(base(), "naive-copy"), id(hotter.clone(), "naive-copy"));
        assert_ne!(id(base(), "sparkling"), id(hotter, "sparkling"));
        let reseeded = Settings { seed: 1, ..base() };
        assert_ne!(id(base(), "small"), id(reseeded, "small"));
    }

    #[test]
    fn only_a_base_schedule_that_is_a_cosine_is_remapped() {
        let of = |schedule, stable| {
            let mut settings = Settings::default();
            settings.optimizer.stable = stable;
            let rewarmed = Rewarmed {
                schedule,
                ..Rewarmed::default()
            };
            let spec = Spec {
                growth: Some(GrowthSpec {
                    rewarmup: Some(rewarmed),
                    ..GrowthSpec::default()
                }),
                ..Spec::default()
            };
            Run::new(spec, settings, "", None).map(|run| run.id().expect("an id"))
        };
        let error = of(RateRule::Remapped(0.5), 0.5).expect_err("rejected");
        assert!(error.to_string().contains("optimizer.stable"), "{error}");
        assert!(of(RateRule::FasterDecay(0.25), 0.5).is_err());
        assert!(of(RateRule::FasterDecay(0.25), 0.0).is_ok());
        let proportional = |stable| of(RateRule::Proportional, stable).expect("a run");
        assert_ne!(proportional(0.5), proportional(0.0));
    }

    /// Gives a run that grows `targets` at half of its steps, its new blocks as `blocks` says.
    fn deepened(targets: serde_json::Value, blocks: serde_json::Value, wide: bool) -> Result<Run> {
        let over = serde_json::json!({"model": {"n_layers": 1}, "targets": targets});
        let over = serde_json::from_value(over).expect("settings");
        let growth = serde_json::json!({ "blocks": blocks });
        let growth = serde_json::from_value(growth).expect("growth");
        let spec = Spec {
            wide,
            growth: (!wide).then_some(growth),
            ..Spec::default()
        };
        Run::new(spec, Settings::default().laid("", &over)?, "", None)
    }

    #[test]
    fn layers_are_an_axis_like_others() {
        use serde_json::json;
        let targets = json!({"layers": {"width": 4}, "inner": {"factor": 2}});
        let grown = deepened(targets.clone(), json!({}), false).expect("a run");
        let deep = deepened(targets, json!({}), true).expect("a run");
        let (before, after) = (&grown.phases[0], &grown.phases[1]);
        assert_eq!((before.model.n_layers, before.model.inner), (1, 16));
        assert_eq!((after.model.n_layers, after.model.inner), (4, 32));
        assert_eq!(deep.phases[0].size, after.size);
        assert_eq!(deep.model(), &after.model);
    }

    #[test]
    fn one_growth_has_one_id_however_it_is_spelled() {
        use serde_json::json;
        let id = |targets, blocks| {
            let run = deepened(targets, blocks, false);
            run.expect("a run").id().expect("an id")
        };
        let layers = || json!({"layers": {"width": 4}});
        let copies = json!({"layers": {"content": "copy"}});
        let identity = json!({"layers": {"content": "identity"}});
        assert_eq!(id(layers(), json!({})), id(layers(), copies));
        assert_ne!(id(layers(), json!({})), id(layers(), identity));
        // As `axis` and `factor` say it.
        let widths = json!({"hidden": {"factor": 2}, "inner": {"factor": 2}});
        assert_eq!(id(widths, json!({})), id(json!({}), json!({})));
    }

    #[test]
    fn blocks_of_what_does_not_grow_are_rejected() {
        use serde_json::json;
        let blocks = || json!({"layers": {"content": "fresh"}});
        let error = deepened(json!({}), blocks(), false).expect_err("no layers grow");
        assert!(
            error.to_string().contains("`blocks` names `layers`"),
            "{error}"
        );
        let stage = Stage {
            factor: Some(2.0),
            targets: Expansion::by("layers", 2.0).targets,
            ..Stage::default()
        };
        let spec = Spec {
            growth: Some(GrowthSpec {
                stages: vec![stage],
                ..GrowthSpec::default()
            }),
            ..Spec::default()
        };
        let error = Run::new(spec, Settings::default(), "", None).expect_err("both");
        assert!(error.to_string().contains("`targets` beside"), "{error}");
    }

    #[test]
    fn an_id_stays_what_it_is() {
        // Results are found by it: who changes it on purpose has to run everything again.
        let id = |settings: &Settings| {
            let runs = runs(settings);
            named(&runs, "small").id().expect("an id")
        };
        let tuned = Settings::default();
        assert_eq!(id(&tuned), "a84fb9846acbd7a8");
        let first = include_str!("../../baselines/first.toml");
        let first = toml::from_str(first).expect("settings");
        assert_eq!(
            id(&tuned.laid("", &first).expect("settings")),
            "e6d4bec5e8808064"
        );
    }
}
