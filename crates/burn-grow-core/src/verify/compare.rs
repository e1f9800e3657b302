use core::fmt;

use serde::{Deserialize, Serialize};

use crate::table::table;
use crate::{Activations, GrowError, Probe};

/// How two models differ on one input: what an expansion did to the function and to the activations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The largest change of an output.
    pub max_abs: f64,
    /// The same, as a fraction of the largest output before.
    pub max_rel: f64,
    /// The largest output before, by magnitude.
    pub largest: f64,
    /// The activations, in the order of the forward pass.
    pub sites: Vec<SiteRms>,
}

/// The root mean square of one activation before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteRms {
    /// Where in the model.
    pub name: String,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

impl SiteRms {
    /// After over before: 1 is what RMS-preserving growth aims at (Eq. 3).
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

/// Compares two models on one input.
///
/// Whole multiples preserve the function up to rounding; any other growth preserves the RMS of the
/// activations, in expectation over the weights.
///
/// ```
/// # use burn_core as burn;
/// # use burn_core::{module::Module, tensor::{Device, Distribution, Tensor}};
/// # use burn_grow_core::*;
/// # use burn_nn::{Linear, LinearConfig};
/// # #[derive(Module, Debug)]
/// # struct Mlp { up: Linear, down: Linear }
/// # impl Growable for Mlp {
/// #     fn describe(&self, d: &mut Describer) {
/// #         d.layer("up", &self.up, &LayerRoles { fan_out: Some(Role::fan_out("inner")), ..Default::default() });
/// #         d.layer("down", &self.down, &LayerRoles { fan_in: Some(Role::fan_in("inner")), ..Default::default() });
/// #     }
/// #     fn update_constants(&mut self, _: &Constants<'_>) {}
/// # }
/// # impl Probe<Tensor<2>> for Mlp {
/// #     fn probe(&self, x: Tensor<2>) -> Activations {
/// #         let hidden = self.up.forward(x);
/// #         Activations::new(self.down.forward(hidden.clone())).with_site("hidden", &hidden)
/// #     }
/// # }
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// # let mlp = Mlp { up: LinearConfig::new(3, 8).init(&device), down: LinearConfig::new(8, 2).init(&device) };
/// let plan = Plan::new(&Blueprint::of(&mlp)?, &Expansion::by("inner", 2.0))?;
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
/// When the outputs differ in size, or the sites in name.
pub fn verify<I: Clone>(
    before: &impl Probe<I>,
    after: &impl Probe<I>,
    input: I,
) -> Result<Verification, GrowError> {
    compare(&before.probe(input.clone()), &after.probe(input))
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
    if names(before) != names(after) {
        let sites = |names: Vec<String>| format!("sites {}", names.join(", "));
        return Err(incomparable(sites(names(before)), sites(names(after))));
    }
    let largest = before.output().map(f64::abs).fold(0.0, worse);
    let changes = before.output().zip(after.output());
    let max_abs = changes.map(|(old, new)| (new - old).abs()).fold(0.0, worse);
    let sites = before.sites().iter().zip(after.sites());
    Ok(Verification {
        max_abs,
        max_rel: match max_abs == 0.0 {
            true => 0.0,
            false => max_abs / largest,
        },
        largest,
        sites: sites
            .map(|((name, before), (_, after))| SiteRms {
                name: name.clone(),
                before: *before,
                after: *after,
            })
            .collect(),
    })
}

/// The larger one; what is no number is the worst of all.
fn worse(a: f64, b: f64) -> f64 {
    match b.is_nan() || b > a {
        true => b,
        false => a,
    }
}

/// A table of the sites, and a line about the output.
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
        )
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
    fn a_lost_number_is_the_worst_change() {
        let before = activations(&[1.0, 2.0, 3.0]);
        let found = compare(&before, &activations(&[1.0, f32::NAN, 3.5])).expect("comparable");
        assert!(found.max_abs.is_nan());
        let found = compare(&before, &activations(&[1.0, 2.0, 3.5])).expect("comparable");
        assert_eq!((found.max_abs, found.largest), (0.5, 3.0));
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let error = compare(&activations(&[1.0]), &activations(&[1.0, 2.0])).expect_err("sizes");
        assert_eq!(
            error.to_string(),
            "the models cannot be compared: 1 outputs before, 2 outputs after"
        );
        let named = activations(&[1.0]).with_rms("hidden", 1.0);
        assert!(compare(&activations(&[1.0]), &named).is_err());
    }
}
