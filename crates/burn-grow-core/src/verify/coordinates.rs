//! The check of a parametrization: the size of every activation against the width, over a few steps.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::probe::{Activations, Probe};
use crate::error::GrowError;
use crate::table::table;

/// What stands for the output among the activations.
const OUTPUT: &str = "output";

/// The sizes of the activations of one model at several widths, while it trains. Prints as a table of
/// the largest ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoordinateCheck {
    /// The widths, as they were asked for.
    pub widths: Vec<usize>,
    /// The activations, in the order of the forward pass, and the output.
    pub sites: Vec<SiteSizes>,
}

/// The sizes of one activation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteSizes {
    /// Name of the place in the model.
    pub name: String,
    /// The widths, as in [`CoordinateCheck::widths`].
    widths: Vec<usize>,
    /// The RMS after so many steps, from none on, at every width.
    pub rms: Vec<Vec<f64>>,
}

impl SiteSizes {
    /// Fits the slope of the logarithm of the RMS after `step` steps against the logarithm of the
    /// width: 0 if the size is the same at all widths, 0.5 if it follows their square root. `None` if
    /// there is nothing to fit: fewer than two widths, or a size that is zero or not finite.
    pub fn slope(&self, step: usize) -> Option<f64> {
        fitted(&self.widths, self.rms.get(step)?)
    }

    /// Finds the largest RMS after a step, at every width. Training brings back what a step has made
    /// too large, so the last one may hide it.
    pub fn largest(&self) -> Vec<f64> {
        let at = |width: usize| {
            let steps = self.rms.iter().skip(1);
            let sizes = steps.filter_map(|sizes| sizes.get(width).copied());
            sizes.fold(0.0, |largest, size| match size.is_nan() {
                true => f64::INFINITY,
                false => f64::max(largest, size),
            })
        };
        (0..self.widths.len()).map(at).collect()
    }

    /// Fits the slope of the largest RMS after a step, as [`slope`](Self::slope) does. Infinite if a
    /// wider model diverged.
    pub fn largest_slope(&self) -> Option<f64> {
        let largest = self.largest();
        if largest.contains(&f64::INFINITY) {
            return Some(f64::INFINITY);
        }
        fitted(&self.widths, &largest)
    }
}

/// Fits the exponent of the power law of sizes against widths.
fn fitted(widths: &[usize], sizes: &[f64]) -> Option<f64> {
    let points = widths.iter().zip(sizes);
    let points: Vec<_> = points
        .map(|(width, rms)| ((*width as f64).ln(), rms.ln()))
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let both: f64 = points.iter().map(|at| (at.0 - x) * (at.1 - y)).sum();
    let slope = both / spread;
    slope.is_finite().then_some(slope)
}

