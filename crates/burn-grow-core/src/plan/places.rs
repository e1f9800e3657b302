//! Where everything in a model stands once its stacks have grown.

use core::ops::Range;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::axis_plan::AxisPlan;
use crate::describe::axis::Axis;
use crate::describe::stack::Stack;

/// A new block of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockPlace {
    /// Axis of the stack.
    pub axis: Axis,
    /// Index of the block in the grown stack.
    pub block: usize,
}

/// One place of an item that was in the model, such as a parameter or a constant.
pub(crate) struct Place<'t, T> {
    pub(crate) item: &'t T,
    /// Path in the grown model.
    pub(crate) path: String,
    /// The new blocks that it is in, the outermost first. Empty for what was there.
    pub(crate) new: Vec<BlockPlace>,
}

/// Lists where every item goes, in the order of the grown module tree. `items` are in the order of
/// the present one.
pub(crate) fn places<'t, T>(
    items: &'t [T],
    path: impl Fn(&T) -> &str,
    stacks: &[Stack],
    axes: &BTreeMap<Axis, AxisPlan>,
) -> Vec<Place<'t, T>> {
    let grows = |stack: &&Stack| axes.get(&stack.axis).is_some_and(AxisPlan::grows);
    let mut walk = Walk {
        stacks: stacks.iter().filter(grows).collect(),
        axes,
        path,
        places: Vec::with_capacity(items.len()),
    };
    let root = Prefix {
        old: 0,
        new: String::new(),
        blocks: Vec::new(),
    };
    walk.place(items, &root);
    walk.places
}

struct Walk<'t, 'a, T, P> {
    /// Those that grow.
    stacks: Vec<&'a Stack>,
    axes: &'a BTreeMap<Axis, AxisPlan>,
    path: P,
    places: Vec<Place<'t, T>>,
}

/// The block that a walk is in.
struct Prefix {
    /// Length of its path in the present model.
    old: usize,
    /// Its path in the grown model.
    new: String,
    /// The new blocks that it is or is in.
    blocks: Vec<BlockPlace>,
}

impl<'t, 'a, T, P: Fn(&T) -> &str> Walk<'t, 'a, T, P> {
    fn place(&mut self, items: &'t [T], prefix: &Prefix) {
        let mut next = 0;
        while let Some(item) = items.get(next) {
            let Some((stack, _)) = self.stack_of(item, prefix) else {
                let rest = &(self.path)(item)[prefix.old..];
                self.places.push(Place {
                    item,
                    path: format!("{}{rest}", prefix.new),
                    new: prefix.blocks.clone(),
                });
                next += 1;
                continue;
            };
            let blocks = self.blocks(items, next, stack, prefix);
            next = blocks
                .values()
                .map(|range| range.end)
                .max()
                .unwrap_or(next + 1);
            let planned = &self.axes[&stack.axis];
            let kept = planned.kept_blocks();
            for (block, source) in planned.source().iter().enumerate() {
                let Some(range) = blocks.get(source) else {
                    continue;
                };
                let mut within = Prefix {
                    old: stack.path.len() + 1 + source.to_string().len(),
                    new: format!("{}{}.{block}", prefix.new, &stack.path[prefix.old..]),
                    blocks: prefix.blocks.clone(),
                };
                if !kept.contains(&block) {
                    let axis = stack.axis.clone();
                    within.blocks.push(BlockPlace { axis, block });
                }
                self.place(&items[range.clone()], &within);
            }
        }
    }

    /// The items of each block of `stack`, which stand side by side from number `from` on. A list
    /// may go through the blocks more than once, for one kind of items after another.
    fn blocks(
        &self,
        items: &[T],
        from: usize,
        stack: &Stack,
        prefix: &Prefix,
    ) -> BTreeMap<usize, Range<usize>> {
        let mut blocks: BTreeMap<usize, Range<usize>> = BTreeMap::new();
        for (at, item) in items.iter().enumerate().skip(from) {
            match self.stack_of(item, prefix) {
                Some((other, block)) if other.path == stack.path => {
                    if blocks.keys().next_back().is_some_and(|last| *last > block) {
                        break;
                    }
                    blocks.entry(block).or_insert(at..at).end = at + 1;
                }
                _ => break,
            }
        }
        blocks
    }

    /// The outermost stack below `prefix` that an item is in, and the block.
    fn stack_of(&self, item: &T, prefix: &Prefix) -> Option<(&'a Stack, usize)> {
        let path = (self.path)(item);
        let below = self
            .stacks
            .iter()
            .filter(|stack| stack.path.len() >= prefix.old);
        let around = below.filter_map(|stack| Some((*stack, stack.block_of(path)?.0)));
        around.min_by_key(|(stack, _)| stack.path.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::blocks::Blocks;

    fn stack(path: &str, axis: &str, blocks: usize) -> Stack {
        Stack {
            path: path.into(),
            axis: axis.into(),
            blocks,
            fresh: true,
            prototype: None,
        }
    }

    #[test]
    fn items_of_stacks_in_stacks_are_spread_in_the_order_of_the_tree() {
        let axis = |name: &str, old, new, blocks: Blocks| {
            let stack = stack(name, name, old);
            let planned = AxisPlan::of_stack(&stack, new, &blocks).expect("valid");
            (Axis::from(name), planned)
        };
        let axes = BTreeMap::from([
            axis("stages", 1, 2, Blocks::copies()),
            axis("layers", 2, 3, Blocks::copies().interleaved()),
        ]);
        let stacks = [
            stack("stages", "stages", 1),
            stack("stages.0.blocks", "layers", 2),
        ];
        let items = [
            "a",
            "stages.0.b",
            "stages.0.blocks.0.w",
            "stages.0.blocks.1.w",
            "z",
        ];
        let found = places(&items, |item| item, &stacks, &axes);
        let found: Vec<_> = found
            .iter()
            .map(|place| (place.path.as_str(), *place.item, place.new.len()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "a", 0),
                ("stages.0.b", "stages.0.b", 0),
                ("stages.0.blocks.0.w", "stages.0.blocks.0.w", 0),
                ("stages.0.blocks.1.w", "stages.0.blocks.0.w", 1),
                ("stages.0.blocks.2.w", "stages.0.blocks.1.w", 0),
                ("stages.1.b", "stages.0.b", 1),
                ("stages.1.blocks.0.w", "stages.0.blocks.0.w", 1),
                ("stages.1.blocks.1.w", "stages.0.blocks.0.w", 2),
                ("stages.1.blocks.2.w", "stages.0.blocks.1.w", 1),
                ("z", "z", 0),
            ]
        );
    }

    #[test]
    fn one_kind_of_items_comes_after_the_other() {
        let stacks = [stack("s", "n", 2)];
        let planned = AxisPlan::of_stack(&stacks[0], 3, &Blocks::copies()).expect("valid");
        let axes = BTreeMap::from([(Axis::from("n"), planned)]);
        let items = ["s.0.a", "s.1.a", "s.0.b", "s.1.b"];
        let found = places(&items, |item| item, &stacks, &axes);
        let paths: Vec<_> = found.iter().map(|place| place.path.as_str()).collect();
        assert_eq!(
            paths,
            ["s.0.a", "s.1.a", "s.2.a", "s.0.b", "s.1.b", "s.2.b"]
        );
    }
}
