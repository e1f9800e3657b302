//! The names and shapes of a model's tensors in a checkpoint.

use core::ops::Range;

use crate::config::{MoeConfig, QkNorm};

/// The end of the names of buffers that old files hold; `transformers` ignores them, too.
pub(super) const IGNORED: &str = ".rotary_emb.inv_freq";

/// The place of a parameter in a checkpoint of `transformers`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its path in the model.
    pub(super) path: String,
    /// True if its last two dimensions are swapped: `[out, in]` there, `[in, out]` here.
    pub(super) transposed: bool,
    /// Its tensors: one, or one for every expert.
    pub(super) tensors: Vec<String>,
    /// The shape of each of them.
    pub(super) shape: Vec<usize>,
    /// A tensor of all experts that may hold it instead.
    pub(super) packed: Option<Packed>,
}

/// A tensor of all experts, `[n_experts, out, in]`.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// The outputs that are the parameter's.
    pub(super) rows: Range<usize>,
}

/// The output projection in a checkpoint.
pub(super) const LM_HEAD: &str = "lm_head.weight";

/// The embedding in the model and in a checkpoint.
pub(super) const EMBEDDING: [&str; 2] = ["embedding.weight", "model.embed_tokens.weight"];

/// The entries of all parameters of a model.
pub(super) fn entries(config: &MoeConfig) -> Vec<Entry> {
    let table = vec![config.vocab_size, config.hidden];
    let mut entries = vec![
        entry(EMBEDDING[0], EMBEDDING[1], table.clone()),
        entry("norm.gamma", "model.norm.weight", vec![config.hidden]),
    ];
    if !config.tied_embeddings {
        entries.push(linear(LM_HEAD, LM_HEAD, table));
    }
    for layer in 0..config.n_layers {
        entries.extend(attention(config, layer));
        entries.extend(experts(config, layer));
    }
    entries
}

fn attention(config: &MoeConfig, layer: usize) -> impl Iterator<Item = Entry> {
    let hidden = config.hidden;
    let queries = config.n_heads * config.head_dim;
    let keys = config.n_kv_heads * config.head_dim;
    let [q_norm, k_norm] = match config.qk_norm {
        QkNorm::PerHead => [config.head_dim; 2],
        QkNorm::FullWidth => [queries, keys],
    };
    let projections = [
        ("q_proj", vec![queries, hidden]),
        ("k_proj", vec![keys, hidden]),
        ("v_proj", vec![keys, hidden]),
        ("o_proj", vec![hidden, queries]),
    ];
    let norms = [
        ("attention_norm", "input_layernorm", hidden),
        ("attention.q_norm", "self_attn.q_norm", q_norm),
        ("attention.k_norm", "self_attn.k_norm", k_norm),
        ("feed_forward_norm", "post_attention_layernorm", hidden),
    ];
    let projections = projections.into_iter().map(move |(name, shape)| {
        linear(
            &format!("blocks.{layer}.attention.{name}.weight"),
            &format!("model.layers.{layer}.self_attn.{name}.weight"),
            shape,
        )
    });
    let norms = norms.into_iter().map(move |(path, name, size)| {
        entry(
            &format!("blocks.{layer}.{path}.gamma"),
            &format!("model.layers.{layer}.{name}.weight"),
            vec![size],
        )
    });
    projections.chain(norms)
}

fn experts(config: &MoeConfig, layer: usize) -> impl Iterator<Item = Entry> {
    let (n_experts, hidden, inner) = (config.n_experts, config.hidden, config.inner);
    let router = linear(
        &format!("blocks.{layer}.feed_forward.router.linear.weight"),
        &format!("model.layers.{layer}.mlp.gate.weight"),
        vec![n_experts, hidden],
    );
    let both = vec![n_experts, 2 * inner, hidden];
    let matrices = [
        ("gate_proj", [inner, hidden], "gate_up_proj", both.clone()),
        ("up_proj", [inner, hidden], "gate_up_proj", both),
        (
            "down_proj",
            [hidden, inner],
            "down_proj",
            vec![n_experts, hidden, inner],
        ),
    ];
    let matrices = matrices.into_iter().map(move |(name, shape, packed, all)| {
        let prefix = format!("model.layers.{layer}.mlp.experts");
        let first = match name {
            "up_proj" => inner,
            _ => 0,
        };
        Entry {
            path: format!("blocks.{layer}.feed_forward.{name}"),
            transposed: true,
            tensors: (0..n_experts)
                .map(|expert| format!("{prefix}.{expert}.{name}.weight"))
                .collect(),
            shape: shape.to_vec(),
            packed: Some(Packed {
                name: format!("{prefix}.{packed}"),
                shape: all,
                rows: first..first + shape[0],
            }),
        }
    });
    core::iter::once(router).chain(matrices)
}

fn entry(path: &str, name: &str, shape: Vec<usize>) -> Entry {
    Entry {
        path: path.into(),
        transposed: false,
        tensors: vec![name.into()],
        shape,
        packed: None,
    }
}

fn linear(path: &str, name: &str, shape: Vec<usize>) -> Entry {
    Entry {
        transposed: true,
        ..entry(path, name, shape)
    }
}