impl CoordinateCheck {
    /// Finds the activation that grows fastest with the width: its name, and the slope of its largest
    /// RMS.
    pub fn steepest(&self) -> Option<(&str, f64)> {
        let slopes = self.sites.iter();
        let slopes = slopes.filter_map(|site| Some((site.name.as_str(), site.largest_slope()?)));
        slopes.max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

/// Trains a model at several widths for a few steps, and measures its activations on `input` before
/// the first step and after each one.
///
/// `build` makes the model at a width and what takes one step of its training, on data and with a
/// base rate that are the same at every width. Under a right muP no size grows with the width: every
/// slope stays near 0, and a readout may begin smaller in wider models. Under the standard
/// parametrization some slope climbs within a few steps, and is the reason why wide models want
/// lower rates. The check is that of [`mup`](https://github.com/microsoft/mup), with RMS in place of
/// mean absolute values.
///
/// ```
/// # use burn_core::tensor::{Device, Tensor};
/// use burn_grow_core::verify::{Activations, Probe, coordinate_check};
/// # use burn_grow_core::GrowError;
/// # use burn_nn::{Linear, LinearConfig};
/// # struct Sum(Linear);
/// # impl Probe<Tensor<2>> for Sum {
/// #     fn probe(&self, x: Tensor<2>) -> Activations {
/// #         Activations::new(self.0.forward(x))
/// #     }
/// # }
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// # let input = Tensor::<2>::ones([4, 1], &device);
/// let check = coordinate_check(&[16, 64, 256], 10, &input, |width| {
///     let model = Sum(LinearConfig::new(1, width).init(&device));
///     // A program takes a step of its optimizer here.
///     let step = |model: Sum| model;
///     Ok::<_, GrowError>((model, step))
/// })?;
/// println!("{check}");
/// # assert_eq!(check.sites[0].rms.len(), 11);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails when `build` does, and when the models have different activations.
pub fn coordinate_check<M: Probe<I>, I: Clone, S: FnMut(M) -> M, E: From<GrowError>>(
    widths: &[usize],
    steps: usize,
    input: &I,
    mut build: impl FnMut(usize) -> Result<(M, S), E>,
) -> Result<CoordinateCheck, E> {
    let mut sites: Vec<SiteSizes> = Vec::new();
    for (index, width) in widths.iter().enumerate() {
        let (mut model, mut train) = build(*width)?;
        for step in 0..=steps {
            if step > 0 {
                model = train(model);
            }
            let found = sizes(&model.probe(input.clone()));
            if index == 0 && step == 0 {
                sites.extend(found.iter().map(|(name, _)| SiteSizes {
                    name: name.clone(),
                    widths: widths.to_vec(),
                    rms: vec![Vec::new(); steps + 1],
                }));
            }
            let names = |names: Vec<&str>| names.join(", ");
            let known = names(sites.iter().map(|site| site.name.as_str()).collect());
            let these = names(found.iter().map(|(name, _)| name.as_str()).collect());
            if known != these {
                return Err(E::from(GrowError::Incomparable {
                    before: known,
                    after: these,
                }));
            }
            for (site, (_, rms)) in sites.iter_mut().zip(found) {
                site.rms[step].push(rms);
            }
        }
    }
    Ok(CoordinateCheck {
        widths: widths.to_vec(),
        sites,
    })
}

/// The RMS of every activation, and of the output.
fn sizes(found: &Activations) -> Vec<(String, f64)> {
    let (count, squares) = found.output().fold((0.0, 0.0), |(count, sum), value| {
        (count + 1.0, sum + value * value)
    });
    let output = (OUTPUT.to_owned(), f64::sqrt(squares / count));
    found.sites().iter().cloned().chain([output]).collect()
}

impl fmt::Display for CoordinateCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.sites.first().map_or(0, |site| site.rms.len() - 1);
        let mut header = vec!["activation".to_owned()];
        header.extend(self.widths.iter().map(|width| format!("RMS at {width}")));
        header.extend(["slope at first".into(), format!("largest of {steps} steps")]);
        let slope = |slope: Option<f64>| slope.map_or("-".into(), |it| format!("{it:+.2}"));
        let rows = self.sites.iter().map(|site| {
            let mut row = vec![site.name.clone()];
            row.extend(site.largest().into_iter().map(|rms| format!("{rms:.4}")));
            row.extend([slope(site.slope(0)), slope(site.largest_slope())]);
            row
        });
        let rows: Vec<_> = core::iter::once(header).chain(rows).collect();
        f.write_str(&table(&rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_power_laws() {
        let widths = vec![16, 64, 256];
        let power = |power: f64| {
            let sizes = widths.iter().map(|width| 3.0 * (*width as f64).powf(power));
            sizes.collect::<Vec<_>>()
        };
        let mut site = SiteSizes {
            name: "hidden".into(),
            widths: widths.clone(),
            rms: vec![power(0.0), power(-0.5), power(1.0), vec![0.0; 3]],
        };
        for (step, expected) in [(0, 0.0), (1, -0.5), (2, 1.0)] {
            let slope = site.slope(step).expect("a slope");
            assert!((slope - expected).abs() < 1e-12, "{slope} for {expected}");
        }
        assert_eq!(site.slope(3), None);
        assert_eq!(site.slope(4), None);
        assert_eq!(site.largest(), power(1.0));
        let check = CoordinateCheck {
            widths,
            sites: vec![site.clone()],
        };
        let (name, slope) = check.steepest().expect("a slope");
        assert!(name == "hidden" && (slope - 1.0).abs() < 1e-12);
        prints_its_largest(&check);
        site.rms[3] = vec![1.0, 1.0, f64::NAN];
        assert_eq!(site.largest_slope(), Some(f64::INFINITY));
    }

    fn prints_its_largest(check: &CoordinateCheck) {
        let printed = check.to_string();
        let lines: Vec<Vec<&str>> = printed
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let row = [
            "hidden", "48.0000", "192.0000", "768.0000", "+0.00", "+1.00",
        ];
        assert_eq!(lines[1], row);
        assert_eq!(lines.len(), 2);
    }
}
