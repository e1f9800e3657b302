//! The identities of parameters after an expansion.

use std::collections::HashMap;

use burn_core::module::ParamId;

use super::axis_plan::AxisPlan;
use super::model::Plan;
use super::param::{ParamContent, ParamOrigin, ParamPlan};
use super::places::BlockPlace;
use crate::describe::stack::block_of;
use crate::hash::fnv1a;
use crate::lineage::descendant;

impl Plan {
    /// Computes the identities of all parameters after the expansion, by their paths then, from
    /// those before. In a new block a parameter has one of its own, which follows from that of its
    /// source; in a fresh block it follows from the path.
    ///
    /// Returns `None` for a parameter whose source `ids` lacks.
    pub fn ids_after(&self, ids: &HashMap<String, u64>) -> HashMap<String, u64> {
        let after = self.params().iter().filter_map(|param| {
            let before = match param.source_path() {
                Some(path) => *ids.get(path)?,
                None => 0,
            };
            let id = self.id_after(param, before.into());
            Some((param.path.clone(), id.val()))
        });
        after.collect()
    }

    /// Returns the path before the expansion of what is at `path` after it, and the new blocks that it
    /// is in. Knows anything in the module tree, not parameters only.
    pub fn source_of(&self, path: &str) -> (String, Vec<BlockPlace>) {
        let (mut before, mut rest) = (String::new(), path.to_owned());
        let mut new = Vec::new();
        loop {
            let whole = format!("{before}{rest}");
            let below = self.stacks().iter().filter(|(stack, axis)| {
                stack.len() >= before.len() && self.axis(axis).is_some_and(AxisPlan::grows)
            });
            let around = below.filter_map(|(stack, axis)| {
                let (block, rest) = block_of(stack, &whole)?;
                Some((stack, axis, block, rest))
            });
            let Some((stack, axis, block, inside)) = around.min_by_key(|(stack, ..)| stack.len())
            else {
                return (whole, new);
            };
            let planned = &self.axes()[axis];
            let Some(source) = planned.source().get(block) else {
                return (whole, new);
            };
            if !planned.kept_blocks().contains(&block) {
                let axis = axis.clone();
                new.push(BlockPlace { axis, block });
            }
            (before, rest) = (format!("{stack}.{source}"), format!(".{inside}"));
        }
    }

    /// The identity that anything but a float parameter gets in `blocks`, new ones, where its source
    /// has the identity `id`.
    pub fn descendant(&self, id: u64, blocks: &[BlockPlace]) -> u64 {
        blocks.iter().fold(id, |id, place| {
            descendant(id, &place.axis, self.width(&place.axis), place.block)
        })
    }

    /// The identity that `param` gets, where its source has the identity `id`.
    pub fn id_after(&self, param: &ParamPlan, id: ParamId) -> ParamId {
        let Some(ParamOrigin::New {
            content, blocks, ..
        }) = &param.origin
        else {
            return id;
        };
        let id = match content {
            ParamContent::Fresh => fnv1a(param.path.as_bytes()),
            _ => id.val(),
        };
        self.descendant(id, blocks).into()
    }
}
