use core::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{OptimError, StatePolicy};

/// The steps left that want a peak of twice the base rate; the highest peak that was tried.
const RHO_HORIZON: f64 = 8000.0;
const MAX_RHO: f64 = 4.0;

/// How the learning rate of new coordinates departs from the base rate.
///
/// ```
/// # use burn_grow_optim::{Rewarmup, RewarmupScope};
/// let paper = Rewarmup::cosine(3e-6);
/// let short_run = Rewarmup::cosine(8e-5).with_rho(2.0).with_steps(80);
/// let control = Rewarmup::proportional().with_scope(RewarmupScope::All);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewarmup {
    /// What follows the climb.
    pub schedule: RewarmupSchedule,
    /// The peak, as a multiple of the base rate at the expansion. The paper's is 1.3; runs with few
    /// steps left after the expansion want more.
    pub rho: f64,
    /// The length of the climb in optimizer steps. Absent, 0.4 % of the run, as in the paper (250 of
    /// 63,600).
    pub steps: Option<usize>,
    /// Which coordinates are re-warmed.
    pub scope: RewarmupScope,
    /// How old new coordinates are to the optimizer's bias correction.
    #[serde(default)]
    pub age: BiasCorrection,
}

/// How old new coordinates are to the bias correction of their optimizer, which counts one age for a
/// whole parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BiasCorrection {
    /// As old as their parameter, as in the paper: their first updates are
    /// `(1 - beta_1) / sqrt(1 - beta_2)` times what a fresh parameter's would be, 0.45 for a `beta_2` of
    /// 0.95 and 3.16 for 0.999.
    #[default]
    Shared,
    /// As old as they are: their rate is multiplied by what the bias correction of Adam, AdamW or Lamb
    /// would be now, divided by what it is,
    /// `[sqrt(1 - b2^a) / (1 - b1^a)] / [sqrt(1 - b2^t) / (1 - b1^t)]` at age `a` and step count `t`.
    #[serde(rename = "own")]
    Restarted {
        /// The decay of the optimizer's first moment.
        beta_1: f64,
        /// The decay of its second moment.
        beta_2: f64,
    },
}

impl BiasCorrection {
    /// The settings by name, as records and messages call them.
    pub fn numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Shared => Vec::new(),
            Self::Restarted { beta_1, beta_2 } => vec![("beta_1", beta_1), ("beta_2", beta_2)],
        }
    }

    /// Whether coordinates of `scope` of the parameter at `path`, whose state follows `policy`, can be of
    /// this age.
    pub(crate) fn check(
        self,
        path: &str,
        scope: RewarmupScope,
        policy: StatePolicy,
    ) -> Result<(), OptimError> {
        let fresh = scope == RewarmupScope::NewCoordinates && policy == StatePolicy::KeepAndZero;
        match self == Self::Shared || fresh {
            true => Ok(()),
            false => Err(OptimError::OwnAge {
                path: path.to_owned(),
                scope,
                policy,
            }),
        }
    }

    /// What the rate of coordinates is multiplied with that take their `own`th step while their
    /// parameter takes its `shared`th.
    pub fn factor(self, own: usize, shared: usize) -> f64 {
        match self {
            Self::Shared => 1.0,
            Self::Restarted { beta_1, beta_2 } => {
                let correction = |steps: usize| {
                    let steps = steps as f64;
                    (1.0 - beta_2.powf(steps)).sqrt() / (1.0 - beta_1.powf(steps))
                };
                correction(own) / correction(shared)
            }
        }
    }
}

/// What a [`Rewarmup`] does after the climb.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewarmupSchedule {
    /// Cosine to `min_lr` over the steps left (Eq. 25-28): for a cosine base schedule that ends
    /// there too. All parameter groups end there: where they have rates of their own, take
    /// [`Proportional`](Self::Proportional).
    Cosine {
        /// The rate at the end of the run.
        min_lr: f64,
    },
    /// Stays at `rho` times the base rate, whatever the base schedule does.
    Proportional,
    /// No re-warmup, for comparison: the cosine from `peak` to `min_lr` that the base schedule follows,
    /// entered elsewhere or left sooner.
    Remapped {
        /// The highest rate of the cosine.
        peak: f64,
        /// The rate at its end.
        min_lr: f64,
        /// How much of the cosine lies behind at the expansion, between 0 and 1; absent, what the base
        /// rate says.
        progress: Option<f64>,
        /// The fraction of the steps left after which it ends.
        within: f64,
    },
}

