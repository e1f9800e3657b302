//! The rehearsal of a run: every planned expansion, tried on copies before anything is trained.

mod act;
mod fault;

use core::fmt;
use std::collections::BTreeSet;
use std::time::Duration;

use burn_grow_core::describe::Axis;

pub(crate) use self::act::rehearse;
pub use self::fault::RehearsalFault;

/// What a rehearsal found of a run whose expansions all passed it.
///
/// A copy of the model takes every planned expansion and a step on the first batch. Beside it, the
/// axes of the expansion are doubled, which keeps the function of a rightly described model exactly:
/// the gradients of the wide copy, carried back along the expansion
/// ([`pullback`](burn_grow_core::verify::pullback)), have to be those of the narrow one.
///
/// The copies have their training flags off: dropout, noise and batch norm behave as in validation,
/// so nothing random is drawn and no running statistic moves. Where two steps of the narrow copy
/// differ all the same, as in a model that draws its own noise, only shapes and descriptions are
/// checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rehearsal {
    /// The expansions that were rehearsed. One to the present width needs no rehearsal.
    pub stages: Vec<RehearsedStage>,
    /// The time it took.
    pub elapsed: Duration,
    /// The time of one step of the narrow copy.
    pub step: Duration,
    /// False if two steps on one batch had different gradients, so that the function could not be
    /// compared.
    pub compared: bool,
}

/// What a rehearsal found of one expansion.
#[derive(Clone, Debug, PartialEq)]
pub struct RehearsedStage {
    /// The expansion, counted from 0.
    pub stage: usize,
    /// The axes that were doubled to compare the function.
    pub doubled: BTreeSet<Axis>,
    /// Axes of the expansion that were not: those of symbols, whose new units are random, and those
    /// of a ratio of which one part cannot grow.
    pub left_out: BTreeSet<Axis>,
    /// The largest difference of a gradient, as a fraction of its norm: rounding. `None` if nothing
    /// could be compared.
    pub difference: Option<f64>,
    /// Parameters whose gradients differ by more, where that may be: a loss that counts experts, as
    /// load balancing does, changes with their number.
    pub changed: Vec<String>,
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stages.is_empty() {
            return f.write_str("nothing to rehearse");
        }
        let steps = self.elapsed.as_secs_f64() / self.step.as_secs_f64().max(1e-9);
        write!(
            f,
            "rehearsed in {:.2} s, {steps:.1} steps of the narrow model",
            self.elapsed.as_secs_f64()
        )?;
        if !self.compared {
            f.write_str(
                "; shapes only, as two steps on one batch have different gradients: \
                 `WidthExpansionBuilder::random_seed` repeats the random numbers of a step",
            )?;
        }
        for row in &self.stages {
            write!(f, "; expansion {}", row.stage)?;
            match row.difference {
                Some(difference) => write!(
                    f,
                    " keeps the function with {} doubled (gradients within {difference:.1e})",
                    names(&row.doubled)
                )?,
                None => f.write_str(" fits")?,
            }
            if !row.left_out.is_empty() {
                write!(f, ", {} not compared", names(&row.left_out))?;
            }
            if let Some(first) = row.changed.first() {
                write!(
                    f,
                    ", but for a part of the loss that depends on the number of units ({} gradients, \
                     the first of `{first}`)",
                    row.changed.len()
                )?;
            }
        }
        Ok(())
    }
}

/// The axes, quoted.
pub(crate) fn names<'a>(axes: impl IntoIterator<Item = &'a Axis>) -> String {
    let names: Vec<_> = axes.into_iter().map(|axis| format!("`{axis}`")).collect();
    names.join(", ")
}
