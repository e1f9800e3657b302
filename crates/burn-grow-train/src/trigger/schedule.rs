//! When expansions are due, as a pure function.

use serde::{Deserialize, Serialize};

use super::at::At;
use super::due::{Due, Units};
use super::history::{EpochRecord, History};
use super::lengths::Lengths;
use super::position::Position;
use super::watched::WatchedMetric;
use crate::TrainError;

/// Least time between two expansions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refractory {
    /// No time: one expansion may follow right on another.
    #[default]
    None,
    /// A number of optimizer steps.
    Steps(usize),
    /// A number of epochs. The builder has to know the
    /// [`steps_per_epoch`](crate::WidthExpansionBuilder::steps_per_epoch).
    Epochs(usize),
}

/// Due dates of the expansions of a run: a function of the steps taken and of the metrics so far,
/// so that every replica and every resumed run decides alike.
///
/// Expansions are taken in order. One that is due waits for the ones before it, and for the
/// refractory time.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) total_steps: usize,
    pub(crate) lengths: Lengths,
    pub(crate) stages: Vec<(At, Due)>,
    /// In optimizer steps.
    pub(crate) refractory: usize,
    /// Every metric that a trigger watches.
    pub(crate) metrics: Vec<WatchedMetric>,
}

impl Schedule {
    /// Orders expansions as they are taken, each with what belongs to it: by step where all steps
    /// are known, else as in the list.
    pub(crate) fn new<T>(
        units: &Units,
        refractory: Refractory,
        expansions: Vec<(At, T)>,
    ) -> Result<(Self, Vec<T>), TrainError> {
        let refractory = match (refractory, units.steps_per_epoch) {
            (Refractory::None, _) => 0,
            (Refractory::Steps(steps), _) => steps,
            (Refractory::Epochs(epochs), Some(steps)) => epochs.saturating_mul(steps),
            (Refractory::Epochs(_), None) => return Err(TrainError::RefractoryUnit),
        };
        let mut stages = Vec::new();
        for (at, expansion) in expansions {
            let due = at.resolve_first(units)?;
            stages.push((at, due, expansion));
        }
        if !stages.iter().any(|(_, due, _)| *due == Due::EpochEnd) {
            // Stable: expansions at the same step come in the order they were added.
            stages.sort_by_key(|(_, due, _)| match due {
                Due::Step(step) => *step,
                Due::EpochEnd => 0,
            });
        }
        let mut metrics: Vec<WatchedMetric> = Vec::new();
        for watched in stages.iter().flat_map(|(at, _, _)| at.metrics()) {
            if !metrics.contains(watched) {
                metrics.push(watched.clone());
            }
        }
        let (stages, expansions): (Vec<_>, _) = stages
            .into_iter()
            .map(|(at, due, expansion)| ((at, due), expansion))
            .unzip();
        let schedule = Self {
            total_steps: units.total_steps,
            lengths: units.lengths(),
            stages,
            refractory,
            metrics,
        };
        schedule.check_steps()?;
        Ok((schedule, expansions))
    }

    /// Checks that known steps are in order, with the refractory time between neighbours.
    fn check_steps(&self) -> Result<(), TrainError> {
        let mut last: Option<(usize, usize)> = None;
        for (stage, (_, due)) in self.stages.iter().enumerate() {
            let Due::Step(step) = *due else { continue };
            if let Some((before, at)) = last {
                let refractory = if before + 1 == stage {
                    self.refractory
                } else {
                    0
                };
                if step < at.saturating_add(refractory) {
                    return Err(TrainError::Order {
                        stage,
                        step,
                        before: at,
                        refractory,
                    });
                }
            }
            last = Some((stage, step));
        }
        Ok(())
    }

    /// Returns the step of `stage`, unless a metric decides it.
    pub(crate) fn known_step(&self, stage: usize) -> Option<usize> {
        match self.stages.get(stage)?.1 {
            Due::Step(step) => Some(step),
            Due::EpochEnd => None,
        }
    }

    /// Returns the first stage from `stage` on that is planned after a step later than `step`.
    pub(crate) fn beyond(&self, stage: usize, step: usize) -> Option<(usize, usize)> {
        (stage..self.stages.len())
            .filter_map(|stage| Some((stage, self.known_step(stage)?)))
            .find(|(_, planned)| *planned > step)
    }

    /// Returns true if a metric decides a stage from `stage` on.
    pub(crate) fn watches(&self, stage: usize) -> bool {
        let left = self.stages.get(stage..).unwrap_or_default();
        left.iter().any(|(_, due)| *due == Due::EpochEnd)
    }

