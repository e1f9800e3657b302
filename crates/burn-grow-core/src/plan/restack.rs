//! The parameters of a grown model: those that stay, and those of new blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::axis_plan::AxisPlan;
use super::blocks::BlockContent;
use super::expansion::Expansion;
use super::identity::{first_block, outputs};
use super::param::{ParamContent, ParamOrigin, ParamPlan};
use super::places::{Place, places};
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::RoleKind;
use crate::describe::stack::Stack;
use crate::describe::validate::Widths;
use crate::error::{GrowError, StackFault};

/// Plans every parameter.
pub(super) fn plan_params(
    blueprint: &Blueprint,
    expansion: &Expansion,
    axes: &BTreeMap<Axis, AxisPlan>,
    new_widths: &Widths,
) -> Result<Vec<ParamPlan>, GrowError> {
    let mut contents = Contents {
        axes,
        stacks: Vec::new(),
    };
    for stack in &blueprint.stacks {
        if axes.get(&stack.axis).is_some_and(AxisPlan::grows) {
            check_alike(stack, &blueprint.params)?;
            let mut stacks = blueprint.stacks.iter();
            let empty = stacks
                .find(|inner| inner.prototype.is_some() && stack.block_of(&inner.path).is_some());
            if let Some(inner) = empty {
                let inner = inner.path.clone();
                return Err(StackFault::EmptyInside { inner }.of(stack));
            }
            contents
                .stacks
                .push(Grown::of(stack, blueprint, expansion)?);
        }
    }
    let all = blueprint.with_prototypes();
    let places = places(&all, |param| &param.described.path, &blueprint.stacks, axes);
    let planned = places.into_iter().filter_map(|place| {
        let param = place.item.described;
        let origin = match contents.of(&place) {
            // A fresh block of an empty stack that stays empty.
            None if place.item.is_prototype => return None,
            None if place.path == param.path => None,
            None => Some(ParamOrigin::Moved {
                from: param.path.clone(),
            }),
            Some(content) => Some(ParamOrigin::New {
                from: (!place.item.is_prototype).then(|| param.path.clone()),
                content,
                blocks: place.new,
            }),
        };
        Some(ParamPlan {
            path: place.path,
            old_shape: param.shape.clone(),
            new_shape: param.shape_at(new_widths),
            roles: param.roles.clone(),
            active: (
                param.active.fraction(&blueprint.widths),
                param.active.fraction(new_widths),
            ),
            origin,
        })
    });
    Ok(planned.collect())
}

/// A parameter of the model or of a fresh block.
pub(crate) struct Described<'a> {
    pub(crate) described: &'a ParamBlueprint,
    pub(crate) is_prototype: bool,
}

impl Blueprint {
    /// Lists the parameters, and those of fresh blocks where empty stacks would have them.
    pub(super) fn with_prototypes(&self) -> Vec<Described<'_>> {
        let described = |is_prototype| {
            move |described| Described {
                described,
                is_prototype,
            }
        };
        let mut all: Vec<_> = self.params.iter().map(described(false)).collect();
        let prototypes = self
            .stacks
            .iter()
            .filter_map(|stack| stack.prototype.as_ref());
        let mut prototypes: Vec<_> = prototypes.collect();
        prototypes.sort_by_key(|prototype| prototype.at);
        // From behind, so that the places of others stay.
        for prototype in prototypes.into_iter().rev() {
            let params = prototype.params.iter().map(described(true));
            all.splice(prototype.at..prototype.at, params);
        }
        all
    }
}

/// What the parameters of new blocks hold.
struct Contents<'a> {
    axes: &'a BTreeMap<Axis, AxisPlan>,
    stacks: Vec<Grown<'a>>,
}

/// A stack that grows.
struct Grown<'a> {
    stack: &'a Stack,
    /// What an identity block sets to zero, by its path in the block.
    zero: BTreeSet<String>,
}

impl<'a> Grown<'a> {
    fn of(
        stack: &'a Stack,
        blueprint: &Blueprint,
        expansion: &Expansion,
    ) -> Result<Self, GrowError> {
        let blocks = expansion.blocks_of(&stack.axis);
        let mut zero = BTreeSet::new();
        if blocks.content == BlockContent::Identity {
            let in_stack = |param: &&ParamBlueprint| {
                let mut stacks = blueprint.stacks.iter();
                stacks.any(|stack| stack.block_of(&param.path).is_some())
            };
            let outside: Vec<_> = blueprint.params.iter().filter(|it| !in_stack(it)).collect();
            let block = first_block(stack, blueprint.params.iter());
            zero = outputs(&block, &outside, &blocks.zero).map_err(|fault| fault.of(stack))?;
        }
        Ok(Self { stack, zero })
    }
}

impl Contents<'_> {
    /// Returns what the parameter at `place` holds, if it is in a new block.
    fn of(&self, place: &Place<'_, Described<'_>>) -> Option<ParamContent> {
        let param = place.item.described;
        let outermost = place.new.first()?;
        let stacks = self.stacks.iter();
        let around = stacks.filter(|grown| grown.stack.axis == outermost.axis);
        let around = around.filter_map(|grown| Some((grown, grown.stack.block_of(&param.path)?)));
        let (grown, (_, inside)) = around.min_by_key(|(grown, _)| grown.stack.path.len())?;
        Some(match self.axes.get(&outermost.axis)?.blocks()? {
            BlockContent::Identity if grown.zero.contains(inside) => ParamContent::Zero,
            BlockContent::Drawn if is_matrix(param) => ParamContent::Drawn,
            BlockContent::Copy | BlockContent::Identity | BlockContent::Drawn => ParamContent::Copy,
            BlockContent::Fresh => ParamContent::Fresh,
        })
    }
}

/// Returns true if the parameter is neither a bias nor the gain of a norm.
fn is_matrix(param: &ParamBlueprint) -> bool {
    let kinds = param.roles.iter().flatten().flat_map(|role| &role.parts);
    param.shape.len() > 1 && kinds.clone().any(|part| part.kind != RoleKind::Gain)
}

/// Checks that all blocks of a stack have the same parameters, so that any of them may be the source
/// of a new one.
fn check_alike(stack: &Stack, params: &[ParamBlueprint]) -> Result<(), GrowError> {
    let mut blocks: BTreeMap<usize, Vec<(&str, &ParamBlueprint)>> = BTreeMap::new();
    for param in params {
        if let Some((block, inside)) = stack.block_of(&param.path) {
            blocks.entry(block).or_default().push((inside, param));
        }
    }
    let Some(first) = blocks.remove(&0) else {
        return Ok(());
    };
    for (block, params) in blocks {
        let unlike = |difference| Err(StackFault::Unlike { block, difference }.of(stack));
        for ((inside, param), (expected, other)) in params.iter().zip(&first) {
            if inside != expected {
                return unlike(format!("it has `{inside}` in place of `{expected}`"));
            }
            if param.shape != other.shape {
                let (found, expected) = (&param.shape, &other.shape);
                return unlike(format!("`{inside}` has shape {found:?}, not {expected:?}"));
            }
            if param.roles != other.roles || param.active != other.active {
                return unlike(format!("`{inside}` has other roles"));
            }
        }
        if params.len() != first.len() {
            let (found, expected) = (params.len(), first.len());
            return unlike(format!("it has {found} parameters, not {expected}"));
        }
    }
    Ok(())
}