impl RewarmupSchedule {
    /// The settings by name, as records and messages call them.
    pub fn numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Proportional => Vec::new(),
            Self::Cosine { min_lr } => vec![("min_lr", min_lr)],
            Self::Remapped {
                peak,
                min_lr,
                progress,
                within,
            } => {
                let mut numbers = vec![("peak", peak), ("min_lr", min_lr), ("within", within)];
                numbers.extend(progress.map(|progress| ("progress", progress)));
                numbers
            }
        }
    }
}

/// Which coordinates a [`Rewarmup`] moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewarmupScope {
    /// The coordinates that the expansion added.
    #[default]
    NewCoordinates,
    /// Every coordinate of every parameter: the control that tells a higher rate from a broken
    /// symmetry.
    All,
}

impl Rewarmup {
    /// Climbs, then follows a cosine to `min_lr` at the end of the run (Eq. 25-28).
    pub fn cosine(min_lr: f64) -> Self {
        Self {
            schedule: RewarmupSchedule::Cosine { min_lr },
            rho: 1.3,
            steps: None,
            scope: RewarmupScope::default(),
            age: BiasCorrection::default(),
        }
    }

    /// Climbs from 1 to `rho` times the base rate and stays there.
    pub fn proportional() -> Self {
        Self {
            schedule: RewarmupSchedule::Proportional,
            ..Self::cosine(0.0)
        }
    }

    /// Moves every coordinate down the base cosine faster, so that it ends after `1 - faster` of the steps
    /// left: LEMON's schedule (arXiv 2310.07999), for comparison.
    pub fn faster_decay(peak: f64, min_lr: f64, faster: f64) -> Self {
        Self::remap(peak, min_lr, None, 1.0 - faster)
    }

    /// Puts every coordinate where `progress` of the base cosine lies behind, as if the wide model had
    /// been trained from scratch to the same loss: the schedule of staged training (arXiv 2203.06211),
    /// for comparison.
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
            rho: 1.0,
            steps: Some(0),
            scope: RewarmupScope::All,
            age: BiasCorrection::default(),
        }
    }

    /// Sets peak and climb by the optimizer steps that are left after the expansion: `rho = 1 + sqrt(8000 / steps_left)`, at most 4,
    /// after 2 % of them.
    ///
    /// The fewer steps are left, the higher a peak it takes to tell copies apart in time: 4 for up to 900, 3 for 2,000, 2.4 for
    /// 4,000, and 1.5 for 30,000, where the paper takes 1.3. Fitted where 500 to 2,000 steps were left; `docs/results.md` says how,
    /// and what it does elsewhere.
    pub fn for_horizon(self, steps_left: usize) -> Self {
        let rho = 1.0 + (RHO_HORIZON / steps_left.max(1) as f64).sqrt();
        self.with_rho(rho.min(MAX_RHO))
            .with_steps((steps_left / 50).max(1))
    }

    /// Sets the peak, as a multiple of the base rate at the expansion.
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets the length of the climb in optimizer steps.
    pub fn with_steps(mut self, steps: usize) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Sets which coordinates are re-warmed.
    pub fn with_scope(mut self, scope: RewarmupScope) -> Self {
        self.scope = scope;
        self
    }

    /// Restarts the bias correction of new coordinates, under an optimizer of Adam's family with these
    /// decays. Only for new coordinates whose state starts from zero.
    pub fn with_restarted_bias_correction(mut self, beta_1: f64, beta_2: f64) -> Self {
        self.age = BiasCorrection::Restarted { beta_1, beta_2 };
        self
    }

    /// Whether every rate that it gives is a number.
    ///
    /// # Errors
    ///
    /// Names the first setting that is negative or not finite, a decay that is none, and the peak of a cosine that goes
    /// nowhere.
    pub fn check(&self) -> Result<(), OptimError> {
        let refuse = |(name, found), expected| {
            Err(OptimError::Rewarmup {
                name,
                found,
                expected,
            })
        };
        let settings = [("rho", self.rho)].into_iter();
        let mut settings = settings.chain(self.schedule.numbers());
        if let Some(setting) = settings.find(|(_, value)| !(0.0..f64::INFINITY).contains(value)) {
            return refuse(setting, "a finite number, zero or more");
        }
        let mut betas = self.age.numbers().into_iter();
        if let Some(setting) = betas.find(|(_, value)| !(0.0..1.0).contains(value)) {
            return refuse(setting, "a decay, from 0 to below 1");
        }
        match self.schedule {
            // The base rate then says how much of the cosine lies behind.
            RewarmupSchedule::Remapped {
                peak,
                min_lr,
                progress: None,
                ..
            } if peak <= min_lr => refuse(("peak", peak), "a rate above `min_lr`"),
            _ => Ok(()),
        }
    }

    /// The ramp of an expansion after `step` of `total_steps` optimizer steps.
    pub fn ramp(&self, step: usize, total_steps: usize) -> Ramp {
        Ramp {
            schedule: self.schedule,
            rho: self.rho,
            steps: self.steps.unwrap_or((total_steps / 250).max(1)),
            horizon: total_steps.saturating_sub(step),
            age: self.age,
        }
    }
}

