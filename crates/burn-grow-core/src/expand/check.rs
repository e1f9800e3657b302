//! The check that a model is the one a plan was made for.

use std::collections::BTreeMap;

use burn_core::module::Param;
use burn_core::tensor::Tensor;

use crate::describe::growable::Growable;
use crate::describe::survey::{reject_quantized, reject_reparameterized};
use crate::error::GrowError;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::visit::{ParamVisitor, for_each_param};

impl Plan {
    /// Checks that `model` has exactly the parameters and shapes that the plan was made for.
    ///
    /// # Errors
    ///
    /// Names the first parameter that differs.
    pub fn check<G: Growable>(&self, model: &G) -> Result<(), GrowError> {
        let params = self.params().iter();
        let mut visitor = Visitor {
            unseen: params.map(|param| (param.path.as_str(), param)).collect(),
            error: None,
        };
        for_each_param(model, &mut visitor);
        if let Some(error) = visitor.error {
            return Err(error);
        }
        let mut params = self.params().iter();
        let missing = params.find(|param| visitor.unseen.contains_key(param.path.as_str()));
        missing.map_or(Ok(()), |param| {
            Err(GrowError::Missing {
                path: param.path.clone(),
                has: "plan",
                lacks: "model",
            })
        })
    }
}

struct Visitor<'a> {
    unseen: BTreeMap<&'a str, &'a ParamPlan>,
    error: Option<GrowError>,
}

impl Visitor<'_> {
    fn check<const D: usize>(
        &mut self,
        path: &str,
        param: &Param<Tensor<D>>,
    ) -> Result<(), GrowError> {
        let value = param.base();
        let planned = self.unseen.remove(path).ok_or_else(|| GrowError::Missing {
            path: path.to_owned(),
            has: "model",
            lacks: "plan",
        })?;
        planned.check_shape(&planned.old_shape, &value.dims())?;
        reject_quantized(path, value.dtype())
    }
}

impl ParamVisitor for Visitor<'_> {
    fn module(&mut self, parent: &str, name: &str, container: &str) {
        if let Err(error) = reject_reparameterized(parent, name, container) {
            self.error.get_or_insert(error);
        }
    }

    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if let Err(error) = self.check(path, param) {
            self.error.get_or_insert(error);
        }
    }
}
