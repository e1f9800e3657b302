//! What the new blocks of a stack are: which old block each comes from, and what it holds.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::copy_map::CopyMap;

/// The new blocks of a stack that grows along its axis.
///
/// The default is what G_stack does (arXiv 2405.15319): copies, `0 1 2 0 1 2`.
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_core::plan::Blocks;
///
/// // Every new block begins as a copy that adds nothing to the stream: the function stays.
/// let quiet = Expansion::by("layers", 2.0).with_blocks("layers", Blocks::identity());
/// // Two copies of the middle of four blocks.
/// let middle = Blocks::copies().in_order([0, 1, 1, 2, 2, 3]);
/// let deeper = Expansion::to("layers", 6).with_blocks("layers", middle);
/// # let _ = (quiet, deeper);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blocks {
    /// What a new block holds.
    pub content: BlockContent,
    /// Where new blocks stand, and which old block each comes from.
    pub order: BlockOrder,
    /// The modules and parameters of a block that [`BlockContent::Identity`] sets to zero, by their
    /// paths in the block. Where there is none, they follow from the roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zero: Vec<String>,
}

/// What a new block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockContent {
    /// A copy of its source.
    #[default]
    Copy,
    /// A copy of its source whose outputs to the residual stream are zero, so that the model
    /// computes what it did.
    Identity,
    /// Matrices are drawn with the mean and the standard deviation of its source's; gains and biases
    /// are copied.
    Drawn,
    /// The module's own initialization.
    Fresh,
}

/// The order of the blocks of a grown stack, by the old block that each is or comes from.
///
/// Where an old block occurs first, it is itself; everywhere else there is a new block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockOrder {
    /// The stack again and again: `0 1 2 0 1 2`.
    #[default]
    Stacked,
    /// New blocks behind their sources: `0 0 1 1 2 2`.
    Interleaved,
    /// The last block again and again: `0 1 2 2 2 2`.
    Last,
    /// This one.
    Listed(Vec<usize>),
}

impl Blocks {
    /// New blocks are copies of old ones.
    pub fn copies() -> Self {
        Self::default()
    }

    /// New blocks are copies that add nothing to the residual stream.
    pub fn identity() -> Self {
        Self::holding(BlockContent::Identity)
    }

    /// New blocks are drawn like their sources.
    pub fn drawn() -> Self {
        Self::holding(BlockContent::Drawn)
    }

    /// New blocks have the module's own initialization.
    pub fn fresh() -> Self {
        Self::holding(BlockContent::Fresh)
    }

    fn holding(content: BlockContent) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// Puts every new block behind its source: `0 0 1 1 2 2`.
    pub fn interleaved(self) -> Self {
        self.ordered(BlockOrder::Interleaved)
    }

    /// Puts all new blocks at the end, made of the last one: `0 1 2 2 2 2`.
    pub fn from_last(self) -> Self {
        self.ordered(BlockOrder::Last)
    }

    /// Sets the source of every block of the grown stack.
    pub fn in_order(self, sources: impl Into<Vec<usize>>) -> Self {
        self.ordered(BlockOrder::Listed(sources.into()))
    }

    fn ordered(self, order: BlockOrder) -> Self {
        Self { order, ..self }
    }

    /// Names what identity blocks set to zero, modules or parameters by their paths in the block,
    /// where the roles do not tell: the gain and bias of a norm that stands behind a branch.
    pub fn zeroing<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.zero.extend(paths.into_iter().map(Into::into));
        self
    }
}

impl BlockOrder {
    /// Lists the source of every block of a stack that grows from `old` to `new` blocks.
    pub(crate) fn sources(&self, old: usize, new: usize) -> Vec<usize> {
        match self {
            Self::Listed(sources) => sources.clone(),
            // All of them come from a fresh block.
            _ if old == 0 => vec![0; new],
            Self::Stacked => CopyMap::Block.source(old, new, 0, ""),
            Self::Interleaved => CopyMap::Interleaved.source(old, new, 0, ""),
            Self::Last => (0..new).map(|block| block.min(old - 1)).collect(),
        }
    }
}

impl fmt::Display for BlockContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copies",
            Self::Identity => "identity",
            Self::Drawn => "drawn",
            Self::Fresh => "fresh",
        })
    }
}
