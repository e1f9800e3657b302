//! The plan of a whole model.

use std::collections::BTreeMap;

use burn_core::tensor::Device;
use serde::{Deserialize, Serialize};

use super::axis_plan::AxisPlan;
use super::blocks::BlockContent;
use super::factor::Factor;
use super::origins;
use super::param::{ParamPlan, ParamPlans};
use crate::cost::{Cost, CostChange, StateSize};
use crate::describe::axis::Axis;
use crate::describe::constants::{self, Constant, NewBlocks, NewConstants};
use crate::describe::role::{Role, RoleKind};
use crate::describe::stack::block_of;
use crate::describe::validate::{self, Widths, deserialize_checked};
use crate::error::GrowError;

/// What an expansion does to every parameter, computed before anything is touched.
///
/// The same plan is applied to the parameters ([`apply`](Self::apply)), to the optimizer state and
/// to the learning-rate regions. Printed, it is the dry-run table. Applying it allocates the
/// parameters that [`num_params`](Self::num_params) counts.
///
/// Deserializing validates the plan. Use a format that round-trips floats, such as serde_json with
/// its feature `float_roundtrip`.
///
/// ```
/// # use burn_core as burn;
/// # use burn::{module::Module, tensor::Device};
/// # use burn_grow_core::{Expansion, GrowError};
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
/// # let mlp = Mlp {
/// #     up: LinearConfig::new(8, 16).init(&device),
/// #     down: LinearConfig::new(16, 4).init(&device),
/// # };
/// let plan = Expansion::by("inner", 2.0).plan(&mlp)?;
/// println!("{plan}");
/// assert_eq!(plan.num_params(), (212, 420));
/// assert_eq!(plan.params()[0].new_shape, [8, 32]);
///
/// let wide = plan.apply(mlp)?;
/// assert_eq!(wide.down.weight.dims(), [32, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Plan {
    pub(super) axes: BTreeMap<Axis, AxisPlan>,
    /// The width of every axis before the expansion.
    pub(super) widths: Widths,
    pub(super) params: ParamPlans,
    pub(super) multipliers: Vec<Constant<f64>>,
    /// Not in the hash of a plan without any, which checkpoints remember.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) kept: Vec<Constant<f64>>,
    /// The axis of every stack of blocks, by its path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) stacks: BTreeMap<String, Axis>,
    pub(super) seed: u64,
}

deserialize_checked! {
    Fields => Plan {
        axes: BTreeMap<Axis, AxisPlan>,
        widths: Widths,
        params: ParamPlans,
        multipliers: Vec<Constant<f64>>,
        #[serde(default)]
        kept: Vec<Constant<f64>>,
        #[serde(default)]
        stacks: BTreeMap<String, Axis>,
        seed: u64,
    }
}

impl Plan {
    /// Returns the plan if its parts agree with each other.
    pub(super) fn checked(self) -> Result<Self, GrowError> {
        let mut new_widths = self.widths.clone();
        for (axis, planned) in &self.axes {
            validate::width(&self.widths, axis, "its plan", planned.old_width())?;
            new_widths.insert(axis.clone(), planned.new_width());
        }
        origins::check(self.params(), &self.stacks, &self.axes, &self.widths)?;
        for param in self.params() {
            let (old, new) = (&param.old_shape, &param.new_shape);
            validate::sizes(&param.path, old, &param.roles, &self.widths)?;
            validate::sizes(&param.path, new, &param.roles, &new_widths)?;
            let mut sizes = old.iter().zip(new).zip(&param.roles);
            if sizes.any(|((old, new), role)| role.is_none() && old != new) {
                return Err(GrowError::Shape {
                    path: param.path.clone(),
                    expected: old.clone(),
                    found: new.clone(),
                });
            }
            validate::active(&param.path, param.active.0)?;
            validate::active(&param.path, param.active.1)?;
        }
        let params = self.params().iter();
        validate::elements(params.clone().map(|param| (&param.path, &param.old_shape)))?;
        validate::elements(params.map(|param| (&param.path, &param.new_shape)))?;
        validate::scalars(&self.multipliers, "multiplier", &self.widths)?;
        validate::scalars(&self.kept, "kept constant", &self.widths)?;
        Ok(self)
    }

    /// Returns the axes that the expansion names.
    pub fn axes(&self) -> &BTreeMap<Axis, AxisPlan> {
        &self.axes
    }

    /// Returns how `axis` grows, or `None` if the expansion does not name it.
    pub fn axis(&self, axis: &Axis) -> Option<&AxisPlan> {
        self.axes.get(axis)
    }

    /// Returns every parameter of the model, in the order of the module tree.
    pub fn params(&self) -> &[ParamPlan] {
        self.params.as_slice()
    }

    /// Returns the parameter at `path`, or `None` if the model has no such parameter.
    pub fn param(&self, path: &str) -> Option<&ParamPlan> {
        self.params.get(path)
    }

    /// Finds the parameter at `path`, which a model has.
    ///
    /// # Errors
    ///
    /// When the plan is another model's.
    pub(crate) fn planned(&self, path: &str) -> Result<&ParamPlan, GrowError> {
        self.param(path).ok_or_else(|| GrowError::Missing {
            path: path.to_owned(),
            has: "model",
            lacks: "plan",
        })
    }

    /// Finds the parameter at `path`, which a model has with the shape `found` after the expansion.
    ///
    /// # Errors
    ///
    /// When `model` is not what the plan expands to.
    pub(crate) fn grown_param(&self, path: &str, found: &[usize]) -> Result<&ParamPlan, GrowError> {
        let planned = self.planned(path)?;
        planned.check_shape(&planned.new_shape, found)?;
        Ok(planned)
    }

