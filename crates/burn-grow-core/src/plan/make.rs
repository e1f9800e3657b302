//! Planning: an expansion and the blueprint of a model make a plan, or an error that says why not.

use std::collections::BTreeMap;

use super::axis_plan::AxisPlan;
use super::blocks::BlockContent;
use super::expansion::Expansion;
use super::model::Plan;
use super::restack::plan_params;
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::constants::Constant;
use crate::describe::growable::Growable;
use crate::describe::layout::Layout;
use crate::describe::validate::{Widths, known};
use crate::error::{GrowError, StackFault};

impl Expansion {
    /// Plans the expansion of `model`. The model is not touched.
    ///
    /// # Errors
    ///
    /// Fails as [`Blueprint::of`] and [`Plan::new`] do.
    pub fn plan<G: Growable>(&self, model: &G) -> Result<Plan, GrowError> {
        Plan::new(&Blueprint::of(model)?, self)
    }
}

impl Plan {
    /// Plans `expansion` on the model that `blueprint` describes.
    ///
    /// # Errors
    ///
    /// Fails when the expansion
    /// - names no axis or an unknown one, or one that cannot grow,
    /// - asks for a width that is smaller, not whole, or too large,
    /// - sets an init pair, scaling or copy map beside a baseline, or a method for an axis that
    ///   does not grow,
    /// - asks for a function-preserving scaling that its init pair cannot have,
    /// - scales by a number that is not finite, or the units of a tied axis differently,
    /// - leaves fewer units of an axis than take part in a token,
    /// - grows some of several axes that grow together,
    /// - grows a stack whose blocks are unlike, or in a way that it cannot: [`StackFault`] says why.
    pub fn new(blueprint: &Blueprint, expansion: &Expansion) -> Result<Self, GrowError> {
        check_targets(blueprint, expansion)?;
        let axes = plan_axes(blueprint, expansion)?;
        let mut new_widths = blueprint.widths.clone();
        for (axis, planned) in &axes {
            new_widths.insert(axis.clone(), planned.new_width());
        }
        check_together(blueprint, &axes)?;
        check_ratios(blueprint, &new_widths)?;
        let plan = Self {
            multipliers: plan_multipliers(blueprint, &axes)?,
            kept: plan_kept(blueprint, &axes),
            params: plan_params(blueprint, expansion, &axes, &new_widths)?.into(),
            axes,
            widths: blueprint.widths.clone(),
            stacks: blueprint.stack_axes(),
            seed: expansion.seed,
        };
        plan.checked()
    }
}

/// Checks that the expansion names axes that can grow, and methods only for those.
fn check_targets(blueprint: &Blueprint, expansion: &Expansion) -> Result<(), GrowError> {
    if expansion.targets.is_empty() {
        return Err(GrowError::EmptyExpansion);
    }
    let mut exceptions = expansion.exceptions.keys();
    if let Some(axis) = exceptions.find(|axis| !expansion.targets.contains_key(axis)) {
        return Err(GrowError::UnusedMethod { axis: axis.clone() });
    }
    for (axis, blocks) in &expansion.blocks {
        if !expansion.targets.contains_key(axis) {
            return Err(GrowError::UnusedMethod { axis: axis.clone() });
        }
        let stack = blueprint.stacks.iter().find(|stack| stack.axis == *axis);
        let Some(stack) = stack else {
            return Err(GrowError::NoStack { axis: axis.clone() });
        };
        if !blocks.zero.is_empty() && blocks.content != BlockContent::Identity {
            let content = blocks.content.to_string();
            return Err(StackFault::Zeroing { content }.of(stack));
        }
    }
    let exceptions = &expansion.exceptions;
    let mut stacks = blueprint.stacks.iter();
    if let Some(stack) = stacks.find(|stack| exceptions.contains_key(&stack.axis)) {
        return Err(StackFault::Method.of(stack));
    }
    for axis in expansion.targets.keys() {
        if let Some(reason) = blueprint.frozen.get(axis) {
            return Err(GrowError::FrozenAxis {
                axis: axis.clone(),
                reason: reason.clone(),
            });
        }
    }
    Ok(())
}