/// A [`Rewarmup`] placed in a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// What follows the climb.
    pub schedule: RewarmupSchedule,
    /// The peak, as a multiple of the base rate at the expansion.
    pub rho: f64,
    /// The length of the climb in optimizer steps.
    pub steps: usize,
    /// The optimizer steps from the expansion to the end of the run.
    pub horizon: usize,
    /// How old new coordinates are to the optimizer's bias correction.
    pub age: BiasCorrection,
}

impl Ramp {
    /// Whether it reaches its peak before the run ends.
    ///
    /// # Errors
    ///
    /// When the climb is as long as what is left of the run, or longer.
    pub fn check(&self) -> Result<(), OptimError> {
        match self.steps < self.horizon {
            true => Ok(()),
            false => Err(OptimError::Rewarmup {
                name: "steps",
                found: self.steps as f64,
                expected: "fewer than the optimizer steps left after the expansion",
            }),
        }
    }

    /// The rate of the step that new coordinates take at `age`, their parameter having taken `count`
    /// steps before the expansion: [`rate`](Self::rate), corrected for an age of their own.
    pub fn step_rate(&self, age: usize, count: usize, start: f64, base: f64) -> f64 {
        self.rate(age, start, base) * self.age.factor(age + 1, count + age + 1)
    }

    /// The rate of new coordinates `age` steps after an expansion at which the base rate was
    /// `start`, while the base rate is `base`.
    pub fn rate(&self, age: usize, start: f64, base: f64) -> f64 {
        let climb = match age < self.steps {
            true => 1.0 + (self.rho - 1.0) * (age + 1) as f64 / self.steps as f64,
            false => self.rho,
        };
        match self.schedule {
            RewarmupSchedule::Proportional => climb * base,
            RewarmupSchedule::Cosine { .. } if age < self.steps => climb * start,
            RewarmupSchedule::Cosine { min_lr } => {
                let left = self.horizon.saturating_sub(self.steps).max(1);
                let progress = ((age - self.steps) as f64 / left as f64).min(1.0);
                let peak = self.rho * start;
                // A parameter group that is frozen, or slower than `min_lr`, does not speed up.
                cosine(peak, min_lr.min(peak), progress)
            }
            RewarmupSchedule::Remapped {
                peak,
                min_lr,
                progress,
                within,
            } => {
                let from = progress.unwrap_or_else(|| {
                    let height = (start - min_lr) / (peak - min_lr);
                    (2.0 * height.clamp(0.0, 1.0) - 1.0).acos() / PI
                });
                let left = (self.horizon as f64 * within).max(1.0);
                let progress = (from + (1.0 - from) * age as f64 / left).min(1.0);
                cosine(peak, min_lr, progress)
            }
        }
    }
}

