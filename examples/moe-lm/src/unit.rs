//! One run, with everything that decides its numbers worked out.

use burn_grow::cost::{saved_flops, training_flops};
use burn_grow::moe::MoeConfig;
use burn_grow::{Expansion, Rewarmup, StatePolicy};
use serde::Serialize;

use crate::arm::{Arm, Grown, Stage};
use crate::config::{Growth, Settings};
use crate::device::Backend;
use crate::error::DemoError;
use crate::hash::fnv;
use crate::optimizer::OptimizerSettings;
use crate::phase::{Phase, phases, widened};
use crate::schedule::WarmupStableCosine;

/// An arm under settings, with a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// The arm.
    pub arm: Arm,
    /// The settings, the arm's own among them.
    pub settings: Settings,
    /// The optimizer steps it takes.
    pub steps: usize,
    /// The optimizer, with the rates of this arm.
    pub optimizer: OptimizerSettings,
    /// How it grows, if it does.
    pub growth: Option<Growing>,
    /// The models it trains in turn.
    pub phases: Vec<Phase>,
}

/// How a run grows, in optimizer steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growing {
    /// The optimizer steps before each expansion, and what it does.
    pub stages: Vec<(usize, Expansion)>,
    /// What becomes of the optimizer state.
    pub state: StatePolicy,
    /// What becomes of the learning rate, if anything.
    pub rewarmup: Option<Rewarmup>,
}

/// What decides the numbers of a run, however it was spelled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// What the initial model and the data order are drawn with.
    pub seed: u64,
    /// The fingerprint of the text.
    pub text: String,
    /// Where the tensors live.
    pub device: Backend,
    /// The model it begins with.
    pub model: MoeConfig,
    /// The bytes a model sees at once.
    pub context: usize,
    /// The windows of one step.
    pub batch: usize,
    /// The optimizer steps.
    pub steps: usize,
    /// Those of one epoch.
    pub epoch_steps: usize,
    /// The held-out windows of the loss at every epoch.
    pub valid_windows: usize,
    /// The held-out windows of the final loss.
    pub final_windows: usize,
    /// The optimizer.
    pub optimizer: OptimizerSettings,
    /// How it grows, if it does.
    pub growth: Option<Growing>,
}

