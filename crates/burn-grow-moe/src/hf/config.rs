//! `config.json` to and from a [`MoeConfig`].

use std::path::Path;

use serde_json::{Map, Value, json};

use super::error::HfError;
use super::family::HfFamily;
use super::keys::Keys;
use crate::config::MoeConfig;
use crate::init_std::InitStd;

/// The base of the rotary frequencies in `transformers` if a file names none.
const ROPE_THETA: f64 = 10_000.0;

impl MoeConfig {
    /// Reads the `config.json` of an OLMoE or a Qwen3-MoE.
    ///
    /// The load-balancing coefficient is `router_aux_loss_coef` (`transformers` adds this loss only
    /// if asked for router logits). `transformers` has no router z-loss, so its coefficient is
    /// zero.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is of another kind (an adapter, a tokenizer, a training state),
    /// another `model_type`, a key that is missing or of another type,
    /// and a key that asks for something this model does not support: biases, dropout, scaled
    /// rotary frequencies, another activation, dense layers or a sliding window.
    pub fn from_hf(path: impl AsRef<Path>) -> Result<Self, HfError> {
        let keys = Keys::read(path.as_ref())?;
        if let Some(kind) = keys.other_kind() {
            let path = path.as_ref().to_owned();
            return Err(HfError::Kind { path, kind });
        }
        let model_type: String = keys.get("model_type", "a name")?;
        let family = HfFamily::ALL
            .into_iter()
            .find(|family| family.model_type() == model_type)
            .ok_or_else(|| {
                let found = keys.described(&model_type);
                keys.reject(
                    "model_type",
                    found,
                    "olmoe or qwen3_moe, mixtures of experts",
                )
            })?;
        reject_unsupported(family, &keys)?;

        let hidden = keys.size("hidden_size")?;
        let n_heads = keys.size("num_attention_heads")?;
        let config = Self {
            vocab_size: keys.size("vocab_size")?,
            n_layers: keys.size("num_hidden_layers")?,
            hidden,
            inner: keys.size(family.inner())?,
            n_heads,
            n_kv_heads: match family {
                HfFamily::Olmoe => keys
                    .find("num_key_value_heads", "a size")?
                    .unwrap_or(n_heads),
                HfFamily::Qwen3Moe => keys.size("num_key_value_heads")?,
            },
            head_dim: head_dim(family, &keys, hidden, n_heads)?,
            n_experts: keys.size_of(["num_experts", "num_local_experts"])?,
            top_k: keys.size("num_experts_per_tok")?,
            norm_topk_prob: keys.find("norm_topk_prob", "a flag")?.unwrap_or(false),
            rope_theta: rope_theta(&keys)?,
            qk_norm: family.qk_norm(),
            clip_qkv: match family {
                HfFamily::Olmoe => keys.find("clip_qkv", "a bound")?,
                HfFamily::Qwen3Moe => None,
            },
            norm_eps: keys.get("rms_norm_eps", "a number")?,
            tied_embeddings: keys.find("tie_word_embeddings", "a flag")?.unwrap_or(false),
            load_balancing: keys.find("router_aux_loss_coef", "a number")?.unwrap_or(
                match family {
                    HfFamily::Olmoe => 0.01,
                    HfFamily::Qwen3Moe => 0.001,
                },
            ),
            router_z_loss: 0.0,
            init_std: InitStd::Constant(
                keys.find("initializer_range", "a number")?.unwrap_or(0.02),
            ),
            logit_multiplier: 1.0,
        };
        config.validate()?;
        Ok(config)
    }