    /// Returns the first step at which `stage` can be taken, if the stage before was taken at
    /// `last`.
    pub(crate) fn earliest(&self, stage: usize, last: Option<usize>) -> Option<usize> {
        let free = last.map_or(0, |last| last.saturating_add(self.refractory));
        match self.stages.get(stage)?.1 {
            Due::Step(step) => Some(step.max(free)),
            Due::EpochEnd => Some(free),
        }
    }

    /// Returns true if the next stage is due after the step that `position` counts.
    pub(crate) fn is_due(
        &self,
        position: Position,
        taken: &[usize],
        epochs: &[EpochRecord],
    ) -> bool {
        let last = taken.last().copied();
        let (Some((at, due)), Some(earliest)) = (
            self.stages.get(position.stage),
            self.earliest(position.stage, last),
        ) else {
            return false;
        };
        if position.step < earliest || position.step >= self.total_steps {
            return false;
        }
        match due {
            // A checkpoint from after that step is of a run without the expansion.
            Due::Step(_) => position.step == earliest,
            Due::EpochEnd => {
                let history = History {
                    metrics: &self.metrics,
                    epochs,
                    since: last,
                };
                // Only the first step of an epoch follows a decision.
                history.step() > 0 && history.step() + 1 == position.step && at.fires(&history)
            }
        }
    }

