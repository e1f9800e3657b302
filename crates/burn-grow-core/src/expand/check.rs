//! The check that a model is the one a plan was made for.

use std::collections::BTreeMap;

use burn_core::module::{Module, Param};
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
        let old = self.params().iter().filter(|param| !param.is_new());
        let expected = old.filter_map(|param| {
            let shape = param.old_shape.as_slice();
            Some((param.source_path()?, (param, shape)))
        });
        check(model, expected.collect(), "model")
    }

    /// Checks that `model` has the parameters of the plan, in stacks that are rebuilt.
    pub(super) fn check_restructured<M: Module>(&self, model: &M) -> Result<(), GrowError> {
        let expected = self.params().iter();
        let expected = expected.map(|param| (param.path.as_str(), (param, param.given_shape())));
        check(
            model,
            expected.collect(),
            "model that `update_constants` rebuilt",
        )
    }
}

/// Parameters by path, with their shapes.
type Expected<'a> = BTreeMap<&'a str, (&'a ParamPlan, &'a [usize])>;

/// Checks that `model` has these parameters and no others. `what` the model is.
fn check<M: Module>(
    model: &M,
    expected: Expected<'_>,
    what: &'static str,
) -> Result<(), GrowError> {
    let mut visitor = Visitor {
        unseen: expected,
        what,
        error: None,
    };
    for_each_param(model, &mut visitor);
    if let Some(error) = visitor.error {
        return Err(error);
    }
    match visitor.unseen.into_keys().next() {
        None => Ok(()),
        Some(path) => Err(GrowError::Missing {
            path: path.to_owned(),
            has: "plan",
            lacks: what,
        }),
    }
}

struct Visitor<'a> {
    unseen: Expected<'a>,
    what: &'static str,
    error: Option<GrowError>,
}

impl Visitor<'_> {
    fn check<const D: usize>(
        &mut self,
        path: &str,
        param: &Param<Tensor<D>>,
    ) -> Result<(), GrowError> {
        let value = param.base();
        let unseen = self.unseen.remove(path);
        let (planned, shape) = unseen.ok_or_else(|| GrowError::Missing {
            path: path.to_owned(),
            has: self.what,
            lacks: "plan",
        })?;
        planned.check_shape(shape, &value.dims())?;
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
