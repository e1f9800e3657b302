//! Comparison of the steps at which a run took its expansions with a schedule.

use super::error::CheckpointError;
use crate::Position;
use crate::trigger::{Due, Schedule};

/// Checks that a run which took its expansions after the steps `taken` follows `schedule`.
///
/// # Errors
///
/// Names the first expansion at another step, or the number of expansions that should be taken.
pub(crate) fn check_steps(
    schedule: &Schedule,
    position: Position,
    taken: &[usize],
) -> Result<(), CheckpointError> {
    let mut last = None;
    let mut planned = 0;
    while let Some((at, due)) = schedule.stages.get(planned) {
        let found = taken.get(planned).copied();
        let step = match due {
            Due::Step(_) => schedule.earliest(planned, last),
            // A metric may decide it at any step.
            Due::EpochEnd => found.filter(|found| last.is_none_or(|last| *found >= last)),
        };
        let within = |step: &usize| *step <= position.step && *step < schedule.total_steps;
        let Some(step) = step.filter(within) else {
            break;
        };
        if let Some(found) = found.filter(|found| *found != step) {
            return Err(CheckpointError::Step {
                stage: planned,
                found,
                planned: step,
                at: at.to_string(),
            });
        }
        last = Some(step);
        planned += 1;
    }
    if planned == taken.len() {
        Ok(())
    } else {
        Err(CheckpointError::Count { position, planned })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::tests::{schedule, simulated};
    use crate::{At, Refractory};

    #[test]
    fn every_run_follows_its_own_schedule() {
        let flat = || At::plateau("Loss", 1);
        for stages in [
            vec![At::step(40), At::step(20)],
            vec![flat(), flat()],
            vec![flat(), At::step(5)],
            vec![At::step(33), flat()],
        ] {
            let schedule = schedule(stages, Refractory::Steps(7)).expect("a schedule");
            simulated(&schedule, |position, taken| {
                check_steps(&schedule, position, taken).expect("its own");
            });
        }
    }

    #[test]
    fn a_record_is_of_the_schedule_or_says_what_differs() {
        let of = |stages| schedule(stages, Refractory::None).expect("a schedule");
        let flat = || At::plateau("Loss", 1);
        let table: [(Schedule, usize, &[usize], Option<&str>); 9] = [
            (of(vec![At::step(20)]), 19, &[], None),
            (of(vec![At::step(20)]), 20, &[20], None),
            (of(vec![At::step(20)]), 20, &[], Some("step 21 or later")),
            (of(vec![At::step(20)]), 30, &[25], Some("after step 25")),
            (of(vec![]), 30, &[25], Some("plans 0")),
            (of(vec![flat()]), 30, &[21], None),
            (of(vec![flat()]), 30, &[], None),
            (of(vec![flat(), At::step(25)]), 30, &[21], Some("plans 2")),
            (of(vec![flat(), At::step(25)]), 30, &[], None),
        ];
        for (schedule, step, taken, message) in table {
            let position = Position {
                step,
                stage: taken.len(),
            };
            let found = check_steps(&schedule, position, taken);
            match message {
                None => assert!(found.is_ok(), "{schedule:?}"),
                Some(message) => {
                    let error = found.expect_err("rejected").to_string();
                    assert!(error.contains(message), "{error}");
                }
            }
        }
    }
}