impl Unit {
    /// `arm` under `settings`, for as many steps as cost `flops`, or for all of them.
    ///
    /// # Errors
    ///
    /// When a setting is out of its range, or the model cannot be built or cannot grow that way.
    pub fn new(arm: Arm, settings: Settings, flops: Option<f64>) -> Result<Self, DemoError> {
        settings.validate()?;
        let ratio = match (arm.rate, arm.wide) {
            (Some(rate), _) => rate,
            (None, true) => settings.optimizer.from_scratch_ratio,
            (None, false) => 1.0,
        };
        let positive = ratio.is_finite() && ratio > 0.0;
        if !positive {
            return Err(DemoError::Setting {
                name: "rate",
                value: ratio.to_string(),
                expected: "a positive number".into(),
            });
        }
        let rewarmed = arm.growth.as_ref().and_then(|grown| grown.rewarmup);
        let stable = settings.optimizer.stable;
        if stable > 0.0 && rewarmed.is_some_and(|rewarmed| !rewarmed.schedule.climbs()) {
            return Err(DemoError::Setting {
                name: "optimizer.stable",
                value: stable.to_string(),
                expected: format!("0, as arm `{}` follows the base cosine", arm.name),
            });
        }
        // What is told by the peak and by the re-warmup tells nothing any more.
        let optimizer = OptimizerSettings {
            peak_rate: settings.optimizer.peak_rate * ratio,
            from_scratch_ratio: 1.0,
            age: Default::default(),
            ..settings.optimizer.clone()
        };
        let model = match arm.wide {
            true => widened(
                settings.model.clone(),
                &expansion(&Stage::default(), &settings),
            ),
            false => settings.model.clone(),
        };
        let stages = match &arm.growth {
            Some(grown) => stages(grown, &settings)?,
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
        let mut unit = Self {
            arm,
            settings,
            steps,
            optimizer,
            growth: None,
            phases,
        };
        unit.growth = unit.arm.growth.as_ref().map(|grown| Growing {
            stages,
            state: grown.state,
            rewarmup: grown
                .rewarmup
                .map(|rewarmed| rewarmed.resolve(&unit.settings, &unit.schedule(), grown.state)),
        });
        Ok(unit)
    }

    /// What decides its numbers, on a text of that fingerprint.
    pub fn identity(&self, text: &str) -> Identity {
        let settings = &self.settings;
        let mut growth = self.growth.clone();
        for (_, expansion) in growth.iter_mut().flat_map(|growing| &mut growing.stages) {
            // It is that of the run.
            expansion.seed = 0;
        }
        Identity {
            seed: settings.seed,
            text: text.to_owned(),
            device: settings.device,
            model: self.model().clone(),
            context: settings.context,
            batch: settings.batch,
            steps: self.steps,
            epoch_steps: settings.epoch_steps(),
            valid_windows: settings.valid_windows,
            final_windows: settings.final_windows,
            optimizer: self.optimizer.clone(),
            growth,
        }
    }

    /// The run that it has its first part in common with, and the last epoch of that: the one before the
    /// first expansion, at whose end there is nothing of it yet. None where nothing grows, or at once.
    pub fn trunk(&self) -> Option<(Self, usize)> {
        let (at, _) = self.growth.as_ref()?.stages.first()?;
        let epoch = (at / self.settings.epoch_steps()).checked_sub(1)?;
        let trunk = Self {
            arm: Arm {
                name: "first part".into(),
                about: "what grown arms go on from".into(),
                ..Arm::default()
            },
            growth: None,
            phases: self.phases[..1].to_vec(),
            ..self.clone()
        };
        (epoch > 0).then_some((trunk, epoch))
    }

    /// The model it begins with.
    pub fn model(&self) -> &MoeConfig {
        &self.phases[0].model
    }

    /// The model it trains after `steps` steps.
    pub fn phase(&self, steps: usize) -> &Phase {
        let begun = self.phases.iter().rev();
        let mut begun = begun.filter(|phase| phase.begins < steps.max(1));
        begun.next().unwrap_or(&self.phases[0])
    }

    /// The epochs it takes, the last one perhaps shorter.
    pub fn epochs(&self) -> usize {
        self.steps.div_ceil(self.settings.epoch_steps())
    }

    /// Its learning rate.
    pub fn schedule(&self) -> WarmupStableCosine {
        WarmupStableCosine::new(&self.optimizer, self.steps)
    }

    /// The FLOPs of its first `steps` steps.
    pub fn flops(&self, steps: usize) -> f64 {
        self.segments(steps)
            .iter()
            .map(|(phase, tokens)| training_flops(phase.size.active, *tokens))
            .sum()
    }

    /// The fraction of FLOPs that growing saves against its last model from scratch on as many tokens.
    pub fn saved(&self) -> f64 {
        let segments: Vec<_> = self
            .segments(self.steps)
            .into_iter()
            .map(|(phase, tokens)| (phase.size.active, tokens))
            .collect();
        saved_flops(&segments)
    }

    /// The models of the first `steps` steps, and the tokens of each.
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

impl Identity {
    /// A hash of it, in hexadecimal digits.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON, which is what is hashed.
    pub fn id(&self) -> Result<String, DemoError> {
        let text = serde_json::to_vec(self).map_err(DemoError::Identity)?;
        Ok(format!("{:016x}", fnv(&text)))
    }
}

/// The expansions of an arm, in optimizer steps.
fn stages(grown: &Grown, settings: &Settings) -> Result<Vec<(usize, Expansion)>, DemoError> {
    let given = match grown.stages.as_slice() {
        [] => &[Stage::default()],
        stages => stages,
    };
    let mut stages = Vec::new();
    for stage in given {
        let at = settings.step_at(stage.at.unwrap_or(settings.at))?;
        if stages.last().is_some_and(|(before, _)| *before >= at) {
            return Err(DemoError::Setting {
                name: "at",
                value: stage.at.unwrap_or(settings.at).to_string(),
                expected: "later than the expansion before it".into(),
            });
        }
        let expansion = Expansion {
            method: grown.method,
            ..expansion(stage, settings)
        };
        stages.push((at, expansion));
    }
    Ok(stages)
}

/// Which widths grow by how much.
fn expansion(stage: &Stage, settings: &Settings) -> Expansion {
    let factor = stage.factor.unwrap_or(settings.factor);
    let expansion = match stage.axis.unwrap_or(settings.axis) {
        Growth::Inner => Expansion::by("inner", factor),
        Growth::Hidden => Expansion::by("hidden", factor),
        Growth::Both => Expansion::by("inner", factor).and_by("hidden", factor),
    };
    expansion.with_seed(settings.seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arm::{RateRule, Rewarmed};
    use crate::experiment::{Experiment, Length};

    fn units(settings: &Settings) -> Vec<Unit> {
        let demo = Experiment::demo().expect("an experiment");
        let arms: Vec<_> = demo.arms.iter().collect();
        demo.units(&arms, settings, &[settings.seed], Length::Full)
            .expect("runs")
    }

    fn named<'a>(units: &'a [Unit], name: &str) -> &'a Unit {
        let mut named = units.iter().filter(|unit| unit.arm.name == name);
        named.next().expect("there")
    }

    #[test]
    fn the_sizes_are_those_of_the_reference_setting() {
        let units = units(&Settings::default());
        let sparkling = named(&units, "sparkling");
        // Matrices, then the gains of the norms.
        assert_eq!(sparkling.phases[0].size.active, 31_232.0 + 224.0);
        assert_eq!(sparkling.phases[1].size.active, 74_752.0 + 384.0);
        assert!((sparkling.saved() - 0.2907).abs() < 1e-4);
        let wide = named(&units, "from-scratch");
        assert_eq!(wide.phases[0].size, sparkling.phases[1].size);
    }

    #[test]
    fn budgets_of_equal_flops_are_equal_to_one_step() {
        let settings = Settings::default();
        let units = units(&settings);
        let grown = named(&units, "sparkling");
        let step = training_flops(grown.phases[1].size.active, settings.step_tokens() as f64);
        for unit in &units {
            if unit.arm.name == "small" {
                assert_eq!(unit.steps, settings.steps);
                continue;
            }
            let off = unit.flops(unit.steps) - grown.flops(grown.steps);
            assert!(off.abs() <= step / 2.0, "{}", unit.arm.name);
        }
        assert_eq!(named(&units, "small-longer").steps, 13_554);
        assert_eq!(named(&units, "from-scratch").steps, 5_675);
    }

    #[test]
    fn grown_runs_begin_as_the_small_one_does() {
        let units = units(&Settings::default());
        let small = named(&units, "small").identity("text");
        for name in ["naive-copy", "locked-control", "sparkling"] {
            let (trunk, epoch) = named(&units, name).trunk().expect("a first part");
            assert_eq!(trunk.identity("text"), small);
            assert_eq!(epoch, 19);
        }
        for name in ["small", "small-longer", "from-scratch"] {
            assert!(named(&units, name).trunk().is_none());
        }
    }

    #[test]
    fn what_decides_no_number_of_a_run_is_no_part_of_it() {
        let id = |settings: Settings, name: &str| {
            let units = units(&settings);
            named(&units, name).identity("text").id().expect("an id")
        };
        let base = Settings::default;
        let other = Settings {
            rho: 1.3,
            tau: 0.02,
            at: 0.25,
            axis: Growth::Inner,
            ..base()
        };
        assert_eq!(id(base(), "small"), id(other.clone(), "small"));
        assert_ne!(id(base(), "sparkling"), id(other, "sparkling"));
        let hotter = Settings { rho: 3.0, ..base() };
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
            let arm = Arm {
                growth: Some(Grown {
                    rewarmup: Some(rewarmed),
                    ..Grown::default()
                }),
                ..Arm::default()
            };
            Unit::new(arm, settings, None).map(|unit| unit.identity("").id().expect("an id"))
        };
        let error = of(RateRule::Remapped(0.5), 0.5).expect_err("refused");
        assert!(error.to_string().contains("optimizer.stable"), "{error}");
        assert!(of(RateRule::FasterDecay(0.25), 0.5).is_err());
        assert!(of(RateRule::FasterDecay(0.25), 0.0).is_ok());
        let proportional = |stable| of(RateRule::Proportional, stable).expect("a run");
        assert_ne!(proportional(0.5), proportional(0.0));
    }

    #[test]
    fn an_id_stays_what_it_is() {
        // Rows are found by it: who changes it on purpose has to run everything again.
        let units = units(&Settings::default());
        let id = named(&units, "small").identity("text").id();
        assert_eq!(id.expect("an id"), "e6d4bec5e8808064");
    }
}
