//! What a loss costs: the course of a training by its FLOPs.

use serde::{Deserialize, Serialize};

/// Points after the start that a law is fitted to: later than this fraction of the FLOPs, when the
/// warmup of the rate and the first plateau are over.
const BEGIN: f64 = 0.1;

/// Loss of a model against the FLOPs of its training, and the law `L(F) = E + A F^-a` through it
/// (arXiv 2203.15556 uses it for finished runs), which goes on where the points end.
///
/// Use losses that are comparable along the curve: of one run whose learning rate stays at its peak,
/// or the last losses of finished runs, one for each length. In between, the loss of a run whose
/// rate decays is that of neither.
///
/// ```
/// use burn_grow_core::cost::LearningCurve;
///
/// # fn main() -> Result<(), burn_grow_core::cost::CurveError> {
/// let points = (1..=50).map(|n| (1e9 * f64::from(n), 1.0 + 5.0 / f64::from(n).sqrt()));
/// let curve = LearningCurve::new(points)?;
/// assert!((curve.loss(25e9) - 2.0).abs() < 1e-6);
/// // Beyond the last point.
/// assert!((curve.loss(100e9) - 1.5).abs() < 1e-3);
/// assert!((curve.flops(1.5).unwrap_or(0.0) / 100e9 - 1.0).abs() < 1e-2);
/// assert_eq!(curve.flops(0.9), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct LearningCurve {
    points: Vec<(f64, f64)>,
    law: PowerLaw,
}

/// Reason why points are no learning curve.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError {
    /// A law of three numbers needs more points.
    #[error(
        "{found} points lie after the first tenth of the FLOPs: a learning curve needs 4 or more"
    )]
    Few {
        /// The points there.
        found: usize,
    },
    /// A number that no training has.
    #[error("point {index} is ({flops}, {loss}): expected a positive number of FLOPs and a loss")]
    Number {
        /// Place of the point, from 0.
        index: usize,
        /// Its FLOPs.
        flops: f64,
        /// Its loss.
        loss: f64,
    },
    /// FLOPs that do not grow.
    #[error("point {index} comes after {flops} FLOPs, no more than the point before it")]
    Order {
        /// Place of the point, from 0.
        index: usize,
        /// Its FLOPs.
        flops: f64,
    },
    /// A loss that does not go down.
    #[error("the loss does not go down along the curve")]
    Flat,
}

/// `L(F) = floor + scale F^-exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PowerLaw {
    floor: f64,
    scale: f64,
    exponent: f64,
}

impl LearningCurve {
    /// Fits the law to points of FLOPs and loss.
    ///
    /// # Errors
    ///
    /// When the points are too few, out of order or not numbers of a training, and when the loss
    /// does not go down.
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, CurveError> {
        let points: Vec<(f64, f64)> = points.into_iter().collect();
        let mut before = 0.0;
        for (index, &(flops, loss)) in points.iter().enumerate() {
            if !(flops.is_finite() && flops > 0.0 && loss.is_finite()) {
                return Err(CurveError::Number { index, flops, loss });
            }
            if flops <= before {
                return Err(CurveError::Order { index, flops });
            }
            before = flops;
        }
        let late: Vec<_> = points
            .iter()
            .copied()
            .filter(|(flops, _)| *flops >= BEGIN * before)
            .collect();
        if late.len() < 4 {
            return Err(CurveError::Few { found: late.len() });
        }
        let law = PowerLaw::through(&late).ok_or(CurveError::Flat)?;
        Ok(Self { points, law })
    }

    /// Gives the points.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// Gives the loss after so many FLOPs, by the law.
    pub fn loss(&self, flops: f64) -> f64 {
        let PowerLaw {
            floor,
            scale,
            exponent,
        } = self.law;
        floor + scale * flops.powf(-exponent)
    }

    /// Gives the FLOPs to a loss, by the law; `None` if it is never reached.
    pub fn flops(&self, loss: f64) -> Option<f64> {
        let PowerLaw {
            floor,
            scale,
            exponent,
        } = self.law;
        (loss > floor).then(|| ((loss - floor) / scale).powf(-exponent.recip()))
    }

    /// Gives how much the loss goes down per FLOP after so many of them, by the law.
    pub fn progress(&self, flops: f64) -> f64 {
        let PowerLaw {
            scale, exponent, ..
        } = self.law;
        scale * exponent * flops.powf(-exponent - 1.0)
    }
}

