//! The parameters that keep a block from changing the residual stream while they are zero.

use std::collections::BTreeSet;

use crate::describe::axis::Axis;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::{Role, RoleKind};
use crate::describe::stack::Stack;
use crate::error::StackFault;

/// A parameter of a block, by its path in it.
type Inside<'a> = (&'a str, &'a ParamBlueprint);

/// Lists the parameters of a block, by their paths in it, that an identity block sets to zero: those
/// at or below `named`, or the fan-outs of the block on the axis of the stream.
pub(super) fn outputs(
    block: &[Inside<'_>],
    outside: &[&ParamBlueprint],
    named: &[String],
) -> Result<BTreeSet<String>, StackFault> {
    if !named.is_empty() {
        return listed(block, named);
    }
    let no_identity = |reason: String| Err(StackFault::NoIdentity { reason });
    let streams = streams(block, outside);
    let makes = |param: &ParamBlueprint| lies(param, &streams, RoleKind::FanOut);
    let outputs: Vec<&Inside<'_>> = block.iter().filter(|(_, param)| makes(param)).collect();
    if outputs.is_empty() {
        return no_identity(
            "the block makes and consumes no axis that a matrix outside of it leads to or from"
                .into(),
        );
    }
    // Where one matrix feeds another, both as zeros would never get a gradient.
    let matrices = outputs.iter().filter(|(_, param)| param.shape.len() > 1);
    let square = matrices
        .clone()
        .filter(|(_, param)| lies(param, &streams, RoleKind::FanIn));
    let square: Vec<&str> = square.map(|(inside, _)| *inside).collect();
    if let [first, ..] = square.as_slice()
        && matrices.count() > 1
    {
        return no_identity(format!(
            "`{first}` leads from the stream to the stream, and so may feed another output"
        ));
    }
    let outputs = outputs.into_iter();
    Ok(outputs.map(|(inside, _)| (*inside).to_owned()).collect())
}

/// The parameters at or below the paths `named`.
fn listed(block: &[Inside<'_>], named: &[String]) -> Result<BTreeSet<String>, StackFault> {
    let mut found = BTreeSet::new();
    for path in named {
        let below = |inside: &str| match inside.strip_prefix(path.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('.'),
            None => false,
        };
        let inside = block.iter().map(|(inside, _)| *inside);
        let mut inside = inside.filter(|inside| below(inside)).peekable();
        if inside.peek().is_none() {
            return Err(StackFault::NothingToZero { path: path.clone() });
        }
        found.extend(inside.map(String::from));
    }
    Ok(found)
}

/// The axes that the block makes and consumes, and that a matrix outside of all stacks leads to or
/// from, without another such axis: that of the stream, not the width in between.
fn streams<'a>(block: &[Inside<'a>], outside: &[&ParamBlueprint]) -> BTreeSet<&'a Axis> {
    let inside = |kind| -> BTreeSet<&'a Axis> {
        let roles = block
            .iter()
            .flat_map(|(_, param)| param.roles.iter().flatten());
        let parts = roles.flat_map(|role| &role.parts);
        let parts = parts.filter(move |part| part.kind == kind);
        parts.flat_map(|part| part.axes()).collect()
    };
    let both = &inside(RoleKind::FanOut) & &inside(RoleKind::FanIn);
    let ends = outside.iter().filter(|param| param.shape.len() > 1);
    let ends = ends.filter_map(|param| {
        let axes = param.roles.iter().flatten().flat_map(Role::axes);
        let axes: BTreeSet<&Axis> = axes.filter(|axis| both.contains(axis)).collect();
        axes.first().copied().filter(|_| axes.len() == 1)
    });
    let ends: BTreeSet<&Axis> = ends.collect();
    both.iter()
        .copied()
        .filter(|axis| ends.contains(axis))
        .collect()
}

/// Returns true if a dimension of the parameter has a part of this kind on one of `axes`.
fn lies(param: &ParamBlueprint, axes: &BTreeSet<&Axis>, kind: RoleKind) -> bool {
    let parts = param.roles.iter().flatten().flat_map(|role| &role.parts);
    let mut parts = parts.filter(|part| part.kind == kind);
    parts.any(|part| part.axes().any(|axis| axes.contains(axis)))
}

/// The parameters of the first block of `stack`, by their paths in it.
pub(super) fn first_block<'a>(
    stack: &Stack,
    params: impl Iterator<Item = &'a ParamBlueprint>,
) -> Vec<Inside<'a>> {
    let inside = params.filter_map(|param| match stack.block_of(&param.path)? {
        (0, inside) => Some((inside, param)),
        _ => None,
    });
    inside.collect()
}
