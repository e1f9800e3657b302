/// Why a [`MoeConfig`](crate::MoeConfig) describes no model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoeConfigError {
    /// A size that has to be at least one.
    #[error("`{field}` is 0, and has to be at least 1")]
    Zero {
        /// The name of the field.
        field: &'static str,
    },
    /// More coordinates of all heads than can be counted.
    #[error("`n_heads` ({n_heads}) heads of `head_dim` ({head_dim}) are too many")]
    TooLarge {
        /// The number of query heads.
        n_heads: usize,
        /// The size of a head.
        head_dim: usize,
    },
    /// Query heads that the key-value heads cannot share evenly.
    #[error("`n_heads` ({n_heads}) is no multiple of `n_kv_heads` ({n_kv_heads})")]
    Heads {
        /// The number of query heads.
        n_heads: usize,
        /// The number of key-value heads.
        n_kv_heads: usize,
    },
    /// A head that cannot be rotated by halves.
    #[error("`head_dim` is {head_dim}, and rotary positions need it even")]
    OddHead {
        /// The size of a head.
        head_dim: usize,
    },
    /// More experts chosen than there are.
    #[error("`top_k` ({top_k}) is larger than `n_experts` ({n_experts})")]
    TopK {
        /// The number of experts a token is sent to.
        top_k: usize,
        /// The number of experts.
        n_experts: usize,
    },
    /// A number out of its range.
    #[error("`{field}` is {value}, and has to be {expected}")]
    Range {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// What it has to be.
        expected: &'static str,
    },
    /// A logit multiplier on a model whose output projection is a matrix of its own.
    #[error(
        "`logit_multiplier` is {multiplier} but the embeddings are not tied: scale the output \
         projection instead, or set `tied_embeddings`"
    )]
    UntiedMultiplier {
        /// The multiplier.
        multiplier: f64,
    },
}