    /// Returns what a run that ended at `position` did not do as planned, if anything.
    /// `stopped` is the epoch after which an early stopping ended it.
    pub(crate) fn shortfall(
        &self,
        position: Position,
        stopped: Option<usize>,
    ) -> Option<TrainError> {
        let total_steps = self.total_steps;
        if let Some((at, _)) = self.stages.get(position.stage) {
            return Some(TrainError::NotExpanded {
                position,
                total_steps,
                planned: self.stages.len(),
                next: at.clone(),
                early_stopping: stopped,
            });
        }
        (position.step > total_steps && !self.stages.is_empty()).then_some(TrainError::Overrun {
            position,
            total_steps,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A history in which epoch `n` ends after step `10 n`.
    pub(crate) fn history(
        values: &[(&WatchedMetric, &[f64])],
        since: Option<usize>,
        check: impl FnOnce(&History<'_>),
    ) {
        let metrics: Vec<_> = values.iter().map(|(metric, _)| (*metric).clone()).collect();
        let epochs = records(&values.iter().map(|(_, values)| *values).collect::<Vec<_>>());
        check(&History {
            metrics: &metrics,
            epochs: &epochs,
            since,
        });
    }

    fn records(values: &[&[f64]]) -> Vec<EpochRecord> {
        let epochs = values.first().map_or(0, |values| values.len());
        let record = |index: usize| EpochRecord {
            epoch: index + 1,
            step: 10 * (index + 1),
            values: values.iter().map(|values| values[index]).collect(),
        };
        (0..epochs).map(record).collect()
    }

    pub(crate) fn schedule(
        stages: Vec<At>,
        refractory: Refractory,
    ) -> Result<Schedule, TrainError> {
        let units = Units {
            total_steps: 100,
            steps_per_epoch: Some(10),
            ..Units::default()
        };
        let stages = stages.into_iter().map(|at| (at, ())).collect();
        Ok(Schedule::new(&units, refractory, stages)?.0)
    }

    /// The steps at which a run of flat losses takes its expansions. `look` sees all of it.
    pub(crate) fn simulated(schedule: &Schedule, look: impl Fn(Position, &[usize])) -> Vec<usize> {
        let flat = records(&[&[1.0; 10]]);
        let (mut position, mut taken) = (Position::default(), Vec::new());
        for step in 1..=100 {
            position.step = step;
            let ended = flat.iter().filter(|record| record.step < step);
            let epochs: Vec<_> = ended.cloned().collect();
            while schedule.is_due(position, &taken, &epochs) {
                taken.push(step);
                position.stage += 1;
            }
            look(position, &taken);
        }
        taken
    }

    #[test]
    fn stages_are_taken_in_order_with_the_refractory_time_between_them() {
        use Refractory::{Epochs, None, Steps};
        let flat = || At::plateau("Loss", 1);
        let table = [
            // Known steps are sorted.
            (vec![At::step(40), At::step(20)], None, vec![20, 40]),
            (vec![At::step(20), At::step(20)], None, vec![20, 20]),
            // Two flat epochs make a plateau of patience one; the next step expands.
            (vec![flat()], None, vec![21]),
            (vec![flat(), flat()], None, vec![21, 41]),
            (vec![flat(), flat()], Steps(20), vec![21, 41]),
            (vec![flat(), flat()], Steps(21), vec![21, 51]),
            (vec![flat(), flat()], Epochs(4), vec![21, 61]),
            // A known step waits for the stage before it, and for the refractory time.
            (vec![flat(), At::step(5)], None, vec![21, 21]),
            (vec![flat(), At::step(25)], Steps(7), vec![21, 28]),
            (vec![At::step(33), flat()], None, vec![33, 51]),
            (vec![At::epoch(3), flat()], None, vec![30, 51]),
            // What would come in the last step does not come.
            (vec![At::step(80), flat()], Steps(30), vec![80]),
        ];
        for (stages, refractory, expected) in table {
            let schedule = schedule(stages, refractory).expect("a schedule");
            let taken = simulated(&schedule, |_, _| ());
            assert_eq!(taken, expected, "{schedule:?}");
        }
    }

    #[test]
    fn known_steps_out_of_order_or_too_close_are_rejected() {
        let flat = || At::plateau("Loss", 1);
        let table = [
            (vec![At::step(20), flat(), At::step(10)], Refractory::None),
            (vec![At::step(20), At::step(25)], Refractory::Steps(6)),
            (vec![At::step(20), At::step(25)], Refractory::Epochs(1)),
        ];
        for (stages, refractory) in table {
            let error = schedule(stages, refractory).expect_err("rejected");
            assert!(matches!(error, TrainError::Order { .. }), "{error}");
        }
        assert!(schedule(vec![At::step(20), At::step(25)], Refractory::Steps(5)).is_ok());
    }

    #[test]
    fn what_did_not_come_as_planned_is_said_at_the_end() {
        let schedule = schedule(vec![At::fraction(0.5)], Refractory::None).expect("a schedule");
        let at = |step, stage| {
            let shortfall = schedule.shortfall(Position { step, stage }, None);
            shortfall.map(|shortfall| shortfall.to_string())
        };
        assert_eq!(at(100, 1), None);
        let narrow = at(25, 0).expect("never grew");
        assert!(narrow.contains("25 of 100 optimizer steps") && narrow.contains("fraction 0.5"));
        assert!(at(400, 1).is_some_and(|it| it.contains("400 optimizer steps where 100")));
    }

    #[test]
    fn an_early_stopping_is_named() {
        let schedule = schedule(vec![At::fraction(0.5)], Refractory::None).expect("a schedule");
        let shortfall = schedule.shortfall(Position { step: 25, stage: 0 }, Some(3));
        let message = shortfall.map(|it| it.to_string());
        assert!(message.is_some_and(|it| it.contains("stopped early after epoch 3")));
    }

    #[test]
    fn an_extended_run_keeps_what_was_placed_in_it_before() {
        let units = Units {
            total_steps: 100,
            before: vec![20, 40],
            ..Units::default()
        };
        let stages = [At::fraction(0.5), At::step(30), At::step(60)].map(|at| (at, ()));
        let (schedule, _) =
            Schedule::new(&units, Refractory::None, stages.into()).expect("a schedule");
        let steps: Vec<_> = (0..3).map(|stage| schedule.known_step(stage)).collect();
        assert_eq!(steps, [Some(10), Some(30), Some(60)]);
        assert_eq!(
            [10, 20, 30, 60].map(|step| schedule.lengths.of(step)),
            [20, 40, 40, 100]
        );
        assert_eq!(schedule.beyond(0, 30), Some((2, 60)));
        assert_eq!(schedule.beyond(0, 60), None);
    }

    #[test]
    fn a_closure_sees_every_metric_it_watches() {
        let [loss, accuracy] = [
            WatchedMetric::train("Loss"),
            WatchedMetric::valid("Accuracy"),
        ];
        let (first, second) = (loss.clone(), accuracy.clone());
        let at = At::custom("both", [loss.clone(), accuracy.clone()], move |history| {
            history.values(&first) == [2.0] && history.values(&second) == [0.5]
        });
        let values: [(&WatchedMetric, &[f64]); 2] =
            [(&accuracy, &[0.1, 0.5]), (&loss, &[3.0, 2.0])];
        history(&values, Some(10), |history| {
            assert!(at.fires(history));
            assert_eq!(history.epochs(), [2]);
            assert_eq!((history.step(), history.last_expansion()), (20, Some(10)));
            assert!(history.values(&WatchedMetric::valid("Other")).is_empty());
        });
    }
}
