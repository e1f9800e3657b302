//! The description of a whole model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::constants::Constant;
use super::growable::Growable;
use super::param::ParamBlueprint;
use super::stack::{Prototype, Stack, StackDescription};
use super::survey::{Shapes, Survey};
use super::together::Together;
use super::validate::{self, Widths, deserialize_checked, known};
use super::width::widths;
use crate::cost::{Cost, StateSize};
use crate::error::GrowError;

/// A model as an expansion sees it: its parameters, the axis of each dimension, the width of every
/// axis, and the constants that depend on one.
///
/// Deserializing validates the blueprint.
///
/// ```
/// # use burn_core as burn;
/// # use burn::{module::Module, tensor::Device};
/// # use burn_grow_core::describe::Axis;
/// # use burn_grow_core::{Blueprint, GrowError};
/// # use burn_grow_derive::Growable;
/// # use burn_nn::{Linear, LinearConfig};
/// # #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// # struct Mlp {
/// #     #[grow(fan_out = "inner")]
/// #     up: Linear,
/// #     #[grow(fan_in = "inner")]
/// #     down: Linear,
/// # }
/// # fn main() -> Result<(), GrowError> {
/// # let device = Device::flex();
/// let mlp = Mlp {
///     up: LinearConfig::new(8, 16).init(&device),
///     down: LinearConfig::new(16, 4).init(&device),
/// };
/// let blueprint = Blueprint::of(&mlp)?;
/// assert_eq!(blueprint.widths()[&Axis::from("inner")], 16);
/// assert_eq!(blueprint.num_params(), 8 * 16 + 16 + 16 * 4 + 4);
/// assert_eq!(blueprint.params()[0].path, "up.weight");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Blueprint {
    pub(crate) params: Vec<ParamBlueprint>,
    pub(crate) widths: Widths,
    pub(crate) constants: Vec<Constant<usize>>,
    pub(crate) multipliers: Vec<Constant<f64>>,
    pub(crate) frozen: BTreeMap<Axis, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<Constant<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) together: Vec<Together>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stacks: Vec<Stack>,
}

deserialize_checked! {
    Fields => Blueprint {
        params: Vec<ParamBlueprint>,
        widths: Widths,
        constants: Vec<Constant<usize>>,
        multipliers: Vec<Constant<f64>>,
        frozen: BTreeMap<Axis, String>,
        #[serde(default)]
        kept: Vec<Constant<f64>>,
        #[serde(default)]
        together: Vec<Together>,
        #[serde(default)]
        stacks: Vec<Stack>,
    }
}

impl Blueprint {
    /// Describes `model`. Parameters that Burn has not initialized yet are initialized.
    ///
    /// # Errors
    ///
    /// Fails when parameters and constants disagree about the width of an axis, when the size of a
    /// dimension does not fit its role, or when a parameter is undescribed, shared, quantized or
    /// reparameterized.
    pub fn of<G: Growable>(model: &G) -> Result<Self, GrowError> {
        Self::new(Survey::of(model, Shapes::Initialized)?)
    }

    /// Describes `model` without initializing its parameters, for a model that does not fit in
    /// memory. Only convolutions and the slopes of a `PRelu` are initialized.
    ///
    /// An uninitialized parameter has the shape that it was declared with. For every Burn layer
    /// that is the shape of its value, except for a [`Linear`](burn_nn::Linear) in column layout,
    /// which is declared transposed and needs [`of`](Self::of).
    ///
    /// # Errors
    ///
    /// Fails as [`of`](Self::of) does.
    pub fn of_lazy<G: Growable>(model: &G) -> Result<Self, GrowError> {
        Self::new(Survey::of(model, Shapes::Declared)?)
    }

    fn new(Survey { params, describer }: Survey) -> Result<Self, GrowError> {
        let widths = widths(&params, &describer.widths, &describer.counts)?;
        let mut constants = describer.widths;
        constants.extend(describer.counts);
        let blueprint = Self {
            params,
            widths,
            constants,
            multipliers: describer.multipliers,
            frozen: describer.frozen,
            kept: Vec::new(),
            together: describer.together,
            stacks: Vec::new(),
        };
        let mut blueprint = blueprint.checked()?;
        for function in describer.functions {
            if function.kept {
                blueprint.kept.push(function.constant);
            } else {
                function.check(&blueprint.widths)?;
            }
        }
        for stack in describer.stacks {
            let stack = blueprint.without_prototype(stack);
            blueprint.stacks.push(stack);
        }
        blueprint.checked()
    }

