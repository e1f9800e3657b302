//! Re-warmup: the learning rate of new coordinates after an expansion.

mod ramp;
mod schedule;

use serde::{Deserialize, Serialize};

pub use ramp::Ramp;
pub use schedule::RewarmupSchedule;

use crate::{BiasCorrection, OptimError, RewarmupScope};

/// The steps left at which the fitted peak is twice the base rate, and the highest peak that was
/// tried.
const RHO_HORIZON: f64 = 2000.0;
const MAX_RHO: f64 = 4.0;

/// The climb of the fitted rule is one of so many parts of the steps left.
const CLIMBS_LEFT: usize = 50;

/// The paper's peak, and its climb as one of so many parts of the run: 250 of 63,600 steps.
const PAPER_RHO: f64 = 1.3;
const PAPER_CLIMBS: usize = 250;

/// Learning rate of new coordinates after an expansion: a climb from the base rate to a peak, then
/// a [schedule](RewarmupSchedule).
///
/// How high and how long it climbs follows by default from the optimizer steps that are left after
/// its expansion ([`RewarmupRule::StepsLeft`]): the fewer steps are left, the higher a peak it
/// takes to tell copies apart in time. The paper trains for long and takes 1.3
/// ([`paper`](Self::paper)).
///
/// ```
/// # use burn_grow_optim::{Rewarmup, RewarmupScope};
/// // Down to the final learning rate of the base cosine; peak and climb from the steps left.
/// let rewarmup = Rewarmup::cosine(3e-6);
/// let ramp = rewarmup.ramp(9_500, 10_000);
/// assert_eq!((ramp.rho, ramp.steps), (3.0, 10));
///
/// // The paper's peak of 1.3, reached after 0.4 % of the run.
/// let ramp = rewarmup.clone().paper().ramp(9_500, 10_000);
/// assert_eq!((ramp.rho, ramp.steps), (1.3, 40));
///
/// // Any base schedule; a peak and a climb of your own.
/// let own = Rewarmup::proportional().with_rho(2.0).with_steps(80);
/// // A control experiment: old coordinates climb as well.
/// let control = own.with_scope(RewarmupScope::All);
/// # assert_eq!(control.ramp(0, 1_000).rho, 2.0);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewarmup {
    /// The learning rate after the climb.
    pub schedule: RewarmupSchedule,
    /// The peak, as a multiple of the base rate at the expansion. If absent, it follows from
    /// `rule`.
    pub rho: Option<f64>,
    /// The length of the climb in optimizer steps. If absent, it follows from `rule`.
    pub steps: Option<usize>,
    /// The rule for a peak or a climb that is not set.
    #[serde(default, skip_serializing_if = "RewarmupRule::is_default")]
    pub rule: RewarmupRule,
    /// The coordinates that are re-warmed.
    pub scope: RewarmupScope,
    /// The step count that the bias correction of new coordinates uses.
    #[serde(default, rename = "age")]
    pub bias_correction: BiasCorrection,
}

/// Rule that sets the peak and the climb of a [`Rewarmup`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewarmupRule {
    /// By the optimizer steps left after the expansion: `rho = 1 + sqrt(2000 / steps_left)`, at
    /// most 4, reached after 2 % of the steps left.
    ///
    /// That is 4 for up to 220 steps left, 3 for 500, 2 for 2,000, and 1.3 for 30,000. Fitted where
    /// 500, 1,000 and 2,000 steps were left. The book's page on the re-warmup tells how, and how it
    /// does elsewhere.
    #[default]
    StepsLeft,
    /// The paper's: `rho = 1.3`, reached after 0.4 % of the whole run (250 of 63,600 steps).
    Paper,
}

impl RewarmupRule {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The peak with `left` optimizer steps left.
    fn rho(self, left: usize) -> f64 {
        match self {
            Self::StepsLeft => (1.0 + (RHO_HORIZON / left.max(1) as f64).sqrt()).min(MAX_RHO),
            Self::Paper => PAPER_RHO,
        }
    }

