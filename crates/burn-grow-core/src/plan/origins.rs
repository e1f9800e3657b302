//! The check that the parameters of a plan that was read are those that its stacks give it.

use std::collections::{BTreeMap, BTreeSet};

use super::axis_plan::AxisPlan;
use super::param::{ParamContent, ParamPlan};
use super::places::places;
use crate::describe::axis::Axis;
use crate::describe::stack::Stack;
use crate::describe::validate::{Widths, inconsistent};
use crate::error::GrowError;

/// Checks that every block has all parameters, each from where the axes put it. `stacks` are the
/// axes of the stacks by their paths before the expansion.
pub(super) fn check(
    params: &[ParamPlan],
    stacks: &BTreeMap<String, Axis>,
    axes: &BTreeMap<Axis, AxisPlan>,
    widths: &Widths,
) -> Result<(), GrowError> {
    let stacks = stacks.iter().map(|(path, axis)| Stack {
        path: path.clone(),
        axis: axis.clone(),
        blocks: widths.get(axis).copied().unwrap_or_default(),
        fresh: false,
        prototype: None,
    });
    let stacks: Vec<Stack> = stacks.collect();
    let old = params.iter().filter(|param| !param.is_new());
    let old: Vec<&str> = old.filter_map(ParamPlan::source_path).collect();
    let places = places(&old, |path| path, &stacks, axes);
    let places = places.iter();
    let mut places: BTreeMap<&str, _> = places.map(|it| (it.path.as_str(), it)).collect();
    let mut fresh = FreshBlocks::default();
    for param in params {
        let Some(source) = param.source_path() else {
            fresh.add(param, &stacks)?;
            continue;
        };
        let Some(place) = places.remove(param.path.as_str()) else {
            return reject(&param.path, "no such parameter", "one");
        };
        if *place.item != source || place.new != param.new_blocks() {
            return reject(&param.path, place.item, source);
        }
        if place.new.is_empty() == param.is_new() {
            return reject(&param.path, "a new block where it is new", "another one");
        }
    }
    match places.into_keys().next() {
        Some(path) => reject(path, "a plan", "none"),
        None => fresh.check(axes),
    }
}

fn reject(path: &str, expected: &str, found: &str) -> Result<(), GrowError> {
    let what = format!("parameter `{path}`");
    Err(inconsistent(&what, expected.into(), found.into()))
}

/// The parameters of fresh blocks of empty stacks: stack by stack and block by block, by their paths
/// in the block.
#[derive(Default)]
struct FreshBlocks<'a>(BTreeMap<(&'a str, &'a Axis), BTreeMap<usize, BTreeSet<&'a str>>>);

impl<'a> FreshBlocks<'a> {
    fn add(&mut self, param: &'a ParamPlan, stacks: &'a [Stack]) -> Result<(), GrowError> {
        let empty = stacks.iter().filter(|stack| stack.blocks == 0);
        let mut around = empty.filter_map(|stack| Some((stack, stack.block_of(&param.path)?)));
        let Some((stack, (block, inside))) = around.next() else {
            return reject(&param.path, "a place in an empty stack", "another one");
        };
        let is_here = match param.new_blocks() {
            [place] => place.axis == stack.axis && place.block == block,
            _ => false,
        };
        if !is_here || param.content() != Some(ParamContent::Fresh) {
            return reject(&param.path, "a fresh block", "another one");
        }
        let blocks = self.0.entry((&stack.path, &stack.axis)).or_default();
        blocks.entry(block).or_default().insert(inside);
        Ok(())
    }

    /// Checks that all blocks of a stack are there, with the same parameters.
    fn check(self, axes: &BTreeMap<Axis, AxisPlan>) -> Result<(), GrowError> {
        for ((path, axis), blocks) in self.0 {
            let mut all = blocks.values();
            let first = all.next();
            let whole = axes.get(axis).map(AxisPlan::new_width) == Some(blocks.len());
            if !whole || all.any(|block| Some(block) != first) {
                return reject(path, "blocks of the same parameters", "others");
            }
        }
        Ok(())
    }
}
