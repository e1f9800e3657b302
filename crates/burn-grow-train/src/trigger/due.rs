//! When a trigger fires in a run of known length.

use super::at::At;
use super::fault::TriggerFault;
use super::lengths::Lengths;
use crate::TrainError;

/// One of the two kinds that every trigger comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// After a number of optimizer steps, or as soon as the expansions before it are taken.
    Step(usize),
    /// Decided at the end of an epoch.
    EpochEnd,
}

/// Units that the optimizer steps of a run are counted in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Units {
    pub(crate) total_steps: usize,
    pub(crate) tokens_per_step: Option<usize>,
    pub(crate) steps_per_epoch: Option<usize>,
    /// The lengths that the run was planned with before, shortest first.
    pub(crate) before: Vec<usize>,
}

impl Units {
    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            before: self.before.clone(),
            total: self.total_steps,
        }
    }
}

impl At {
    /// Resolves the trigger in the first of the lengths of the run that it lies within.
    ///
    /// # Errors
    ///
    /// Those of [`resolve`](Self::resolve) in the whole run.
    pub(super) fn resolve_first(&self, units: &Units) -> Result<Due, TrainError> {
        let lengths = units.before.iter().map(|before| Units {
            total_steps: *before,
            ..units.clone()
        });
        let before = lengths.filter_map(|units| self.resolve(&units).ok()).next();
        before.map_or_else(|| self.resolve(units), Ok)
    }

    /// Resolves the trigger to a step of a run, or to the ends of its epochs.
    ///
    /// # Errors
    ///
    /// When the point is not within the run: the first step has to see the narrow model, the last
    /// one the wide one. When it cannot be counted, or a metric trigger can never fire.
    pub(super) fn resolve(&self, units: &Units) -> Result<Due, TrainError> {
        let missing = |setting| TrainError::Unit {
            at: self.clone(),
            setting,
        };
        let valid = |checked: Result<(), TriggerFault>| match checked {
            Ok(()) => Ok(Due::EpochEnd),
            Err(fault) => Err(TrainError::Metric {
                at: self.clone(),
                fault,
            }),
        };
        let step = match self {
            Self::Step(step) => *step as f64,
            Self::Fraction(fraction) => (units.total_steps as f64 * fraction).round(),
            Self::Tokens(tokens) => {
                let per_step = units.tokens_per_step.filter(|tokens| *tokens > 0);
                let per_step = per_step.ok_or_else(|| missing("tokens_per_step"))?;
                tokens.div_ceil(per_step) as f64
            }
            Self::Epoch(epoch) => {
                let per_epoch = units.steps_per_epoch.filter(|steps| *steps > 0);
                let per_epoch = per_epoch.ok_or_else(|| missing("steps_per_epoch"))?;
                *epoch as f64 * per_epoch as f64
            }
            Self::Plateau(plateau) => return valid(plateau.check()),
            Self::Slope(slope) => return valid(slope.check()),
            Self::Pays(pays) => return valid(pays.check()),
            Self::Custom(_) => return Ok(Due::EpochEnd),
        };
        if step >= 1.0 && step < units.total_steps as f64 {
            Ok(Due::Step(step as usize))
        } else {
            Err(TrainError::Trigger {
                at: self.clone(),
                total_steps: units.total_steps,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_grow_core::cost::LearningCurve;

    use super::*;
    use crate::trigger::{Pays, Plateau};

    #[test]
    fn triggers_resolve_to_steps_within_the_run() {
        let units = Units {
            total_steps: 100,
            tokens_per_step: Some(64),
            steps_per_epoch: Some(10),
            ..Units::default()
        };
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
            (At::tokens(640), Some(10)),
            (At::tokens(641), Some(11)),
            (At::tokens(0), None),
            (At::tokens(6_400), None),
            (At::tokens(usize::MAX), None),
            (At::epoch(3), Some(30)),
            (At::epoch(0), None),
            (At::epoch(10), None),
        ];
        for (at, step) in table {
            let expected = step.map(Due::Step);
            assert_eq!(at.resolve(&units).ok(), expected, "{at:?}");
        }
    }

    #[test]
    fn a_trigger_that_cannot_be_counted_or_never_fires_is_rejected() {
        let units = Units {
            total_steps: 100,
            ..Units::default()
        };
        let wide = LearningCurve::new((1..9).map(|n| (f64::from(n), 1.0 / f64::from(n))));
        let wide = wide.expect("a curve");
        let table = [
            (At::tokens(640), "tokens_per_step"),
            (At::epoch(3), "steps_per_epoch"),
            (At::plateau("Loss", 0), "patience"),
            (
                Plateau::new("Loss", 1).with_min_change(-1.0).into(),
                "minimum change",
            ),
            (At::slope("Loss", 1, 0.1), "window"),
            (At::slope("Loss", 3, f64::NAN), "threshold"),
            (At::pays("Loss", wide.clone(), 0.0), "FLOPs"),
            (
                Pays::new("Loss", wide, 1.0).with_kept(0.0).into(),
                "expansion keeps",
            ),
        ];
        for (at, message) in table {
            let error = at.resolve(&units).map_err(|error| error.to_string());
            assert!(error.is_err_and(|error| error.contains(message)), "{at:?}");
        }
        assert_eq!(
            At::plateau("Loss", 1).resolve(&units).ok(),
            Some(Due::EpochEnd)
        );
    }
}