    /// The `config.json` of the model, with the keys of `keep` that it does not determine.
    ///
    /// A tied model with a logit multiplier is untied, because `transformers` has no multiplier.
    pub(super) fn to_hf(&self, dtype: &str, keep: &Map<String, Value>) -> Result<Value, HfError> {
        let family = HfFamily::of(self.qk_norm);
        let inexpressible = |reason: String| HfError::Inexpressible { family, reason };
        let width = self.n_heads * self.head_dim;
        if family == HfFamily::Olmoe && width != self.hidden {
            return Err(inexpressible(format!(
                "its heads have `hidden / n_heads` coordinates each, so `hidden` ({}) has to be \
                 `n_heads * head_dim` ({} * {}); grow `kv_heads` or `queries` by the same factor \
                 as `hidden`",
                self.hidden, self.n_heads, self.head_dim
            )));
        }
        if let (HfFamily::Qwen3Moe, Some(bound)) = (family, self.clip_qkv) {
            return Err(inexpressible(format!(
                "it does not clamp queries, keys and values, and `clip_qkv` is {bound}"
            )));
        }

        let mut config = keep.clone();
        for outdated in [
            "rope_scaling",
            "num_local_experts",
            // Of the tensors of another file.
            "quantization_config",
            "compression_config",
        ] {
            config.remove(outdated);
        }
        // The family's defaults would name tokens, and the padding token would get no gradient.
        for token in ["pad_token_id", "bos_token_id", "eos_token_id"] {
            config.entry(token).or_insert(Value::Null);
        }
        let common = json!({
            "model_type": family.model_type(),
            "architectures": [family.architecture()],
            // Up to version 4, and from version 5 on.
            "torch_dtype": dtype,
            "dtype": dtype,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "num_experts": self.n_experts,
            "num_experts_per_tok": self.top_k,
            "norm_topk_prob": self.norm_topk_prob,
            "hidden_act": "silu",
            "attention_bias": false,
            "attention_dropout": 0.0,
            "rms_norm_eps": self.norm_eps,
            // Up to version 4, and from version 5 on.
            "rope_theta": self.rope_theta,
            "rope_parameters": { "rope_type": "default", "rope_theta": self.rope_theta },
            "router_aux_loss_coef": self.load_balancing,
            // There is one for all matrices.
            "initializer_range": self.init_std.of(self.hidden),
            "tie_word_embeddings": self.exports_tied(),
        });
        let own = match family {
            HfFamily::Olmoe => json!({
                "intermediate_size": self.inner,
                "clip_qkv": self.clip_qkv,
            }),
            HfFamily::Qwen3Moe => json!({
                "moe_intermediate_size": self.inner,
                "head_dim": self.head_dim,
                "decoder_sparse_step": 1,
                "mlp_only_layers": [],
                "use_sliding_window": false,
            }),
        };
        for object in [common, own] {
            if let Value::Object(object) = object {
                config.extend(object);
            }
        }
        Ok(Value::Object(config))
    }

    /// True if the exported model is tied.
    pub(super) fn exports_tied(&self) -> bool {
        self.tied_embeddings && self.logit_multiplier == 1.0
    }
}

fn reject_unsupported(family: HfFamily, keys: &Keys) -> Result<(), HfError> {
    keys.only("hidden_act", json!("silu"))?;
    keys.only("attention_bias", json!(false))?;
    keys.only("attention_dropout", json!(0.0))?;
    if family == HfFamily::Qwen3Moe {
        keys.only("decoder_sparse_step", json!(1))?;
        keys.only("mlp_only_layers", json!([]))?;
        keys.only("use_sliding_window", json!(false))?;
    }
    Ok(())
}

fn head_dim(
    family: HfFamily,
    keys: &Keys,
    hidden: usize,
    n_heads: usize,
) -> Result<usize, HfError> {
    let found: Option<usize> = keys.find("head_dim", "a size")?;
    let divides = n_heads > 0 && hidden.is_multiple_of(n_heads);
    match (family, found) {
        (HfFamily::Qwen3Moe, Some(head_dim)) => Ok(head_dim),
        (_, None) if divides => Ok(hidden / n_heads),
        (HfFamily::Olmoe, Some(head_dim)) if divides && head_dim == hidden / n_heads => {
            Ok(head_dim)
        }
        (_, Some(head_dim)) => Err(keys.reject(
            "head_dim",
            head_dim.to_string(),
            format!("hidden_size / num_attention_heads ({hidden} / {n_heads})"),
        )),
        (_, None) => Err(keys.reject(
            "hidden_size",
            hidden.to_string(),
            format!("a multiple of num_attention_heads ({n_heads})"),
        )),
    }
}

/// Reads the base of the rotary frequencies: a key of its own up to version 4 of `transformers`,
/// one of the `rope_parameters` since.
fn rope_theta(keys: &Keys) -> Result<f64, HfError> {
    let mut theta = keys.find("rope_theta", "a number")?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(values) = keys.find::<Map<String, Value>>(key, "an object")? else {
            continue;
        };
        for (inner, value) in &values {
            let name = format!("{key}.{inner}");
            match (inner.as_str(), value) {
                (_, Value::Null) => {}
                ("rope_type" | "type", value) if *value == json!("default") => {}
                ("partial_rotary_factor", value) if value.as_f64() == Some(1.0) => {}
                ("rope_theta", value) => match value.as_f64() {
                    Some(value) => theta = Some(value),
                    None => return Err(keys.reject(&name, value.to_string(), "a number")),
                },
                (_, value) => {
                    let expected = "rotary frequencies without scaling";
                    return Err(keys.reject(&name, value.to_string(), expected));
                }
            }
        }
    }
    Ok(theta.unwrap_or(ROPE_THETA))
}
