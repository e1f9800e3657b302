//! The supported model families.

use core::fmt;

use crate::config::QkNorm;

/// The models of `transformers` that a [`MoeTransformer`](crate::MoeTransformer) can represent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HfFamily {
    /// OLMoE ([arXiv 2409.02060](https://arxiv.org/abs/2409.02060)): a norm over all heads, heads
    /// of size `hidden / n_heads`, clamped queries, keys and values.
    Olmoe,
    /// Qwen3-MoE ([arXiv 2505.09388](https://arxiv.org/abs/2505.09388)): a norm over every head,
    /// heads of any size.
    Qwen3Moe,
}

impl HfFamily {
    pub(super) const ALL: [Self; 2] = [Self::Olmoe, Self::Qwen3Moe];

    /// The family with this norm of queries and keys.
    pub fn of(qk_norm: QkNorm) -> Self {
        match qk_norm {
            QkNorm::PerHead => Self::Qwen3Moe,
            QkNorm::FullWidth => Self::Olmoe,
        }
    }

    /// The norm of its queries and keys.
    pub fn qk_norm(self) -> QkNorm {
        match self {
            Self::Olmoe => QkNorm::FullWidth,
            Self::Qwen3Moe => QkNorm::PerHead,
        }
    }

    /// Its `model_type`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Olmoe => "olmoe",
            Self::Qwen3Moe => "qwen3_moe",
        }
    }

    /// Its class in `transformers`.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::Olmoe => "OlmoeForCausalLM",
            Self::Qwen3Moe => "Qwen3MoeForCausalLM",
        }
    }

    /// Its key for the width of an expert.
    pub(super) fn inner(self) -> &'static str {
        match self {
            Self::Olmoe => "intermediate_size",
            Self::Qwen3Moe => "moe_intermediate_size",
        }
    }
}

impl fmt::Display for HfFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Olmoe => "OLMoE",
            Self::Qwen3Moe => "Qwen3-MoE",
        })
    }
}
