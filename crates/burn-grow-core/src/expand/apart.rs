//! The check that a model shares no running statistic that changes with its clones.
//!
//! Burn keeps the value of a running statistic in one place for all clones of a model. Expanding it
//! there would break every clone. Only the module that holds it can set it apart, in
//! `update_constants`, and nothing but a change of the value tells whether it did.

use std::any::Any;
use std::collections::HashMap;

use burn_core::module::{Module, Param};
use burn_core::tensor::Tensor;

use crate::error::GrowError;
use crate::plan::model::Plan;
use crate::plan::param::ParamPlan;
use crate::visit::{ParamMapper, ParamVisitor, for_each_param, map_params};

/// Returns `model` as it is, unless a statistic that changes is shared with `clone`.
pub(super) fn check_apart<M: Module>(plan: &Plan, model: M, clone: &M) -> Result<M, GrowError> {
    let mut away = HashMap::new();
    let model = map_params(
        model,
        &mut TakeAway {
            plan,
            away: &mut away,
        },
    );
    let changing = plan.params().iter().filter(|param| changes(param));
    let old = changing.filter_map(|param| Some((param.source_path()?, param.old_shape.as_slice())));
    let mut empty = Empty {
        old: old.collect(),
        path: None,
    };
    for_each_param(clone, &mut empty);
    let path = empty.path;
    let model = map_params(model, &mut PutBack { away: &mut away });
    match path {
        Some(path) => Err(GrowError::SharedState { path }),
        None => Ok(model),
    }
}

/// Tells if a parameter gets another value than the one that clones of the model have.
fn changes(param: &ParamPlan) -> bool {
    param.grows() || param.is_new()
}

/// Replaces what changes by nothing.
struct TakeAway<'a> {
    plan: &'a Plan,
    away: &'a mut HashMap<String, Box<dyn Any>>,
}

impl ParamMapper for TakeAway<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.plan.param(path).is_some_and(changes) {
            return param;
        }
        let nothing = Tensor::empty([0; D], &param.base().device());
        let empty = Param::initialized(param.id, nothing);
        self.away.insert(path.to_owned(), Box::new(param));
        empty
    }
}

/// Finds a parameter that is nothing in a clone as well.
struct Empty<'a> {
    /// The shapes before the expansion, by path.
    old: HashMap<&'a str, &'a [usize]>,
    path: Option<String>,
}

impl ParamVisitor for Empty<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let old = self.old.get(path);
        if old.is_some_and(|old| **old != param.base().dims()) {
            self.path.get_or_insert_with(|| path.to_owned());
        }
    }
}

/// Undoes what `TakeAway` did.
struct PutBack<'a> {
    away: &'a mut HashMap<String, Box<dyn Any>>,
}

impl ParamMapper for PutBack<'_> {
    fn float<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.away.remove(path).map(|param| param.downcast()) {
            Some(Ok(param)) => *param,
            _ => param,
        }
    }
}
