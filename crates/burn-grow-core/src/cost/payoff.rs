//! Whether growing pays, and when: predicted from learning curves.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::learning_curve::LearningCurve;
use crate::table::table;

/// What growing ends with on so many FLOPs, for expansion points from early to late, predicted from
/// the learning curves of the narrow and the wide model.
///
/// By the expansion the narrow model has spent `f` FLOPs on a loss that takes the wide one `g(f)`
/// from scratch. The difference is the *head start*. The grown model keeps the part `kept` of those
/// `g(f)`: less than 1 where new units are copies, which have to become different from what they were
/// made of; about 1, or more, where layers are copied. From there on it has a wide one's progress. So
/// of `F` FLOPs it ends where the wide model from scratch ends on `F - f + kept g(f)`, and growing
/// pays if that is more than `F`.
///
/// The best expansion point is where the narrow model's progress for a FLOP, times `kept`, falls to
/// the wide one's at the same loss. Prints as a table.
///
/// ```
/// use burn_grow_core::cost::{LearningCurve, Payoff};
///
/// # fn main() -> Result<(), burn_grow_core::cost::CurveError> {
/// // The wide model learns a third as fast for a FLOP, and further.
/// let curve = |floor: f64, scale: f64| {
///     LearningCurve::new((1..=50).map(|n| (f64::from(n), floor + scale / f64::from(n))))
/// };
/// let (narrow, wide) = (curve(1.0, 10.0)?, curve(0.5, 30.0)?);
/// let payoff = Payoff::new(&narrow, &wide, 100.0, 0.6);
/// let best = payoff.best().copied();
/// assert!(best.is_some_and(|best| best.grown < best.scratch && best.grown < best.narrow));
/// // Ten times the budget is too much for a head start that is used up.
/// assert_eq!(Payoff::new(&narrow, &wide, 1000.0, 0.6).best(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payoff {
    /// FLOPs of the whole run.
    pub budget: f64,
    /// Part of the narrow model's progress that an expansion keeps.
    pub kept: f64,
    /// Expansion points, earliest first.
    pub points: Vec<PayoffPoint>,
}

/// One row of a [`Payoff`]: an expansion point and what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PayoffPoint {
    /// Fraction of the FLOPs before the expansion.
    pub at: f64,
    /// Fraction of the FLOPs that the narrow model is ahead by then: `(g(f) - f) / F`. Infinite
    /// where the wide model never reaches its loss.
    pub head_start: f64,
    /// Last loss of the grown run.
    pub grown: f64,
    /// Last loss of the wide model from scratch on as many FLOPs.
    pub scratch: f64,
    /// Last loss of the narrow model on as many FLOPs.
    pub narrow: f64,
}

impl Payoff {
    /// Predicts expansions after 2 % to 98 % of the FLOPs, in steps of two.
    pub fn new(narrow: &LearningCurve, wide: &LearningCurve, budget: f64, kept: f64) -> Self {
        let points = (1..50).map(|step| 0.02 * f64::from(step));
        Self::at(narrow, wide, budget, kept, points)
    }

    /// Predicts expansions after the fractions `points` of the FLOPs.
    pub fn at(
        narrow: &LearningCurve,
        wide: &LearningCurve,
        budget: f64,
        kept: f64,
        points: impl IntoIterator<Item = f64>,
    ) -> Self {
        let point = |at: f64| {
            let spent = at * budget;
            let worth = wide.flops(narrow.loss(spent)).unwrap_or(f64::INFINITY);
            let head_start = (worth - spent) / budget;
            let reached = budget - spent + kept * worth;
            PayoffPoint {
                at,
                head_start,
                grown: wide.loss(reached),
                scratch: wide.loss(budget),
                narrow: narrow.loss(budget),
            }
        };
        Self {
            budget,
            kept,
            points: points.into_iter().map(point).collect(),
        }
    }

    /// Gives the expansion point of the lowest loss, if growing pays: if it ends below the wide
    /// model from scratch and below the narrow one, each on as many FLOPs.
    pub fn best(&self) -> Option<&PayoffPoint> {
        let lowest = self
            .points
            .iter()
            .min_by(|ours, theirs| ours.grown.total_cmp(&theirs.grown))?;
        (lowest.grown < lowest.scratch && lowest.grown < lowest.narrow).then_some(lowest)
    }
}

impl fmt::Display for Payoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["expand after", "head start", "grown"].map(String::from);
        let row = |point: &PayoffPoint| {
            vec![
                format!("{:.0} %", 100.0 * point.at),
                format!("{:.0} %", 100.0 * point.head_start),
                format!("{:.4}", point.grown),
            ]
        };
        let rows = [header.to_vec()]
            .into_iter()
            .chain(self.points.iter().map(row));
        f.write_str(&table(&rows.collect::<Vec<_>>()))?;
        let Some(first) = self.points.first() else {
            return Ok(());
        };
        let (scratch, narrow) = (first.scratch, first.narrow);
        write!(
            f,
            "on {:.3e} FLOPs, wide from scratch {scratch:.4}, narrow {narrow:.4}: ",
            self.budget
        )?;
        match self.best() {
            Some(best) => {
                let (at, grown) = (100.0 * best.at, best.grown);
                write!(f, "grow after {at:.0} % of them, to {grown:.4}")
            }
            None => f.write_str("do not grow"),
        }
    }
}
