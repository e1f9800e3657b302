//! The shape of a model, and what may be wrong with it.

use burn_core::config::Config;
use serde::{Deserialize, Serialize};

use crate::error::{MoeConfigError, MoeConfigWarning};
use crate::init_std::InitStd;

/// The coordinates that the norm of queries and keys takes its mean square over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// Every head by itself, with one gain for all heads, as in Qwen3-MoE.
    #[default]
    PerHead,
    /// All heads of a token, with a gain for each of their coordinates, as in OLMoE.
    ///
    /// Copies keep the mean square if every head is copied equally often. New heads of zeros do
    /// not: they make the others louder.
    FullWidth,
}

/// The shape of a [`MoeTransformer`](crate::MoeTransformer).
///
/// The default is the small byte-level model of the demonstration: two layers, hidden 32, inner 16,
/// eight experts of which two are active, tied embeddings. A serialized configuration may leave
/// out fields that keep their default.
///
/// ```
/// use burn_core::tensor::Device;
/// use burn_grow_moe::MoeConfig;
///
/// # fn main() -> Result<(), burn_grow_moe::MoeConfigError> {
/// let config = MoeConfig {
///     hidden: 64,
///     inner: 32,
///     ..MoeConfig::default()
/// };
/// let model = config.try_init(&Device::flex())?;
/// assert_eq!(model.config(), config);
/// # Ok(())
/// # }
/// ```
///
/// # Axes
///
/// | axis | width | coordinates |
/// |---|---|---|
/// | `"hidden"` | `hidden` | the residual stream |
/// | `"inner"` | `inner` | the units of an expert |
/// | `"kv_heads"` | `n_kv_heads` | key and value heads, each with the query heads that read it |
/// | `"queries"` | `n_heads / n_kv_heads` | the query heads of one key head |
/// | `"experts"` | `n_experts` | whole experts, and the rows of the router |
/// | `"top_k"` | `top_k` | none: a count |
/// | `"vocab"` | `vocab_size` | the rows of the embedding, the outputs of an untied head |
///
/// Copying `"hidden"`, `"inner"`, `"kv_heads"` and `"queries"` to whole multiples keeps the logits,
/// one axis at a time or several together. Under [`QkNorm::FullWidth`] all heads have to be copied
/// equally often, because its mean square is over all of them. The other axes:
///
/// - **`"experts"` and `"top_k"` by the same whole factor** `m` keep the logits: every copy has
///   `1 / m` of the probability, and all copies of a chosen expert are chosen. The load-balancing
///   loss and its bounds grow by `m`, the logarithm in the z-loss by `ln m`. Experts are copied
///   under every init pair, and no factor scales them.
/// - **`"experts"` alone** spends the choices of a token on copies: by a whole factor `m` that
///   divides `top_k`, the model answers as the old one would with `top_k / m` choices.
/// - **`"experts"` by `m` and `"top_k"` by less or more** changes the function. The `k'` choices
///   fall on copies in the order of the probabilities: the first `q = k' div m` experts answer with
///   their old weight, the next one with `k' mod m` of its `m` copies, and so with that fraction of
///   its old weight. From one choice, that is `k' / m` of the output. With `norm_topk_prob` these
///   weights are divided by their sum. Copied unevenly, as from 8 experts to 12, the probabilities
///   are also divided by `sum n_i p_i`, where `n_i` counts the copies of expert `i`: another number
///   for every token. No factor undoes it, and a plan says so
///   ([`Plan::routing_changes`](burn_grow_core::Plan::routing_changes)).
/// - **`"top_k"` alone** sends every token to the next most probable experts, too. A plan with more
///   choices than experts is rejected.
/// - **`"vocab"`** keeps the logits of old symbols. New symbols are randomly initialized with the
///   mean and the spread of the old ones, column by column.
/// - **`"head_dim"`** is rejected: the rotary frequencies and the scale of the scores depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoeConfig {
    /// The number of token ids: axis `"vocab"`.
    pub vocab_size: usize,
    /// The number of blocks.
    pub n_layers: usize,
    /// The width of the residual stream: axis `"hidden"`.
    pub hidden: usize,
    /// The width between the two matrices of an expert: axis `"inner"`.
    pub inner: usize,
    /// The number of query heads, the product of the axes `"kv_heads"` and `"queries"`.
    pub n_heads: usize,
    /// The number of key and value heads, each shared by `n_heads / n_kv_heads` query heads: axis
    /// `"kv_heads"`.
    pub n_kv_heads: usize,
    /// The size of a head. It is not tied to `hidden`, so heads keep their size when that grows.
    pub head_dim: usize,
    /// The number of experts of a layer: axis `"experts"`.
    pub n_experts: usize,
    /// The number of experts a token is sent to: axis `"top_k"`. With one and `norm_topk_prob` the
    /// router hears nothing of the tokens' loss ([`MoeConfigWarning::DeafRouter`]).
    pub top_k: usize,
    /// True if the probabilities of the chosen experts are divided by their sum, as in Qwen3-MoE;
    /// false in OLMoE.
    pub norm_topk_prob: bool,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// The coordinates that the norm of queries and keys takes its mean square over.
    pub qk_norm: QkNorm,
    /// The bound that queries and keys, after their norm, and values are clamped to, as in OLMoE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_qkv: Option<f64>,
    /// The number added to the mean square in the norms, so that they never divide by zero.
    pub norm_eps: f64,
    /// True if the output projection is the transposed embedding.
    pub tied_embeddings: bool,
    /// The coefficient of the load-balancing loss.
    pub load_balancing: f64,
    /// The coefficient of the router's z-loss.
    pub router_z_loss: f64,
    /// The standard deviation of the matrices at initialization.
    pub init_std: InitStd,
    /// The factor of a tied output projection: 1 in a fresh model, the product of the fan-in
    /// factors of `"hidden"` in a grown one (App. D.1).
    pub logit_multiplier: f64,
}