impl PowerLaw {
    /// Fits the law by least squares: a search over the exponent, and for each of them a line
    /// through `(F^-a, L)`. `None` if no line goes down.
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        // From 0.02 to 3, then closer around the best.
        let coarse = Self::best(points, (0..=500).map(|step| 0.02 * 1.01_f64.powi(step)))?;
        let around = (-100..=100).map(|step| coarse.exponent * 1.0001_f64.powi(step));
        Self::best(points, around)
    }

    fn best(points: &[(f64, f64)], exponents: impl Iterator<Item = f64>) -> Option<Self> {
        let fits = exponents.filter_map(|exponent| {
            let x = |flops: f64| flops.powf(-exponent);
            let n = points.len() as f64;
            let mean_x = points.iter().map(|(flops, _)| x(*flops)).sum::<f64>() / n;
            let mean_loss = points.iter().map(|(_, loss)| loss).sum::<f64>() / n;
            let (mut xx, mut xy) = (0.0, 0.0);
            for (flops, loss) in points {
                let apart = x(*flops) - mean_x;
                xx += apart * apart;
                xy += apart * (loss - mean_loss);
            }
            let scale = xy / xx;
            let law = Self {
                floor: mean_loss - scale * mean_x,
                scale,
                exponent,
            };
            let miss = |(flops, loss): &(f64, f64)| law.floor + scale * x(*flops) - loss;
            let error: f64 = points.iter().map(|point| miss(point).powi(2)).sum();
            // No model predicts everything.
            (scale > 0.0 && law.floor >= 0.0 && error.is_finite()).then_some((error, law))
        });
        let best = fits.min_by(|(ours, _), (theirs, _)| ours.total_cmp(theirs));
        best.map(|(_, law)| law)
    }
}

impl TryFrom<Vec<(f64, f64)>> for LearningCurve {
    type Error = CurveError;

    fn try_from(points: Vec<(f64, f64)>) -> Result<Self, CurveError> {
        Self::new(points)
    }
}

impl From<LearningCurve> for Vec<(f64, f64)> {
    fn from(curve: LearningCurve) -> Self {
        curve.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Points = Vec<(f64, f64)>;
    type Change = fn(&mut Points);

    fn points(law: impl Fn(f64) -> f64) -> Points {
        (1..=40)
            .map(|n| (1e8 * f64::from(n), law(1e8 * f64::from(n))))
            .collect()
    }

    #[test]
    fn a_law_is_found_again() {
        for (floor, scale, exponent) in [(1.0, 30.0, 0.15), (0.2, 1e4, 0.45), (0.0, 1e3, 0.3)] {
            let law = |flops: f64| floor + scale * flops.powf(-exponent);
            let curve = LearningCurve::new(points(law)).expect("a curve");
            for flops in [1e9, 4e9, 4e10] {
                let (found, expected) = (curve.loss(flops), law(flops));
                assert!((found / expected - 1.0).abs() < 5e-3, "{found} {expected}");
                let back = curve.flops(curve.loss(flops)).expect("reached");
                assert!((back / flops - 1.0).abs() < 1e-9);
                let step = flops * 1e-5;
                let slope = (curve.loss(flops - step) - curve.loss(flops + step)) / (2.0 * step);
                assert!((curve.progress(flops) / slope - 1.0).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn what_is_no_curve_is_rejected() {
        let down = points(|flops| 1e3 * flops.powf(-0.3));
        let changed = |change: Change| {
            let mut points = down.clone();
            change(&mut points);
            LearningCurve::new(points).map_err(|error| error.to_string())
        };
        let cases: [(Change, &str); 6] = [
            (|points| points.truncate(3), "needs 4 or more"),
            (|points| points[0].0 = 0.0, "point 0"),
            (|points| points[5].1 = f64::NAN, "point 5"),
            (|points| points[5].0 = f64::INFINITY, "point 5"),
            (|points| points.swap(7, 8), "point 8"),
            (
                |points| points.iter_mut().for_each(|point| point.1 = point.0),
                "does not go down",
            ),
        ];
        for (change, expected) in cases {
            let error = changed(change).expect_err("no curve");
            assert!(error.contains(expected), "{error}");
        }
    }
}