/// From `high` to `low`.
fn cosine(high: f64, low: f64, progress: f64) -> f64 {
    low + (high - low) * 0.5 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_climbs_to_rho_and_ends_at_the_minimum() {
        let ramp = Rewarmup::cosine(0.1).with_steps(4).ramp(100, 200);
        assert_eq!(ramp.rate(3, 2.0, 1.0), 2.6);
        assert_eq!(ramp.rate(4, 2.0, 1.0), 2.6);
        assert!((ramp.rate(100, 2.0, 1.0) - 0.1).abs() < 1e-12);
        assert_eq!(ramp.rate(100, 2.0, 1.0), ramp.rate(500, 2.0, 1.0));
    }

    #[test]
    fn the_proportional_rate_follows_the_base_rate() {
        let ramp = Rewarmup::proportional()
            .with_rho(2.0)
            .with_steps(2)
            .ramp(0, 10);
        assert_eq!(ramp.rate(0, 9.0, 1.0), 1.5);
        assert_eq!(ramp.rate(1, 9.0, 1.0), 2.0);
        assert_eq!(ramp.rate(50, 9.0, 0.5), 1.0);
    }

    #[test]
    fn the_fewer_steps_are_left_the_higher_the_peak() {
        let at = |steps_left| {
            let rewarmup = Rewarmup::cosine(0.1).for_horizon(steps_left);
            (rewarmup.rho, rewarmup.steps)
        };
        assert_eq!(at(2000), (3.0, Some(40)));
        assert_eq!(at(8000), (2.0, Some(160)));
        assert_eq!(at(32_000), (1.5, Some(640)));
        assert_eq!(at(400), (4.0, Some(8)));
        assert_eq!(at(0), (4.0, Some(1)));
    }

    #[test]
    fn faster_decay_leaves_the_base_cosine_and_ends_sooner() {
        let base = |step: f64| cosine(1.0, 0.01, step / 1000.0);
        let ramp = Rewarmup::faster_decay(1.0, 0.01, 0.25).ramp(600, 1000);
        assert!((ramp.rate(0, base(600.0), base(600.0)) - base(600.0)).abs() < 1e-12);
        assert!((ramp.rate(150, base(600.0), 0.0) - base(800.0)).abs() < 1e-12);
        assert!((ramp.rate(300, base(600.0), 0.0) - 0.01).abs() < 1e-12);
        assert!((ramp.rate(400, base(600.0), 0.0) - 0.01).abs() < 1e-12);
        // Nothing faster is the base schedule.
        let same = Rewarmup::faster_decay(1.0, 0.01, 0.0).ramp(600, 1000);
        assert!((same.rate(250, base(600.0), 0.0) - base(850.0)).abs() < 1e-12);
    }

    #[test]
    fn a_remapped_schedule_goes_back_on_the_cosine() {
        let ramp = Rewarmup::remapped(1.0, 0.01, 0.2).ramp(600, 1000);
        assert!((ramp.rate(0, 0.3, 0.3) - cosine(1.0, 0.01, 0.2)).abs() < 1e-12);
        assert!((ramp.rate(200, 0.3, 0.3) - cosine(1.0, 0.01, 0.6)).abs() < 1e-12);
        assert!((ramp.rate(400, 0.3, 0.3) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn an_own_age_undoes_the_first_kick() {
        for beta_2 in [0.95, 0.99, 0.999] {
            let age = BiasCorrection::Restarted {
                beta_1: 0.9,
                beta_2,
            };
            // After so many steps the shared correction is one, and the first update of zeroed moments under
            // a constant gradient `(1 - b1) / sqrt(1 - b2)` times the rate.
            let kick = 0.1 / (1.0 - beta_2).sqrt();
            assert!(
                (age.factor(1, 1_000_000) * kick - 1.0).abs() < 1e-12,
                "{beta_2}"
            );
            assert!((age.factor(1_000_000, 2_000_000) - 1.0).abs() < 1e-12);
            assert_eq!(age.factor(7, 7), 1.0);
        }
        assert_eq!(BiasCorrection::Shared.factor(1, 1000), 1.0);
    }

    #[test]
    fn a_rewarmup_that_gives_no_rate_is_refused() {
        let cosine = || Rewarmup::cosine(0.1);
        for (rewarmup, setting) in [
            (cosine().with_rho(f64::NAN), "rho"),
            (Rewarmup::cosine(-0.1), "min_lr"),
            (cosine().with_restarted_bias_correction(0.9, 1.0), "beta_2"),
            (Rewarmup::faster_decay(0.1, 0.1, 0.25), "peak"),
        ] {
            let error = rewarmup.check().expect_err("refused").to_string();
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
