//! The error of an invalid configuration, and the warning of a disappointing one.

/// An invalid [`MoeConfig`](crate::MoeConfig).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoeConfigError {
    /// A size of zero.
    #[error("`{field}` is 0, and has to be at least 1")]
    Zero {
        /// The name of the field.
        field: &'static str,
    },
    /// Heads whose coordinates overflow a `usize`.
    #[error("`n_heads` ({n_heads}) heads of `head_dim` ({head_dim}) are too many")]
    TooLarge {
        /// The number of query heads.
        n_heads: usize,
        /// The size of a head.
        head_dim: usize,
    },
    /// A number of query heads that is not a multiple of the key-value heads.
    #[error("`n_heads` ({n_heads}) is not a multiple of `n_kv_heads` ({n_kv_heads})")]
    Heads {
        /// The number of query heads.
        n_heads: usize,
        /// The number of key-value heads.
        n_kv_heads: usize,
    },
    /// A head of an odd size, which rotary positions cannot rotate by halves.
    #[error("`head_dim` is {head_dim}, and rotary positions need an even one")]
    OddHead {
        /// The size of a head.
        head_dim: usize,
    },
    /// More experts chosen for a token than there are.
    #[error("`top_k` ({top_k}) is larger than `n_experts` ({n_experts})")]
    TopK {
        /// The number of experts a token is sent to.
        top_k: usize,
        /// The number of experts.
        n_experts: usize,
    },
    /// A number out of range.
    #[error("`{field}` is {value}, and has to be {expected}")]
    Range {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The range.
        expected: &'static str,
    },
    /// A logit multiplier on a model whose embeddings are not tied.
    #[error(
        "`logit_multiplier` is {multiplier} but the embeddings are not tied: scale the output \
         projection instead, or set `tied_embeddings`"
    )]
    UntiedMultiplier {
        /// The multiplier.
        multiplier: f64,
    },
}

/// A [`MoeConfig`](crate::MoeConfig) that is valid and will disappoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MoeConfigWarning {
    /// One choice, whose weight is divided by itself: it is 1 whatever the router says, so the
    /// router has no gradient from the tokens' loss, only those of load balancing and z-loss.
    DeafRouter,
}

impl core::fmt::Display for MoeConfigWarning {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::DeafRouter => f.write_str(
                "`top_k` is 1 and `norm_topk_prob` is true: the weight of the chosen expert is always \
                 1, so the router learns nothing from the tokens' loss; choose more experts, or do \
                 not normalize",
            ),
        }
    }
}
