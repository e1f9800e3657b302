//! Fresh parameters, brought to the size that the rule gives them.

use std::collections::BTreeMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;

use super::factors::Factors;
use super::parametrized::{Parametrized, ParametrizedParam};
use super::update::Update;
use crate::error::GrowError;
use crate::expand::tape::Tape;
use crate::visit::{ParamMapper, map_params};

/// The standard deviation that a model draws its parameters with by itself, as widths go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// The same at every width.
    Alike,
    /// `1/sqrt(fan_in)`, also for the biases beside a weight, as the linear layers and convolutions
    /// of burn-nn have it. Embeddings and norms are the same at every width.
    ByFanIn,
}

impl Parametrized {
    /// Multiplies the parameters of a fresh `model`, drawn as `drawn` says, by what is missing to the
    /// initialization that the rule gives them at this width.
    ///
    /// # Errors
    ///
    /// Fails when the model has another parameter, or one of another shape, than the blueprint.
    pub fn initialize<M: Module>(&self, model: M, drawn: Drawn) -> Result<M, GrowError> {
        let mut rescale = Rescale {
            factors: self
                .params()
                .iter()
                .map(|param| (param.path.as_str(), (param, self.missing(param, drawn))))
                .collect(),
            error: None,
        };
        let scaled = map_params(model, &mut rescale);
        match rescale.error {
            Some(error) => Err(error),
            None => Ok(scaled),
        }
    }

    /// The factor that a parameter lacks.
    fn missing(&self, param: &ParametrizedParam, drawn: Drawn) -> f64 {
        let Factors { initialization, .. } = param.factors(Update::Elementwise);
        match drawn {
            Drawn::Alike => initialization,
            Drawn::ByFanIn => {
                // A bias is drawn as the weight beside it.
                let weight = param.path.strip_suffix("bias");
                let weight = weight.and_then(|path| self.param(&format!("{path}weight")));
                let weight = weight.unwrap_or(param);
                initialization * weight.widths.fan_in(&weight.shape).sqrt()
            }
        }
    }
}

struct Rescale<'a> {
    factors: BTreeMap<&'a str, (&'a ParametrizedParam, f64)>,
    error: Option<GrowError>,
}

impl ParamMapper for Rescale<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let found = param.base().dims();
        let error = match self.factors.get(path) {
            Some((described, factor)) if described.shape == found => {
                if *factor == 1.0 {
                    return param;
                }
                let (id, tensor, mapper) = param.consume();
                let tape = Tape::of(&tensor);
                let scaled = tensor.without_autodiff().mul_scalar(*factor);
                return Param::from_mapped_value(id, tape.enter(id, scaled), mapper);
            }
            Some((described, _)) => GrowError::Inconsistent {
                what: format!("parameter `{path}`"),
                expected: format!("shape {:?}, as in the blueprint", described.shape),
                found: format!("shape {found:?}"),
            },
            None => GrowError::Missing {
                path: path.to_owned(),
                has: "model",
                lacks: "blueprint",
            },
        };
        self.error.get_or_insert(error);
        param
    }
}
