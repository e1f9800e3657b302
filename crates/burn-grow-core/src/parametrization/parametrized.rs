//! A model whose numbers follow its widths.

use core::fmt;

use super::Parametrization;
use super::factors::Factors;
use super::rule::Rule;
use super::update::Update;
use super::widths::ParamWidths;
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::constants::Constant;
use crate::describe::stack::Stack;
use crate::describe::validate::known;
use crate::error::GrowError;
use crate::table::table;

/// Stands for the number of a block in [`ParametrizedParam::family`].
const ANY_BLOCK: &str = "*";

/// The parameters of a model and what follows their widths. Prints as a table of the factors under
/// Adam.
#[derive(Clone, Debug, PartialEq)]
pub struct Parametrized {
    params: Vec<ParametrizedParam>,
    multipliers: Vec<Constant<f64>>,
}

/// One parameter and what follows its widths.
#[derive(Clone, Debug, PartialEq)]
pub struct ParametrizedParam {
    /// Path in the module tree.
    pub path: String,
    /// The path with `*` in place of the number of a block of a stack: blocks that an expansion adds
    /// belong to it, too. No factor follows the number of blocks.
    pub family: String,
    /// Present shape.
    pub shape: Vec<usize>,
    /// The dimensions that are widths.
    pub widths: ParamWidths,
}

impl ParametrizedParam {
    /// Computes the factors at the present shape, under an optimizer with such updates.
    pub fn factors(&self, update: Update) -> Factors {
        self.widths.factors(&self.shape, update)
    }
}

impl Parametrized {
    pub(super) fn new(
        parametrization: &Parametrization,
        blueprint: &Blueprint,
    ) -> Result<Self, GrowError> {
        let rule = parametrization.rule;
        let base = |axis: &Axis| parametrization.base_of(blueprint, axis);
        let prototypes = blueprint.stacks.iter();
        let fresh = prototypes.filter_map(|stack| stack.prototype.as_ref());
        let params = fresh.clone().flat_map(|prototype| &prototype.params);
        let params = blueprint.params.iter().chain(params).map(|param| {
            Ok(ParametrizedParam {
                path: param.path.clone(),
                family: family(&param.path, &blueprint.stacks),
                shape: param.shape.clone(),
                widths: ParamWidths::new(rule, param, base)?,
            })
        });
        let multipliers = fresh.flat_map(|prototype| &prototype.multipliers);
        let multipliers = blueprint.multipliers.iter().chain(multipliers);
        let multipliers = multipliers.map(|multiplier| {
            let mut value = 1.0;
            for axis in multiplier.axis.axes().filter(|_| rule != Rule::Standard) {
                value *= base(axis)? as f64 / known(&blueprint.widths, axis)? as f64;
            }
            Ok(Constant {
                value,
                ..multiplier.clone()
            })
        });
        Ok(Self {
            params: params.collect::<Result<_, GrowError>>()?,
            multipliers: multipliers.collect::<Result<_, GrowError>>()?,
        })
    }

    /// Returns the parameters, in the order of the module tree.
    pub fn params(&self) -> &[ParametrizedParam] {
        &self.params
    }

    /// Finds the parameter at `path`.
    pub fn param(&self, path: &str) -> Option<&ParametrizedParam> {
        self.params.iter().find(|param| param.path == path)
    }

    /// Returns the factors of the scalars that absorb fan-in factors, such as that of the logits of
    /// tied embeddings: a model at these widths begins with the value at the base times this. An
    /// expansion that keeps the function multiplies them by as much.
    ///
    /// Tied embeddings are an input on their way in, so their rate and initialization are constant.
    /// On their way out only this number divides by the width, as in `MuSharedReadout` of
    /// [`mup`](https://github.com/microsoft/mup).
    pub fn multipliers(&self) -> &[Constant<f64>] {
        &self.multipliers
    }
}

/// Replaces the numbers of blocks in `path`.
fn family(path: &str, stacks: &[Stack]) -> String {
    let mut segments: Vec<&str> = path.split('.').collect();
    for stack in stacks {
        if stack.block_of(path).is_some()
            && let Some(segment) = segments.get_mut(stack.path.split('.').count())
        {
            *segment = ANY_BLOCK;
        }
    }
    segments.join(".")
}

impl fmt::Display for Parametrized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "parameter",
            "shape",
            "rate",
            "initialization",
            "multiplier",
            "decay",
        ];
        let mut rows = vec![header.map(String::from).to_vec()];
        let number = |factor: f64| format!("{factor:.4}");
        for param in &self.params {
            let factors = param.factors(Update::Elementwise);
            rows.push(vec![
                param.path.clone(),
                format!("{:?}", param.shape),
                number(factors.rate),
                number(factors.initialization),
                number(factors.multiplier),
                number(factors.decay),
            ]);
        }
        for multiplier in &self.multipliers {
            let value = number(multiplier.value);
            let row = [multiplier.path.as_str(), "", "", "", &value, ""];
            rows.push(row.map(String::from).to_vec());
        }
        f.write_str(&table(&rows))
    }
}
