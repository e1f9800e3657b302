use serde::{Deserialize, Serialize};

use crate::TrainError;

/// When a model expands. Counted in optimizer steps, so it means the same under gradient
/// accumulation and on several devices.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// After so many optimizer steps.
    Step(usize),
    /// After a fraction of the run's optimizer steps, rounded to the nearest.
    Fraction(f64),
}

impl At {
    /// After `step` optimizer steps: the step with index `step` is the first of the wider model.
    pub fn step(step: usize) -> Self {
        Self::Step(step)
    }

    /// After `fraction` of the run.
    pub fn fraction(fraction: f64) -> Self {
        Self::Fraction(fraction)
    }

    /// The optimizer steps taken before the expansion.
    ///
    /// # Errors
    ///
    /// When that is not within the run: the first step has to see the narrow model, the last one the
    /// wide one.
    pub(crate) fn resolve(self, total_steps: usize) -> Result<usize, TrainError> {
        let step = match self {
            Self::Step(step) => step as f64,
            Self::Fraction(fraction) => (total_steps as f64 * fraction).round(),
        };
        match step >= 1.0 && step < total_steps as f64 {
            true => Ok(step as usize),
            false => Err(TrainError::Trigger {
                at: self,
                total_steps,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_resolve_to_steps_within_the_run() {
        let table = [
            (At::step(1), Some(1)),
            (At::step(99), Some(99)),
            (At::step(0), None),
            (At::step(100), None),
            (At::fraction(0.5), Some(50)),
            (At::fraction(0.004), None),
            (At::fraction(1.0), None),
            (At::fraction(f64::NAN), None),
            (At::fraction(-0.5), None),
        ];
        for (at, step) in table {
            assert_eq!(at.resolve(100).ok(), step, "{at:?}");
        }
    }
}
