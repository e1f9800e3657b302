//! A model that is described by data instead of by its modules.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::blueprint::Blueprint;
use super::constants::Constant;
use super::param::ParamBlueprint;
use super::stack::Stack;
use super::together::Together;
use super::width::widths;
use crate::error::GrowError;

/// What a [`Blueprint`] is made of, for models that are no Burn modules, such as the tensors of a
/// folder.
///
/// ```
/// use burn_grow_core::describe::{ActiveFraction, Description, ParamBlueprint, Role};
/// use burn_grow_core::{Blueprint, Expansion, Plan};
///
/// let param = |path: &str, shape: [usize; 2], roles: [&str; 2]| {
///     let roles = roles.map(|role| role.parse::<Role>().map(Some));
///     Ok::<_, burn_grow_core::GrowError>(ParamBlueprint {
///         path: path.into(),
///         shape: shape.into(),
///         roles: roles.into_iter().collect::<Result<_, _>>()?,
///         active: ActiveFraction::default(),
///     })
/// };
/// let blueprint = Blueprint::described(Description {
///     params: vec![
///         param("up", [16, 8], ["fan_out(inner)", "fan_in(hidden)"])?,
///         param("down", [8, 16], ["fan_out(hidden)", "fan_in(inner)"])?,
///     ],
///     ..Description::default()
/// })?;
/// let plan = Plan::new(&blueprint, &Expansion::by("inner", 2.0))?;
/// assert_eq!(plan.params()[0].new_shape, [32, 8]);
/// # Ok::<(), burn_grow_core::GrowError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// The parameters. Those of a block stand side by side, one block after another.
    pub params: Vec<ParamBlueprint>,
    /// Numbers that store a width, or a product of widths, on which parameters lie.
    pub widths: Vec<Constant<usize>>,
    /// Numbers that store the width of an axis without parameters, such as the length of a stack.
    pub counts: Vec<Constant<usize>>,
    /// Axes that cannot grow, with the reason.
    pub frozen: BTreeMap<Axis, String>,
    /// Axes that grow together or not at all.
    pub together: Vec<Together>,
    /// Containers whose length is an axis.
    pub stacks: Vec<Stack>,
}

impl Blueprint {
    /// Makes the blueprint of a model that is described by data. The widths of all axes follow from
    /// the shapes and from the numbers that store them.
    ///
    /// # Errors
    ///
    /// Fails when parameters and numbers disagree about the width of an axis, when the size of a
    /// dimension does not fit its role, and when a stack has other blocks than its axis says.
    pub fn described(description: Description) -> Result<Self, GrowError> {
        let Description {
            params,
            widths: stored,
            counts,
            frozen,
            together,
            stacks,
        } = description;
        let widths = widths(&params, &stored, &counts)?;
        let mut constants = stored;
        constants.extend(counts);
        let blueprint = Self {
            params,
            widths,
            constants,
            multipliers: Vec::new(),
            frozen,
            kept: Vec::new(),
            together,
            stacks,
        };
        blueprint.checked()
    }

    /// Returns the axes that cannot grow, with the reason.
    pub fn frozen(&self) -> &BTreeMap<Axis, String> {
        &self.frozen
    }
}
