//! A re-warmup placed in a run: numbers of steps instead of rules.

use core::f64::consts::PI;

use crate::{BiasCorrection, OptimError, RewarmupSchedule, RewarmupScope};

/// A [`Rewarmup`](crate::Rewarmup) placed at one expansion of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// The learning rate after the climb.
    pub schedule: RewarmupSchedule,
    /// The peak, as a multiple of the base rate at the expansion.
    pub rho: f64,
    /// The length of the climb in optimizer steps.
    pub steps: usize,
    /// The optimizer steps from the expansion to the end of the run.
    pub horizon: usize,
    /// The coordinates that are re-warmed.
    pub scope: RewarmupScope,
    /// The step count that the bias correction of new coordinates uses.
    pub bias_correction: BiasCorrection,
}

impl Ramp {
    /// Checks that it reaches its peak before the run ends.
    ///
    /// # Errors
    ///
    /// When the climb takes as many steps as are left of the run, or more.
    pub fn check(&self) -> Result<(), OptimError> {
        if self.steps < self.horizon {
            Ok(())
        } else {
            Err(OptimError::Rewarmup {
                name: "steps",
                found: self.steps as f64,
                expected: "fewer than the optimizer steps left after the expansion",
            })
        }
    }

    /// Tells if new coordinates move at another rate than old ones, which tells copies from their
    /// units. A cosine whose peak is the base rate counts as the base schedule, which it is meant
    /// to be the end of.
    pub fn moves_copies_apart(&self) -> bool {
        let differs = match self.schedule {
            RewarmupSchedule::Proportional | RewarmupSchedule::Cosine { .. } => self.rho != 1.0,
            RewarmupSchedule::Remapped { .. } => true,
        };
        self.scope == RewarmupScope::NewCoordinates
            && (differs || self.bias_correction != BiasCorrection::Shared)
    }

    /// Learning rate of the step that new coordinates take at `age`, when their parameter had taken
    /// `count` steps before the expansion: [`rate`](Self::rate) times the factor of the bias
    /// correction.
    pub fn step_rate(&self, age: usize, count: usize, start: f64, base: f64) -> f64 {
        let factor = self.bias_correction.factor(age + 1, count + age + 1);
        self.rate(age, start, base) * factor
    }

    /// Learning rate of new coordinates `age` steps after an expansion at which the base rate was
    /// `start`, while the base rate is `base`.
    pub fn rate(&self, age: usize, start: f64, base: f64) -> f64 {
        let climb = if age < self.steps {
            1.0 + (self.rho - 1.0) * (age + 1) as f64 / self.steps as f64
        } else {
            self.rho
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

/// Half a cosine from `high` at progress 0 to `low` at progress 1.
fn cosine(high: f64, low: f64, progress: f64) -> f64 {
    low + (high - low) * 0.5 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rewarmup;

    #[test]
    fn the_cosine_climbs_to_rho_and_ends_at_the_minimum() {
        let ramp = Rewarmup::cosine(0.1).paper().with_steps(4).ramp(100, 200);
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
}
