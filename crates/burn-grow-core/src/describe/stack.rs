//! Stacks: containers whose length is an axis, as the layers of a transformer are.

use burn_core::module::{Module, Param, ParamId};
use burn_core::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::constants::Constant;
use super::describer::Describer;
use super::layout::Layout;
use super::param::ParamBlueprint;
use crate::error::{GrowError, StackFault};
use crate::visit::{ParamVisitor, for_each_param};

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
    /// Returns the number of the block that `path` is in, and what follows it.
    pub(crate) fn block_of<'a>(&self, path: &'a str) -> Option<(usize, &'a str)> {
        block_of(&self.path, path)
    }
}

/// Returns the number of the block of the stack at `stack` that `path` is in, and what follows it.
pub(crate) fn block_of<'a>(stack: &str, path: &'a str) -> Option<(usize, &'a str)> {
    let inside = path.strip_prefix(stack)?.strip_prefix('.')?;
    let (index, rest) = inside.split_once('.').unwrap_or((inside, ""));
    Some((index.parse().ok()?, rest))
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

impl Describer {
    /// Declares that the number of blocks in the container `name` is an axis.
    ///
    /// The blocks are described besides, as those of any container.
    pub fn stack(&mut self, name: &str, axis: impl Into<Axis>, blocks: usize) {
        self.declare_stack(name, axis.into(), blocks, false);
    }

    /// As [`stack`](Self::stack), and says what a fresh block is. Of an empty container, `describe`
    /// describes such a block in place of the first.
    ///
    /// Parameters of a fresh block may wait for their initialization, as those of all layers of Burn
    /// do: here they stay uninitialized.
    pub fn stack_with<M: Module>(
        &mut self,
        name: &str,
        axis: impl Into<Axis>,
        blocks: usize,
        fresh: impl FnOnce() -> M,
        describe: impl FnOnce(&M, &mut Self),
    ) {
        let declared = self.declare_stack(name, axis.into(), blocks, true);
        if !declared || blocks > 0 {
            return;
        }
        let block = fresh();
        let first = self.stacks.len();
        self.scope(name, |describer| {
            describer.element(0, |describer| describe(&block, describer));
        });
        let path = self.child_path(name);
        if let Some(inner) = self.stacks.get(first) {
            let (axis, path) = (inner.axis.clone(), inner.path.clone());
            let fault = StackFault::InsideOfFresh;
            self.reject(GrowError::Stack { path, axis, fault });
        }
        let mut params = Params {
            prefix: format!("{path}.0"),
            found: Vec::new(),
        };
        for_each_param(&block, &mut params);
        if let Some(stack) = self.stacks.get_mut(first - 1) {
            stack.prototype = Some(params.found);
        }
    }

    /// Returns false if the container never grows here.
    fn declare_stack(&mut self, name: &str, axis: Axis, blocks: usize, fresh: bool) -> bool {
        let layout: Layout = axis.clone().into();
        let count = self.constant(name, layout, blocks);
        let Some(axis) = count.axis.single().cloned() else {
            let (path, fault) = (count.path, StackFault::Product);
            self.reject(GrowError::Stack { path, axis, fault });
            return false;
        };
        if axis.is_fixed() {
            return false;
        }
        self.stacks.push(StackDescription {
            path: count.path.clone(),
            axis,
            blocks,
            fresh,
            prototype: None,
        });
        self.counts.push(count);
        true
    }
}

/// Collects the parameters of a fresh block.
struct Params {
    prefix: String,
    found: Vec<(String, ParamId, Vec<usize>)>,
}

impl ParamVisitor for Params {
    fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let shape = if param.is_initialized() {
            param.base().dims().to_vec()
        } else {
            param.lazy_shape().to_vec()
        };
        let path = format!("{}.{path}", self.prefix);
        self.found.push((path, param.id, shape));
    }
}