    /// Moves what the fresh block of an empty stack consists of from the model to the stack.
    fn without_prototype(&mut self, described: StackDescription) -> Stack {
        let mut stack = Stack {
            path: described.path,
            axis: described.axis,
            blocks: described.blocks,
            fresh: described.fresh,
            prototype: None,
        };
        if described.prototype.is_some() {
            let inside = |path: &str| stack.block_of(path).is_some();
            let mut params = self.params.iter();
            let at = params.position(|param| inside(&param.path)).unwrap_or(0);
            stack.prototype = Some(Prototype {
                at,
                params: taken(&mut self.params, |param| inside(&param.path)),
                constants: taken(&mut self.constants, |constant| inside(&constant.path)),
                multipliers: taken(&mut self.multipliers, |constant| inside(&constant.path)),
                kept: taken(&mut self.kept, |constant| inside(&constant.path)),
            });
        }
        stack
    }

    /// Returns the parameters, in the order of the module tree.
    pub fn params(&self) -> &[ParamBlueprint] {
        &self.params
    }

    /// Returns the width of every axis.
    ///
    /// Together with [`multipliers`](Self::multipliers) and [`kept`](Self::kept) it is the part of a grown model's
    /// configuration that its record does not hold.
    pub fn widths(&self) -> &BTreeMap<Axis, usize> {
        &self.widths
    }

    /// Returns the scalars that absorb fan-in factors, with their present values.
    pub fn multipliers(&self) -> &[Constant<f64>] {
        &self.multipliers
    }

    /// Returns the numbers that an expansion keeps though they follow from a width when the model is
    /// built, with their present values.
    pub fn kept(&self) -> &[Constant<f64>] {
        &self.kept
    }

    /// Returns the containers whose length is an axis.
    pub fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// Counts the parameters.
    pub fn num_params(&self) -> usize {
        self.params.iter().map(ParamBlueprint::num_elements).sum()
    }

    /// Counts the parameters that take part in one token: the `N` of `C = 6 N D`.
    pub fn active_params(&self) -> f64 {
        self.params
            .iter()
            .map(|param| param.num_elements() as f64 * param.active.fraction(&self.widths))
            .sum()
    }

    /// Computes what the model costs to train and to keep.
    pub fn cost(&self, state: StateSize) -> Cost {
        Cost::new(self.num_params(), self.active_params(), state)
    }

    /// Lists the paths, axes and lengths of all stacks.
    pub(crate) fn stack_lengths(&self) -> BTreeMap<&str, (&Axis, usize)> {
        let stacks = self.stacks.iter();
        stacks
            .map(|stack| (stack.path.as_str(), (&stack.axis, stack.blocks)))
            .collect()
    }

    /// Lists the paths and axes of all stacks.
    pub(crate) fn stack_axes(&self) -> BTreeMap<String, Axis> {
        let stacks = self.stacks.iter();
        stacks
            .map(|stack| (stack.path.clone(), stack.axis.clone()))
            .collect()
    }

    /// Returns the blueprint if its parts agree with each other.
    pub(super) fn checked(self) -> Result<Self, GrowError> {
        let prototypes = self
            .stacks
            .iter()
            .filter_map(|stack| stack.prototype.as_ref());
        let fresh = prototypes.flat_map(|prototype| &prototype.params);
        let params = self.params.iter().chain(fresh);
        for param in params.clone() {
            validate::sizes(&param.path, &param.shape, &param.roles, &self.widths)?;
            for axis in param.active.axes() {
                known(&self.widths, axis)?;
            }
            validate::active(&param.path, param.active.fraction)?;
            validate::active(&param.path, param.active.fraction(&self.widths))?;
        }
        validate::elements(params.map(|param| (&param.path, &param.shape)))?;
        for constant in &self.constants {
            validate::stored(&self.widths, constant)?;
        }
        validate::scalars(&self.multipliers, "multiplier", &self.widths)?;
        validate::scalars(&self.kept, "kept constant", &self.widths)?;
        validate::together(&self.together, &self.widths)?;
        for stack in &self.stacks {
            validate::stack(stack, &self.params, &self.widths)?;
        }
        Ok(self)
    }
}

/// Takes out what `is_taken`.
fn taken<T>(all: &mut Vec<T>, is_taken: impl Fn(&T) -> bool) -> Vec<T> {
    let (taken, rest) = all.drain(..).partition(|item| is_taken(item));
    *all = rest;
    taken
}
