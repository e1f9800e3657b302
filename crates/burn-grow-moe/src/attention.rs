//! Attention.

use core::ops::Range;

use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::{DType, Device, Tensor};
use burn_grow_derive::Growable;
use burn_grow_kernels::{Positions, RotaryAngles, causal_attention, norm_rotate, rotate};
use burn_nn::Linear;

use crate::config::QkNorm;
use crate::head_norm::HeadNorm;
use crate::kv_cache::KeyValues;
use crate::projection::project;
use crate::weight_init::WeightInit;

/// Causal grouped-query attention with normalized queries and keys, and rotary positions.
///
/// `o(softmax(rot(norm(q x)) rot(norm(k x))^T / sqrt(head_dim)) v x)`, no biases. The norms
/// ([`QkNorm`]) keep the scores in range at every width of the residual stream. `clip_qkv` clamps
/// the normalized queries and keys, and the values.
///
/// Heads lie on two axes: `"kv_heads"`, the key heads, each with all query heads that read it, and
/// `"queries"`, the query heads of one key head. Query head `h` reads key head `h / queries`, so
/// `"kv_heads"` is the outer axis. A new query head of zeros is not silent: its scores are all
/// zero, so it answers with the mean of the values.
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct Attention {
    /// `[hidden, n_kv_heads * queries * head_dim]`
    #[grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = self.head_dim))]
    pub q_proj: Linear,
    /// `[hidden, n_kv_heads * head_dim]`. Keys multiply queries: if both were zero, neither would
    /// learn.
    #[grow(fan_in = "hidden", gate("kv_heads", unit = self.head_dim))]
    pub k_proj: Linear,
    /// `[hidden, n_kv_heads * head_dim]`
    #[grow(fan_in = "hidden", fan_out("kv_heads", unit = self.head_dim))]
    pub v_proj: Linear,
    /// `[n_kv_heads * queries * head_dim, hidden]`
    #[grow(fan_in("kv_heads", "queries", unit = self.head_dim), fan_out = "hidden")]
    pub o_proj: Linear,
    /// The norm of the queries.
    #[grow(gain("kv_heads", "queries", unit = self.head_dim))]
    pub q_norm: HeadNorm,
    /// The norm of the keys.
    #[grow(gain("kv_heads", unit = self.head_dim))]
    pub k_norm: HeadNorm,
    /// The number of key and value heads.
    #[grow(width = "kv_heads")]
    pub n_kv_heads: usize,
    /// The number of query heads that share a key head.
    #[grow(width = "queries")]
    pub queries: usize,
    /// The size of a head.
    #[grow(frozen(
        "head_dim",
        "the rotary frequencies and the scale of the scores depend on the size of a head; grow \
         `kv_heads` or `queries`"
    ))]
    pub head_dim: usize,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// The bound that queries, keys and values are clamped to.
    pub clip_qkv: Option<f64>,
}

impl Attention {
    pub(crate) fn new(init: &WeightInit<'_>) -> Self {
        let config = init.config;
        let queries = config.n_heads * config.head_dim;
        let keys = config.n_kv_heads * config.head_dim;
        Self {
            q_proj: init.linear(config.hidden, queries),
            k_proj: init.linear(config.hidden, keys),
            v_proj: init.linear(config.hidden, keys),
            o_proj: init.linear(queries, config.hidden),
            q_norm: HeadNorm::new(init, config.n_heads),
            k_norm: HeadNorm::new(init, config.n_kv_heads),
            n_kv_heads: config.n_kv_heads,
            queries: config.n_heads / config.n_kv_heads,
            head_dim: config.head_dim,
            rope_theta: config.rope_theta,
            clip_qkv: config.clip_qkv,
        }
    }

    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(&self, x: Tensor<3>, positions: &Positions) -> Tensor<3> {
        self.attend(x, positions, None)
    }

    /// As [`forward`](Self::forward), where `x` follows the tokens of the cache, if there is one.
    pub(crate) fn attend(
        &self,
        x: Tensor<3>,
        positions: &Positions,
        cache: Option<&mut KeyValues>,
    ) -> Tensor<3> {
        let [batch, seq, hidden] = x.dims();
        // One matrix product instead of one for each batch item.
        let x = x.reshape([batch * seq, hidden]);
        let heads = |projection: &Linear, count: usize| {
            project(projection, x.clone()).reshape([batch, seq, count, self.head_dim])
        };
        let turned = |heads: Tensor<4>, norm: &HeadNorm| match (norm.over, self.clip_qkv) {
            (QkNorm::PerHead, None) => {
                norm_rotate(heads, norm.gamma.val(), norm.epsilon, positions)
            }
            _ => rotate(self.clipped(norm.forward(heads)), positions),
        };
        let q = turned(heads(&self.q_proj, self.n_heads()), &self.q_norm);
        let k = turned(heads(&self.k_proj, self.n_kv_heads), &self.k_norm);
        let v = self.clipped(heads(&self.v_proj, self.n_kv_heads));
        let (k, v) = match cache {
            Some(cache) => cache.append(k, v),
            None => (k, v),
        };
        let out = causal_attention(q, k, v, positions);
        let out = out.reshape([batch * seq, self.n_heads() * self.head_dim]);
        project(&self.o_proj, out).reshape([batch, seq, hidden])
    }

    fn clipped(&self, x: Tensor<4>) -> Tensor<4> {
        match self.clip_qkv {
            Some(bound) => x.clamp(-bound, bound),
            None => x,
        }
    }

    /// The number of query heads.
    pub fn n_heads(&self) -> usize {
        self.n_kv_heads * self.queries
    }

    /// The positions of `range`, which the layers of one forward pass share.
    pub fn positions(&self, range: Range<usize>, dtype: DType, device: &Device) -> Positions {
        let angles = RotaryAngles::new(range, self.head_dim, self.rope_theta);
        Positions::new(angles, self.queries, dtype, device.clone())
    }
}
