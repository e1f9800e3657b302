//! The blocks that two models have, whose stacks may be of two lengths.

use crate::describe::describer::Describer;
use crate::describe::stack::block_of;

/// The blocks of every stack that both models have. An empty stack has the first, a fresh one, if it
/// says what that is.
pub(super) struct CommonBlocks {
    /// Path and number.
    stacks: Vec<(String, usize)>,
}

impl CommonBlocks {
    pub(super) fn of(narrow: &Describer, wide: &Describer) -> Self {
        let lengths = |describer: &Describer| -> Vec<(String, usize)> {
            let stacks = describer.stacks.iter();
            let length = |blocks: usize, fresh: bool| match fresh {
                true => blocks.max(1),
                false => blocks,
            };
            stacks
                .map(|stack| (stack.path.clone(), length(stack.blocks, stack.fresh)))
                .collect()
        };
        let wide = lengths(wide);
        let narrow = lengths(narrow).into_iter();
        let stacks = narrow.filter_map(|(path, blocks)| {
            let (_, other) = wide.iter().find(|(other, _)| *other == path)?;
            Some((path, blocks.min(*other)))
        });
        Self {
            stacks: stacks.collect(),
        }
    }

    /// Returns false for what is in a block that one of the models does not have.
    pub(super) fn has(&self, path: &str) -> bool {
        let mut stacks = self.stacks.iter();
        stacks.all(|(stack, blocks)| block_of(stack, path).is_none_or(|(block, _)| block < *blocks))
    }
}
