//! How a module declares a stack, and what a fresh block of it is.

use burn_core::module::{Module, Param, ParamId};
use burn_core::tensor::Tensor;

use super::axis::Axis;
use super::describer::Describer;
use super::layout::Layout;
use super::stack::StackDescription;
use crate::error::{GrowError, StackFault};
use crate::visit::{ParamVisitor, for_each_param};

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
