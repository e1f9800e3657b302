use burn_core::module::Module;
use burn_grow_core::{Plan, grown_rms, symmetry};

use crate::TrainError;
use crate::run::{Run, lock};
use crate::state::State;

/// What became of the coordinates of the last expansion, when last looked at; NaN before there are any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Copies {
    /// The mean cosine between units and their copies.
    pub(crate) symmetry: f64,
    /// The RMS of the parameters that grew, as a multiple of what it was right after the expansion.
    pub(crate) drift: f64,
    /// The RMS of their new coordinates, as a multiple of that of the old ones.
    pub(crate) ratio: f64,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            symmetry: f64::NAN,
            drift: f64::NAN,
            ratio: f64::NAN,
        }
    }
}

impl Run {
    /// What the metrics of copies show.
    pub(crate) fn copies(&self) -> Copies {
        let copies = self.copies.as_ref();
        copies.map_or_else(Copies::default, |copies| *lock(copies))
    }

    /// Looks at the copies in `model` if there is a metric for them: a few passes over what grew, once an
    /// epoch.
    pub(crate) fn look_at_copies<M: Module>(
        &self,
        model: &M,
        state: &State,
    ) -> Result<(), TrainError> {
        let Some(copies) = &self.copies else {
            return Ok(());
        };
        let found = match self.last_grown(state) {
            Some(plan) => found(model, plan, state)?,
            None => Copies::default(),
        };
        *lock(copies) = found;
        Ok(())
    }

    /// Remembers, before the first step after an expansion, the RMS of what grew.
    pub(crate) fn remember_rms<M: Module>(
        &self,
        model: &M,
        state: &mut State,
    ) -> Result<(), TrainError> {
        if self.copies.is_some()
            && state.rms.is_none()
            && let Some(plan) = self.last_grown(state)
        {
            state.rms = grown_rms(model, plan)?.map(|rms| rms.all);
        }
        Ok(())
    }

    /// The last plan taken that grew anything.
    fn last_grown(&self, state: &State) -> Option<&Plan> {
        let taken = self.plans[..state.clock.stage].iter();
        taken.rev().find(|plan| !plan.is_identity())
    }
}

fn found<M: Module>(model: &M, plan: &Plan, state: &State) -> Result<Copies, TrainError> {
    let symmetry = symmetry(model, plan)?.mean().unwrap_or(f64::NAN);
    let Some(rms) = grown_rms(model, plan)? else {
        return Ok(Copies {
            symmetry,
            ..Copies::default()
        });
    };
    Ok(Copies {
        symmetry,
        // Without a step since, nothing has drifted.
        drift: rms.all / state.rms.unwrap_or(rms.all),
        ratio: rms.new / rms.old,
    })
}