    /// Returns the plan without the axes of stacks that it does not name: what it would be if the
    /// model did not say that their length can grow.
    #[doc(hidden)]
    pub fn without_idle_stacks(&self) -> Self {
        let mut plan = self.clone();
        for axis in self
            .stacks
            .values()
            .filter(|axis| self.axis(axis).is_none())
        {
            plan.widths.remove(axis);
        }
        plan.stacks.retain(|_, axis| self.axes.contains_key(axis));
        plan
    }

    /// Returns `true` if the parameter grows, or is in a stack that does.
    pub(crate) fn is_grown(&self, param: &ParamPlan) -> bool {
        let path = param.source_path();
        let inside = |stack: &str| path.is_some_and(|path| block_of(stack, path).is_some());
        let grows = |axis: &Axis| self.axis(axis).is_some_and(AxisPlan::grows);
        let mut stacks = self.stacks.iter();
        param.grows() || param.is_new() || stacks.any(|(stack, axis)| grows(axis) && inside(stack))
    }

    /// Returns `true` if a stack gets new blocks with parameters.
    pub(crate) fn has_new_params(&self) -> bool {
        self.params().iter().any(ParamPlan::is_new)
    }

    /// Returns `true` if `axis` is that of a stack.
    pub(crate) fn is_stack(&self, axis: &Axis) -> bool {
        self.stacks.values().any(|other| other == axis)
    }

    /// Returns the axis of every stack of blocks, by its path before the expansion.
    pub fn stacks(&self) -> &BTreeMap<String, Axis> {
        &self.stacks
    }

    /// Returns `true` if every axis keeps its width.
    pub fn is_identity(&self) -> bool {
        !self.axes.values().any(AxisPlan::grows)
    }

    /// Returns the role of dimension `dim` if the dimension grows.
    pub fn growing<'a>(&self, param: &'a ParamPlan, dim: usize) -> Option<&'a Role> {
        let role = param.roles.get(dim)?.as_ref()?;
        role.axes()
            .any(|axis| self.axis(axis).is_some_and(AxisPlan::grows))
            .then_some(role)
    }

    /// Returns the width of every axis before the expansion.
    pub fn widths(&self) -> &BTreeMap<Axis, usize> {
        &self.widths
    }

    /// Returns the width of `axis` before the expansion.
    pub(crate) fn width(&self, axis: &Axis) -> usize {
        self.widths.get(axis).copied().unwrap_or(1)
    }

    /// Returns the seed of everything random.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns `true` if a baseline adds noise.
    pub(crate) fn is_noisy(&self) -> bool {
        self.axes.values().any(|axis| axis.noise().is_some())
    }

    /// Iterates over the grown axes whose factors `param` is multiplied with, dimension by
    /// dimension.
    pub(super) fn factors<'a>(
        &'a self,
        param: &'a ParamPlan,
    ) -> impl Iterator<Item = &'a AxisPlan> {
        let roles = param.roles.iter().flatten();
        let parts = roles.flat_map(|role| &role.parts);
        parts
            .filter(|part| part.kind == RoleKind::FanIn)
            .flat_map(|part| part.axes())
            .filter_map(|axis| self.axis(axis).filter(|planned| planned.grows()))
    }

    /// Returns the factor that the consumers of `axis` are multiplied with, or `None` if the axis
    /// stays as it is or nothing reads it, as with experts and counts.
    pub fn applied_factor(&self, axis: &Axis) -> Option<&Factor> {
        let planned = self.axis(axis).filter(|planned| planned.grows())?;
        let mut multipliers = self.multipliers.iter();
        let read = self.kinds(axis).contains(&RoleKind::FanIn)
            || multipliers.any(|multiplier| multiplier.axis.axes().any(|other| other == axis));
        read.then(|| planned.factor())
    }

    /// Returns what constants that depend on a width have to know.
    pub(crate) fn constant_widths(&self, device: Device) -> constants::Widths<'_> {
        let named = self.axes.iter().map(|(axis, planned)| {
            let blocks = planned.blocks().filter(|_| planned.grows());
            let constants = NewConstants {
                width: planned.new_width(),
                tied_factor: planned.tied_factor(),
                blocks: blocks.map(|content| NewBlocks {
                    source: planned.source().to_vec(),
                    kept: planned.kept_blocks(),
                    fresh: content == BlockContent::Fresh,
                }),
            };
            (axis, constants)
        });
        constants::Widths {
            seed: self.seed,
            device,
            old: &self.widths,
            named: named.collect(),
        }
    }

    /// Counts the parameters before and after.
    pub fn num_params(&self) -> (usize, usize) {
        self.params().iter().fold((0, 0), |(old, new), param| {
            let (before, after) = param.num_elements();
            (old + before, new + after)
        })
    }

    /// Counts the parameters that take part in one token, before and after.
    pub fn active_params(&self) -> (f64, f64) {
        self.params().iter().fold((0.0, 0.0), |(old, new), param| {
            let (before, after) = param.num_elements();
            (
                old + param.active.0 * before as f64,
                new + param.active.1 * after as f64,
            )
        })
    }

    /// Computes what the model costs to train and to keep, before and after.
    pub fn cost(&self, state: StateSize) -> CostChange {
        let (params, active) = (self.num_params(), self.active_params());
        CostChange {
            before: Cost::new(params.0, active.0, state),
            after: Cost::new(params.1, active.1, state),
        }
    }
}