    /// The length of the climb with `left` of `total_steps` optimizer steps left.
    fn steps(self, left: usize, total_steps: usize) -> usize {
        match self {
            Self::StepsLeft => (left / CLIMBS_LEFT).max(1),
            Self::Paper => (total_steps / PAPER_CLIMBS).max(1),
        }
    }
}

impl Rewarmup {
    /// Climbs, then follows a cosine to `min_lr` at the end of the run (Eq. 25-28).
    pub fn cosine(min_lr: f64) -> Self {
        Self {
            schedule: RewarmupSchedule::Cosine { min_lr },
            rho: None,
            steps: None,
            rule: RewarmupRule::default(),
            scope: RewarmupScope::default(),
            bias_correction: BiasCorrection::default(),
        }
    }

    /// Climbs from 1 to `rho` times the base rate and stays at that multiple.
    pub fn proportional() -> Self {
        Self {
            schedule: RewarmupSchedule::Proportional,
            ..Self::cosine(0.0)
        }
    }

    /// Moves every coordinate down the base cosine faster, so that it ends after `1 - faster` of
    /// the steps left: LEMON's schedule (arXiv 2310.07999), as a baseline.
    pub fn faster_decay(peak: f64, min_lr: f64, faster: f64) -> Self {
        Self::remap(peak, min_lr, None, 1.0 - faster)
    }

    /// Puts every coordinate at `progress` of the base cosine, as if the wide model had been
    /// trained from scratch to the same loss: the schedule of staged training (arXiv 2203.06211),
    /// as a baseline.
    pub fn remapped(peak: f64, min_lr: f64, progress: f64) -> Self {
        Self::remap(peak, min_lr, Some(progress), 1.0)
    }

    fn remap(peak: f64, min_lr: f64, progress: Option<f64>, within: f64) -> Self {
        Self {
            schedule: RewarmupSchedule::Remapped {
                peak,
                min_lr,
                progress,
                within,
            },
            rho: Some(1.0),
            steps: Some(0),
            rule: RewarmupRule::default(),
            scope: RewarmupScope::All,
            bias_correction: BiasCorrection::default(),
        }
    }

    /// Takes the paper's peak and climb: 1.3 times the base rate, after 0.4 % of the whole run.
    /// What [`with_rho`](Self::with_rho) or [`with_steps`](Self::with_steps) sets stays as set.
    pub fn paper(mut self) -> Self {
        self.rule = RewarmupRule::Paper;
        self
    }

