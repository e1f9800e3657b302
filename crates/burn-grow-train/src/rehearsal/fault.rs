use std::collections::BTreeSet;

use burn_grow_core::GrowError;
use burn_grow_core::describe::Axis;

use super::names;

/// Reason why an expansion does not pass its rehearsal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalFault {
    /// A step of the wide copy panicked.
    #[error(
        "a step with {widths}, {params} parameters, panicked: {message}. If the copy does not fit in \
         memory, set `TrainOptions::with_rehearsal_limit`, or train `without_rehearsal`"
    )]
    Panicked {
        /// The axes and their widths, before and after.
        widths: String,
        /// The number of parameters of the wide copy.
        params: usize,
        /// The panic's message.
        message: String,
    },
    /// The wide copy computes something else.
    #[error(
        "a copy with {axes} doubled has to compute what the model computes, but the gradient of `{path}` \
         differs by {change:.3} of its norm. A role on {axes} fits by its size only: look at the order of \
         terms in a dimension (`unit`, `groups`, a product of axes), at layers that read the axis without \
         a fan-in, at multipliers, and at code that depends on a width without storing it", axes = names(axes)
    )]
    Function {
        /// The axes that fail alone, or all that were doubled if none does.
        axes: BTreeSet<Axis>,
        /// The first parameter whose gradient differs, in the order of the module tree.
        path: String,
        /// The difference, as a fraction of the gradient's norm.
        change: f64,
    },
    /// The wide copy would be larger than the limit that was set.
    #[error(
        "its copy with {widths} would have {params} parameters where the rehearsal may have {limit}: raise \
         the limit, or train `without_rehearsal`"
    )]
    TooLarge {
        /// The axes and their widths, before and after.
        widths: String,
        /// The number of parameters of the wide copy.
        params: usize,
        /// The limit.
        limit: usize,
    },
    /// The wide copy does not describe itself as planned, or cannot be planned further.
    #[error(transparent)]
    Model(#[from] GrowError),
}
