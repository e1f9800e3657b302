//! What became of the coordinates that the last expansion added.

use burn_core::module::Module;
use burn_grow_core::verify::{grown_rms, symmetry};
use burn_grow_core::{GrowError, Plan};

/// Measures of the coordinates of the last expansion; NaN before there are any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Copies {
    /// The mean cosine between units and their copies.
    pub(crate) symmetry: f64,
    /// The RMS of the parameters that grew, as a multiple of what it was right after the expansion.
    pub(crate) drift: f64,
    /// The RMS of their new coordinates, as a multiple of the RMS of the old ones.
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

impl Copies {
    /// Measures what `plan` added to `model`, in a few passes over the parameters that grew. `rms`
    /// is their RMS right after the expansion, if a step has been taken since.
    pub(crate) fn of<M: Module>(
        model: &M,
        plan: &Plan,
        rms: Option<f64>,
    ) -> Result<Self, GrowError> {
        let symmetry = symmetry(model, plan)?.mean().unwrap_or(f64::NAN);
        let Some(now) = grown_rms(model, plan)? else {
            return Ok(Self {
                symmetry,
                ..Self::default()
            });
        };
        Ok(Self {
            symmetry,
            // Without a step since, nothing has drifted.
            drift: now.all / rms.unwrap_or(now.all),
            ratio: now.new / now.old,
        })
    }
}