impl Default for MoeConfig {
    fn default() -> Self {
        Self {
            vocab_size: 256,
            n_layers: 2,
            hidden: 32,
            inner: 16,
            n_heads: 4,
            n_kv_heads: 4,
            head_dim: 16,
            n_experts: 8,
            top_k: 2,
            norm_topk_prob: false,
            rope_theta: 10_000.0,
            qk_norm: QkNorm::PerHead,
            clip_qkv: None,
            norm_eps: 1e-5,
            tied_embeddings: true,
            load_balancing: 0.01,
            router_z_loss: 0.001,
            init_std: InitStd::FanIn { gain: 0.64 },
            logit_multiplier: 1.0,
        }
    }
}

impl Config for MoeConfig {}

impl MoeConfig {
    /// Lists what is valid and will disappoint. Building the model logs it.
    pub fn warnings(&self) -> Vec<MoeConfigWarning> {
        let deaf = self.norm_topk_prob && self.top_k == 1;
        deaf.then_some(MoeConfigWarning::DeafRouter)
            .into_iter()
            .collect()
    }

    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// The first field that is out of range or does not fit another one.
    pub fn validate(&self) -> Result<(), MoeConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden", self.hidden),
            ("inner", self.inner),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads),
            ("head_dim", self.head_dim),
            ("n_experts", self.n_experts),
            ("top_k", self.top_k),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(MoeConfigError::Zero { field });
        }
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            return Err(MoeConfigError::Heads {
                n_heads: self.n_heads,
                n_kv_heads: self.n_kv_heads,
            });
        }
        if self.n_heads.checked_mul(self.head_dim).is_none() {
            return Err(MoeConfigError::TooLarge {
                n_heads: self.n_heads,
                head_dim: self.head_dim,
            });
        }
        if !self.head_dim.is_multiple_of(2) {
            let head_dim = self.head_dim;
            return Err(MoeConfigError::OddHead { head_dim });
        }
        if self.top_k > self.n_experts {
            return Err(MoeConfigError::TopK {
                top_k: self.top_k,
                n_experts: self.n_experts,
            });
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        for (field, value) in [
            ("rope_theta", Some(self.rope_theta)),
            ("clip_qkv", self.clip_qkv),
            ("norm_eps", Some(self.norm_eps)),
            ("logit_multiplier", Some(self.logit_multiplier)),
        ] {
            if let Some(value) = value
                && !positive(value)
            {
                let expected = "positive";
                return Err(MoeConfigError::Range {
                    field,
                    value,
                    expected,
                });
            }
        }
        for (field, value) in [
            ("load_balancing", self.load_balancing),
            ("router_z_loss", self.router_z_loss),
            ("init_std", self.init_std.number()),
        ] {
            if !not_negative(value) {
                let expected = "zero or positive";
                return Err(MoeConfigError::Range {
                    field,
                    value,
                    expected,
                });
            }
        }
        if !self.tied_embeddings && self.logit_multiplier != 1.0 {
            return Err(MoeConfigError::UntiedMultiplier {
                multiplier: self.logit_multiplier,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> MoeConfig {
        MoeConfig::default()
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(small().validate(), Ok(()));
    }

    #[test]
    fn one_choice_of_normalized_weight_is_warned_of() {
        for (top_k, norm_topk_prob, expected) in [
            (1, true, vec![MoeConfigWarning::DeafRouter]),
            (1, false, vec![]),
            (2, true, vec![]),
        ] {
            let config = MoeConfig {
                top_k,
                norm_topk_prob,
                ..small()
            };
            assert_eq!(config.validate(), Ok(()));
            assert_eq!(config.warnings(), expected);
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let cases: [(MoeConfig, &str); 10] = [
            (
                MoeConfig {
                    inner: 0,
                    ..small()
                },
                "`inner` is 0",
            ),
            (
                MoeConfig {
                    n_kv_heads: 3,
                    ..small()
                },
                "not a multiple of `n_kv_heads` (3)",
            ),
            (
                MoeConfig {
                    n_heads: 1 << 40,
                    head_dim: 1 << 40,
                    ..small()
                },
                "`head_dim` (1099511627776) are too many",
            ),
            (
                MoeConfig {
                    head_dim: 7,
                    ..small()
                },
                "`head_dim` is 7",
            ),
            (
                MoeConfig {
                    top_k: 9,
                    ..small()
                },
                "`top_k` (9) is larger",
            ),
            (
                MoeConfig {
                    norm_eps: 0.0,
                    ..small()
                },
                "`norm_eps` is 0, and has to be positive",
            ),
            (
                MoeConfig {
                    rope_theta: f64::NAN,
                    ..small()
                },
                "`rope_theta` is NaN",
            ),
            (
                MoeConfig {
                    clip_qkv: Some(-8.0),
                    ..small()
                },
                "`clip_qkv` is -8, and has to be positive",
            ),
            (
                MoeConfig {
                    init_std: InitStd::FanIn { gain: -1.0 },
                    ..small()
                },
                "`init_std` is -1",
            ),
            (
                MoeConfig {
                    tied_embeddings: false,
                    logit_multiplier: 0.5,
                    ..small()
                },
                "the embeddings are not tied",
            ),
        ];
        for (config, message) in cases {
            let error = config.validate().expect_err("a mistake").to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_serialized_configuration_may_leave_out_defaults_but_not_misspell() {
        let config: MoeConfig = serde_json::from_str(r#"{"hidden": 64}"#).expect("valid");
        assert_eq!(
            config,
            MoeConfig {
                hidden: 64,
                ..small()
            }
        );
        assert!(serde_json::from_str::<MoeConfig>(r#"{"hiden": 64}"#).is_err());
    }
}