/// Plans every axis that the expansion names.
fn plan_axes(
    blueprint: &Blueprint,
    expansion: &Expansion,
) -> Result<BTreeMap<Axis, AxisPlan>, GrowError> {
    let targets = expansion.targets.iter();
    let axes = targets.map(|(axis, target)| {
        let old_width = known(&blueprint.widths, axis)?;
        let new_width = target.resolve(axis, old_width)?;
        // All stacks on one axis grow alike, and each has to be able to.
        let stacks = blueprint.stacks.iter().filter(|stack| stack.axis == *axis);
        let blocks = expansion.blocks_of(axis);
        let planned = stacks.map(|stack| AxisPlan::of_stack(stack, new_width, &blocks));
        let planned = planned.collect::<Result<Vec<_>, _>>()?.pop();
        let planned = match planned {
            Some(planned) => planned,
            None => AxisPlan::new(axis, old_width, new_width, expansion)?,
        };
        Ok((axis.clone(), planned))
    });
    axes.collect()
}

/// Checks that axes that grow together do.
fn check_together(blueprint: &Blueprint, axes: &BTreeMap<Axis, AxisPlan>) -> Result<(), GrowError> {
    for together in &blueprint.together {
        let grows = |axis: &&Axis| axes.get(*axis).is_some_and(AxisPlan::grows);
        let (growing, missing): (Vec<_>, Vec<_>) = together.axes.iter().partition(grows);
        if let Some(axis) = growing.first()
            && !missing.is_empty()
        {
            return Err(GrowError::Together {
                axis: (*axis).clone(),
                missing: missing.into_iter().cloned().collect(),
                reason: together.reason.clone(),
            });
        }
    }
    Ok(())
}

/// Checks that no more units of an axis take part in a token than there are.
fn check_ratios(blueprint: &Blueprint, new_widths: &Widths) -> Result<(), GrowError> {
    let params = blueprint.params.iter();
    for (part, whole) in params.flat_map(|param| &param.active.ratios) {
        let width = |layout: &Layout| layout.size(|axis| new_widths[axis]);
        for axis in part.axes().chain(whole.axes()) {
            known(new_widths, axis)?;
        }
        let (part_width, whole_width) = (width(part), width(whole));
        if part_width > whole_width {
            return Err(GrowError::PartExceedsWhole {
                part: part.clone(),
                part_width,
                whole: whole.clone(),
                whole_width,
            });
        }
    }
    Ok(())
}

/// Plans the scalars that absorb a fan-in factor: one for each that an axis changes.
fn plan_multipliers(
    blueprint: &Blueprint,
    axes: &BTreeMap<Axis, AxisPlan>,
) -> Result<Vec<Constant<f64>>, GrowError> {
    let mut multipliers = Vec::new();
    for multiplier in &blueprint.multipliers {
        let mut factor = None;
        for (axis, planned) in growing(&multiplier.axis, axes) {
            let Some(tied) = planned.tied_factor() else {
                return Err(GrowError::Multiplier {
                    path: multiplier.path.clone(),
                    axis: axis.clone(),
                });
            };
            factor = Some(factor.unwrap_or(1.0) * tied);
        }
        multipliers.extend(factor.map(|value| Constant {
            value,
            ..multiplier.clone()
        }));
    }
    Ok(multipliers)
}

/// Lists the numbers that are kept though a width that they follow from changes.
fn plan_kept(blueprint: &Blueprint, axes: &BTreeMap<Axis, AxisPlan>) -> Vec<Constant<f64>> {
    let kept = blueprint.kept.iter();
    kept.filter(|kept| growing(&kept.axis, axes).next().is_some())
        .cloned()
        .collect()
}

/// Iterates over the axes of `layout` that grow.
fn growing<'a>(
    layout: &'a Layout,
    axes: &'a BTreeMap<Axis, AxisPlan>,
) -> impl Iterator<Item = (&'a Axis, &'a AxisPlan)> {
    let planned = layout
        .axes()
        .filter_map(|axis| Some((axis, axes.get(axis)?)));
    planned.filter(|(_, planned)| planned.grows())
}
