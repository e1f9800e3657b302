//! The plan of one parameter, and the list of them that finds one by its path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::places::BlockPlace;
use crate::describe::axis::Axis;
use crate::describe::role::Role;
use crate::error::GrowError;

/// How one parameter grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParamPlan {
    /// Path in the module tree, as Burn's records and optimizer groups spell it.
    pub path: String,
    /// Shape before the expansion; of a parameter in a new block, the shape of its source.
    pub old_shape: Vec<usize>,
    /// Shape after the expansion.
    pub new_shape: Vec<usize>,
    /// Role of each dimension; a dimension with `None` never grows. Serialized as a role without
    /// parts.
    #[serde(with = "crate::describe::role::optional")]
    pub roles: Vec<Option<Role>>,
    /// Fraction of the elements that takes part in one token, before and after.
    pub active: (f64, f64),
    /// Where it comes from, if it was not at its path before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<ParamOrigin>,
}

/// Where a parameter in a grown stack comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamOrigin {
    /// It was there before, in the same block at another place.
    Moved {
        /// Its path before.
        from: String,
    },
    /// It is in a new block.
    New {
        /// The parameter that it copies or has the shape of; `None` in a fresh block of an empty
        /// stack.
        from: Option<String>,
        /// What it holds.
        content: ParamContent,
        /// The new blocks that it is in, the outermost first.
        blocks: Vec<BlockPlace>,
    },
}

/// What a parameter in a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamContent {
    /// The values of its source.
    Copy,
    /// Zeros.
    Zero,
    /// Random numbers with the mean and the standard deviation of its source.
    Drawn,
    /// What the module initializes it with.
    Fresh,
}

impl ParamPlan {
    /// Returns `true` if any dimension grows.
    pub fn grows(&self) -> bool {
        self.old_shape != self.new_shape
    }

    /// Counts the elements before and after. A parameter in a new block was not there before.
    pub fn num_elements(&self) -> (usize, usize) {
        let before = match self.is_new() {
            true => 0,
            false => self.old_shape.iter().product(),
        };
        (before, self.new_shape.iter().product())
    }

    /// Returns the path that the parameter or its source has before the expansion; `None` for one of
    /// a fresh block of an empty stack.
    pub fn source_path(&self) -> Option<&str> {
        match &self.origin {
            None => Some(&self.path),
            Some(ParamOrigin::Moved { from }) => Some(from),
            Some(ParamOrigin::New { from, .. }) => from.as_deref(),
        }
    }

    /// Returns what the parameter holds if it is in a new block.
    pub fn content(&self) -> Option<ParamContent> {
        match &self.origin {
            Some(ParamOrigin::New { content, .. }) => Some(*content),
            _ => None,
        }
    }

    /// Returns `true` if the parameter is in a new block.
    pub fn is_new(&self) -> bool {
        self.content().is_some()
    }

    /// The shape that the parameter has in a model whose stacks are rebuilt, before it is expanded.
    pub(crate) fn given_shape(&self) -> &[usize] {
        match self.content() {
            Some(ParamContent::Fresh) => &self.new_shape,
            _ => &self.old_shape,
        }
    }

    /// Lists the new blocks that the parameter is in, the outermost first.
    pub(crate) fn new_blocks(&self) -> &[BlockPlace] {
        match &self.origin {
            Some(ParamOrigin::New { blocks, .. }) => blocks,
            _ => &[],
        }
    }

    /// Iterates over the axes of the stacks in which the parameter is in a new block, the outermost
    /// first.
    pub fn new_axes(&self) -> impl Iterator<Item = &Axis> {
        self.new_blocks().iter().map(|place| &place.axis)
    }

    /// Iterates over the axes along the dimensions, and those of the stacks in which the parameter is
    /// in a new block.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        let dims = self.roles.iter().flatten().flat_map(Role::axes);
        dims.chain(self.new_axes())
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
