//! The comparison of two models on one input.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::probe::{Activations, Probe};
use crate::error::GrowError;
use crate::table::table;

/// The change between two passes of one model that a device may make by rounding sums in another
/// order.
const ROUNDING: f64 = 1e-4;

/// The difference of two models on one input: of the function, and of the activations. Prints as a
/// table of the activations and a line about the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Largest change of an output.
    pub max_abs: f64,
    /// Largest change of an output, as a fraction of the largest output before.
    pub max_rel: f64,
    /// Largest output before, by magnitude.
    pub largest: f64,
    /// Activations, in the order of the forward pass.
    pub sites: Vec<SiteRms>,
    /// False if two passes of the model before differ, as under dropout: the changes are then partly
    /// those of its random numbers, and `valid()` has to come first.
    #[serde(default = "repeats")]
    pub repeats: bool,
}

fn repeats() -> bool {
    true
}

/// The root mean square of one activation before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteRms {
    /// Name of the place in the model.
    pub name: String,
    /// RMS before the expansion.
    pub before: f64,
    /// RMS after the expansion.
    pub after: f64,
}

impl SiteRms {
    /// Divides the RMS after by the RMS before. RMS-preserving growth aims at 1 (Eq. 3).
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// Compares two models on one input.
///
/// A whole multiple of a width preserves the function up to rounding. Any other growth preserves
/// the RMS of the activations, in expectation over the weights. The model before runs twice, so that
/// one that draws random numbers is told by [`Verification::repeats`].
///
/// ```
/// # use burn_core as burn;
/// # use burn::module::Module;
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use burn_grow_core::verify::{Activations, Probe, verify};
/// # use burn_grow_core::{Expansion, GrowError};
/// # use burn_grow_derive::Growable;
/// # use burn_nn::{Linear, LinearConfig};
/// # #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// # struct Mlp {
/// #     #[grow(fan_out = "inner")]
/// #     up: Linear,
/// #     #[grow(fan_in = "inner")]
/// #     down: Linear,
/// # }
/// impl Probe<Tensor<2>> for Mlp {
///     fn probe(&self, x: Tensor<2>) -> Activations {
///         let hidden = self.up.forward(x);
///         let output = self.down.forward(hidden.clone());
///         Activations::new(output).with_site("hidden", &hidden)
///     }
/// }
///
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// # let mlp = Mlp {
/// #     up: LinearConfig::new(3, 8).init(&device),
/// #     down: LinearConfig::new(8, 2).init(&device),
/// # };
/// let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
/// let wide = plan.apply(mlp.clone())?;
/// let x = Tensor::random([16, 3], Distribution::Default, &device);
/// let found = verify(&mlp, &wide, x)?;
/// assert!(found.max_rel < 1e-5);
/// println!("{found}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails when the outputs differ in size, or the model after lacks an activation. One that it has
/// more, in a new block of a stack, is left out.
pub fn verify<I: Clone>(
    before: &impl Probe<I>,
    after: &impl Probe<I>,
    input: I,
) -> Result<Verification, GrowError> {
    let first = before.probe(input.clone());
    let second = before.probe(input.clone());
    let mut found = compare(&first, &after.probe(input))?;
    let chance = compare(&first, &second)?.max_rel > ROUNDING;
    found.repeats = !chance;
    Ok(found)
}

fn compare(before: &Activations, after: &Activations) -> Result<Verification, GrowError> {
    let names = |of: &Activations| -> Vec<String> {
        of.sites().iter().map(|(name, _)| name.clone()).collect()
    };
    let sizes = (before.output().count(), after.output().count());
    let incomparable = |before: String, after: String| GrowError::Incomparable { before, after };
    if sizes.0 != sizes.1 {
        let outputs = |size| format!("{size} outputs");
        return Err(incomparable(outputs(sizes.0), outputs(sizes.1)));
    }
    let rms: BTreeMap<&str, f64> = after
        .sites()
        .iter()
        .map(|(name, rms)| (name.as_str(), *rms))
        .collect();
    if before
        .sites()
        .iter()
        .any(|(name, _)| !rms.contains_key(name.as_str()))
    {
        let sites = |names: Vec<String>| format!("sites {}", names.join(", "));
        return Err(incomparable(sites(names(before)), sites(names(after))));
    }
    let largest = before.output().map(f64::abs).fold(0.0, worse);
    let changes = before.output().zip(after.output());
    let max_abs = changes.map(|(old, new)| (new - old).abs()).fold(0.0, worse);
    Ok(Verification {
        max_abs,
        max_rel: if max_abs == 0.0 {
            0.0
        } else {
            max_abs / largest
        },
        largest,
        sites: before
            .sites()
            .iter()
            .map(|(name, before)| SiteRms {
                name: name.clone(),
                before: *before,
                after: rms[name.as_str()],
            })
            .collect(),
        repeats: true,
    })
}

/// Returns the larger number, or NaN if there is one.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() || b > a { b } else { a }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.sites.is_empty() {
            let mut rows = vec![
                ["site", "RMS before", "after", "ratio"]
                    .map(String::from)
                    .to_vec(),
            ];
            rows.extend(self.sites.iter().map(|site| {
                vec![
                    site.name.clone(),
                    format!("{:.3e}", site.before),
                    format!("{:.3e}", site.after),
                    format!("{:.4}", site.ratio()),
                ]
            }));
            f.write_str(&table(&rows))?;
        }
        write!(
            f,
            "output: at most {:.3e}, changed by at most {:.1e} ({:.1e} of it)",
            self.largest, self.max_abs, self.max_rel
        )?;
        match self.repeats {
            true => Ok(()),
            false => f.write_str(
                "\ntwo passes of the model before differ: it draws random numbers, as dropout does; \
                 compare it in validation mode",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::{Device, Tensor};

    use super::*;

    fn activations(output: &[f32]) -> Activations {
        Activations::new(Tensor::<1>::from_floats(output, &Device::flex()))
    }

    #[test]
    fn nan_is_the_largest_change() {
        let before = activations(&[1.0, 2.0, 3.0]);
        let found = compare(&before, &activations(&[1.0, f32::NAN, 3.5])).expect("comparable");
        assert!(found.max_abs.is_nan());
        let found = compare(&before, &activations(&[1.0, 2.0, 3.5])).expect("comparable");
        assert_eq!((found.max_abs, found.largest), (0.5, 3.0));
    }

    #[test]
    fn different_outputs_or_names_cannot_be_compared() {
        let error = compare(&activations(&[1.0]), &activations(&[1.0, 2.0])).expect_err("sizes");
        assert_eq!(
            error.to_string(),
            "the models cannot be compared: 1 outputs before, 2 outputs after"
        );
        let named = activations(&[1.0]).with_rms("hidden", 1.0);
        assert!(compare(&named, &activations(&[1.0])).is_err());
        // A new block has activations of its own.
        let found = compare(&activations(&[1.0]), &named).expect("comparable");
        assert!(found.sites.is_empty());
    }
}
