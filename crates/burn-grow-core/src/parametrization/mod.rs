//! Numbers that follow the widths of a model: rates, initialization, output multipliers and weight
//! decay, from the roles of its parameters.
//!
//! Under [muP](Rule::Mup) a rate that is best at one width is best at every other. What other
//! libraries ask for, which dimension of which parameter is a width, a [`Blueprint`] knows.
//! `burn-grow-optim` makes optimizers that follow a [`Parametrized`] model.

mod factors;
mod initialize;
mod parametrized;
mod rule;
mod update;
mod widths;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use factors::Factors;
pub use initialize::Drawn;
pub use parametrized::{Parametrized, ParametrizedParam};
pub use rule::{Readout, Rule};
pub use update::{ShapeFactor, Update};
pub use widths::ParamWidths;

use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::validate::known;
use crate::error::GrowError;

/// How the numbers of a model follow its widths, and the base widths at which every factor is 1.
///
/// The base is the width at which the rate was tuned: that of a small model, in every run.
///
/// ```
/// # use burn_core as burn;
/// # use burn::{module::Module, tensor::Device};
/// use burn_grow_core::parametrization::{Parametrization, Update};
/// # use burn_grow_core::{Blueprint, GrowError};
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
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// # let mlp = |inner| Mlp {
/// #     up: LinearConfig::new(8, inner).init(&device),
/// #     down: LinearConfig::new(inner, 4).init(&device),
/// # };
/// let parametrization = Parametrization::mup([("inner", 16)]);
/// let wide = parametrization.of(&Blueprint::of(&mlp(64))?)?;
/// // A readout of four times the width: Adam's rate is a fourth.
/// let down = wide.param("down.weight").expect("a parameter");
/// assert_eq!(down.factors(Update::Elementwise).rate, 0.25);
/// println!("{wide}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parametrization {
    /// The rule.
    #[serde(default)]
    pub rule: Rule,
    /// The base width of every axis that a parameter reads or makes.
    pub base: BTreeMap<Axis, usize>,
}

impl Parametrization {
    /// Creates the maximal update parametrization, with the `1/width` of readouts in their weights.
    /// [`Blueprint::widths`] of a model at its base widths are base widths.
    pub fn mup<A: Into<Axis>>(base: impl IntoIterator<Item = (A, usize)>) -> Self {
        Self::new(Rule::Mup(Readout::Weights), base)
    }

    /// Creates the standard parametrization.
    pub fn standard<A: Into<Axis>>(base: impl IntoIterator<Item = (A, usize)>) -> Self {
        Self::new(Rule::Standard, base)
    }

    /// Creates a parametrization by `rule`.
    pub fn new<A: Into<Axis>>(rule: Rule, base: impl IntoIterator<Item = (A, usize)>) -> Self {
        let base = base.into_iter().map(|(axis, width)| (axis.into(), width));
        Self {
            rule,
            base: base.collect(),
        }
    }

    /// Finds the widths of a model and what follows them.
    ///
    /// # Errors
    ///
    /// Fails when a parameter reads or makes an axis without a base width, and when one is given that is
    /// zero or of an axis that the model does not have.
    pub fn of(&self, blueprint: &Blueprint) -> Result<Parametrized, GrowError> {
        for (axis, width) in &self.base {
            known(&blueprint.widths, axis)?;
            if *width == 0 {
                return Err(GrowError::NoBaseWidth { axis: axis.clone() });
            }
        }
        Parametrized::new(self, blueprint)
    }

    /// The base width of an axis, which is its only one if it never grows.
    fn base_of(&self, blueprint: &Blueprint, axis: &Axis) -> Result<usize, GrowError> {
        if axis.is_fixed() {
            return known(&blueprint.widths, axis);
        }
        let width = self.base.get(axis).copied();
        width.ok_or_else(|| GrowError::NoBaseWidth { axis: axis.clone() })
    }
}