    /// Sets the peak, as a multiple of the base rate at the expansion.
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = Some(rho);
        self
    }

    /// Sets the length of the climb in optimizer steps.
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Sets the coordinates that are re-warmed.
    pub fn with_scope(mut self, scope: RewarmupScope) -> Self {
        self.scope = scope;
        self
    }

    /// Restarts the bias correction for new coordinates, under an optimizer of Adam's family with
    /// these decays. Only for new coordinates whose state starts from zero.
    pub fn with_restarted_bias_correction(mut self, beta_1: f64, beta_2: f64) -> Self {
        self.bias_correction = BiasCorrection::Restarted { beta_1, beta_2 };
        self
    }

    /// Checks that every learning rate it gives is a finite number.
    ///
    /// # Errors
    ///
    /// Names the first setting that is negative or not finite, a decay outside of `[0, 1)`, or a
    /// peak of a remapped cosine that is not above its end.
    pub fn check(&self) -> Result<(), OptimError> {
        let reject = |(name, found), expected| {
            Err(OptimError::Rewarmup {
                name,
                found,
                expected,
            })
        };
        let rho = self.rho.map(|rho| ("rho", rho)).into_iter();
        let mut settings = rho.chain(self.schedule.numbers());
        if let Some(setting) = settings.find(|(_, value)| !(0.0..f64::INFINITY).contains(value)) {
            return reject(setting, "a finite number, zero or more");
        }
        let mut decays = self.bias_correction.numbers().into_iter();
        if let Some(setting) = decays.find(|(_, value)| !(0.0..1.0).contains(value)) {
            return reject(setting, "a decay, from 0 to below 1");
        }
        match self.schedule {
            // The base rate then tells how much of the cosine is over.
            RewarmupSchedule::Remapped {
                peak,
                min_lr,
                progress: None,
                ..
            } if peak <= min_lr => reject(("peak", peak), "a learning rate above `min_lr`"),
            _ => Ok(()),
        }
    }

    /// Places it at an expansion after `step` of `total_steps` optimizer steps, and works out the
    /// peak and the climb that are not set.
    pub fn ramp(&self, step: usize, total_steps: usize) -> Ramp {
        let left = total_steps.saturating_sub(step);
        Ramp {
            schedule: self.schedule,
            rho: self.rho.unwrap_or_else(|| self.rule.rho(left)),
            steps: self
                .steps
                .unwrap_or_else(|| self.rule.steps(left, total_steps)),
            horizon: left,
            scope: self.scope,
            bias_correction: self.bias_correction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_steps_are_left_the_higher_the_peak() {
        let at = |steps_left: usize| {
            let ramp = Rewarmup::cosine(0.1).ramp(10_000, 10_000 + steps_left);
            (ramp.rho, ramp.steps)
        };
        assert_eq!(at(500), (3.0, 10));
        assert_eq!(at(2000), (2.0, 40));
        assert_eq!(at(8000), (1.5, 160));
        assert_eq!(at(200), (4.0, 4));
        assert_eq!(at(0), (4.0, 1));
    }

    #[test]
    fn the_paper_climbs_by_the_length_of_the_run() {
        let of = |rewarmup: Rewarmup| {
            let ramp = rewarmup.ramp(30_000, 63_600);
            (ramp.rho, ramp.steps)
        };
        let paper = || Rewarmup::cosine(0.1).paper();
        assert_eq!(of(paper()), (1.3, 254));
        assert_eq!(paper().ramp(1, 10).steps, 1);
        // What is set stays, whatever the order.
        assert_eq!(of(paper().with_rho(2.0)), (2.0, 254));
        assert_eq!(of(Rewarmup::cosine(0.1).with_steps(7).paper()), (1.3, 7));
        assert_eq!(of(Rewarmup::cosine(0.1).with_rho(2.0)), (2.0, 672));
    }

    #[test]
    fn a_rewarmup_is_written_as_its_settings() -> Result<(), serde_json::Error> {
        let written = |rewarmup: &Rewarmup| serde_json::to_string(rewarmup);
        let set = Rewarmup::cosine(0.1).with_rho(2.0).with_steps(80);
        let text = [
            r#"{"schedule":{"cosine":{"min_lr":0.1}},"rho":2.0,"steps":80"#,
            r#""scope":"new-coordinates","age":"shared"}"#,
        ];
        assert_eq!(written(&set)?, text.join(","));
        for rewarmup in [set, Rewarmup::proportional(), Rewarmup::cosine(0.1).paper()] {
            assert_eq!(
                serde_json::from_str::<Rewarmup>(&written(&rewarmup)?)?,
                rewarmup
            );
        }
        Ok(())
    }

    #[test]
    fn a_rewarmup_that_gives_no_learning_rate_is_rejected() {
        let cosine = || Rewarmup::cosine(0.1);
        for (rewarmup, setting) in [
            (cosine().with_rho(f64::NAN), "rho"),
            (Rewarmup::cosine(-0.1), "min_lr"),
            (cosine().with_restarted_bias_correction(0.9, 1.0), "beta_2"),
            (Rewarmup::faster_decay(0.1, 0.1, 0.25), "peak"),
        ] {
            let error = rewarmup.check().expect_err("rejected").to_string();
            assert!(error.contains(&format!("`{setting}`")), "{error}");
        }
        for rewarmup in [
            cosine().with_restarted_bias_correction(0.9, 0.999),
            Rewarmup::faster_decay(0.2, 0.1, 0.25),
            Rewarmup::remapped(0.1, 0.1, 0.5),
        ] {
            assert!(rewarmup.check().is_ok());
        }
    }
}
