//! The plan of one parameter, and the list of them that finds one by its path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::describe::role::Role;
use crate::error::GrowError;

/// How one parameter grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamPlan {
    /// Path in the module tree, as Burn's records and optimizer groups spell it.
    pub path: String,
    /// Shape before the expansion.
    pub old_shape: Vec<usize>,
    /// Shape after the expansion.
    pub new_shape: Vec<usize>,
    /// Role of each dimension; a dimension with `None` never grows. Serialized as a role without
    /// parts.
    #[serde(with = "crate::describe::role::optional")]
    pub roles: Vec<Option<Role>>,
    /// Fraction of the elements that takes part in one token, before and after.
    pub active: (f64, f64),
}

impl ParamPlan {
    /// Returns `true` if any dimension grows.
    pub fn grows(&self) -> bool {
        self.old_shape != self.new_shape
    }

    /// Checks that the parameter has the shape `expected`, the old or the new one.
    ///
    /// # Errors
    ///
    /// Names both shapes.
    pub(crate) fn check_shape(&self, expected: &[usize], found: &[usize]) -> Result<(), GrowError> {
        if found == expected {
            return Ok(());
        }
        Err(GrowError::Shape {
            path: self.path.clone(),
            expected: expected.to_vec(),
            found: found.to_vec(),
        })
    }
}

/// Every parameter of a model, in the order of the module tree and by path. Serialized as a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Vec<ParamPlan>")]
pub(super) struct ParamPlans {
    params: Vec<ParamPlan>,
    places: BTreeMap<String, usize>,
}

impl From<Vec<ParamPlan>> for ParamPlans {
    fn from(params: Vec<ParamPlan>) -> Self {
        let paths = params.iter().enumerate();
        let places = paths.map(|(place, param)| (param.path.clone(), place));
        Self {
            places: places.collect(),
            params,
        }
    }
}

impl Serialize for ParamPlans {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.params.serialize(serializer)
    }
}

impl ParamPlans {
    pub(super) fn as_slice(&self) -> &[ParamPlan] {
        &self.params
    }

    /// Finds the parameter at `path`.
    pub(super) fn get(&self, path: &str) -> Option<&ParamPlan> {
        self.params.get(*self.places.get(path)?)
    }
}
