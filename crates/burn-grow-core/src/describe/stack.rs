//! Stacks: containers whose length is an axis, as the layers of a transformer are.

use burn_core::module::ParamId;
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::constants::Constant;
use super::param::ParamBlueprint;
use crate::error::{GrowError, StackFault};

/// A container of blocks, one applied after another, whose length is the width of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Path of the container in the module tree.
    pub path: String,
    /// The axis.
    pub axis: Axis,
    /// Number of blocks.
    pub blocks: usize,
    /// True if the module says how to make a fresh block.
    pub fresh: bool,
    /// A fresh block, while there is no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prototype: Option<Prototype>,
}

/// What a fresh block of an empty stack would consist of. Paths are those that it would have as the
/// first block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prototype {
    /// How many parameters of the model come before it.
    pub(crate) at: usize,
    pub(crate) params: Vec<ParamBlueprint>,
    pub(crate) constants: Vec<Constant<usize>>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) kept: Vec<Constant<f64>>,
}

impl Stack {
    /// Creates the stack of `blocks` blocks at `path`, which does not make fresh ones.
    pub fn new(path: impl Into<String>, axis: impl Into<Axis>, blocks: usize) -> Self {
        Self {
            path: path.into(),
            axis: axis.into(),
            blocks,
            fresh: false,
            prototype: None,
        }
    }

    /// Returns the number of the block that `path` is in, and what follows it.
    pub(crate) fn block_of<'a>(&self, path: &'a str) -> Option<(usize, &'a str)> {
        block_of(&self.path, path)
    }
}

/// Returns the number of the block of the stack at `stack` that `path` is in, and what follows it.
pub(crate) fn block_of<'a>(stack: &str, path: &'a str) -> Option<(usize, &'a str)> {
    let inside = path.strip_prefix(stack)?.strip_prefix('.')?;
    let (index, rest) = inside.split_once('.').unwrap_or((inside, ""));
    // No other spelling of a number, such as `+1` or `01`.
    let block = index
        .parse()
        .ok()
        .filter(|block: &usize| block.to_string() == index);
    Some((block?, rest))
}

/// A stack, as a module describes it.
pub(crate) struct StackDescription {
    pub(crate) path: String,
    pub(crate) axis: Axis,
    pub(crate) blocks: usize,
    pub(crate) fresh: bool,
    /// The parameters of a fresh block, while there is no other: path, identity and shape.
    pub(crate) prototype: Option<Vec<(String, ParamId, Vec<usize>)>>,
}

impl StackFault {
    /// The error of `stack`.
    pub(crate) fn of(self, stack: &Stack) -> GrowError {
        GrowError::Stack {
            path: stack.path.clone(),
            axis: stack.axis.clone(),
            fault: self,
        }
    }
}
