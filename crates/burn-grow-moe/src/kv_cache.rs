//! The cache for generating token by token.

use burn_core::tensor::Tensor;

/// The keys and values of the tokens that a model has seen, layer by layer.
///
/// Passed to [`forward_cached`](crate::MoeTransformer::forward_cached), which computes only new
/// tokens and adds theirs.
///
/// ```
/// # use burn_core::tensor::{Device, Int, Tensor};
/// # use burn_grow_moe::{KvCache, MoeConfig};
/// let device = Device::flex();
/// let model = MoeConfig::default().init(&device);
/// let mut cache = KvCache::new();
/// model.forward_cached(Tensor::<2, Int>::zeros([1, 8], &device), &mut cache);
/// let next = model.forward_cached(Tensor::<2, Int>::ones([1, 1], &device), &mut cache);
/// assert_eq!((next.logits.dims(), cache.seq()), ([1, 1, 256], 9));
/// ```
#[derive(Clone, Debug, Default)]
pub struct KvCache {
    layers: Vec<KeyValues>,
}

impl KvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tokens seen.
    pub fn seq(&self) -> usize {
        self.layers.first().map_or(0, KeyValues::seq)
    }

    pub(crate) fn layer(&mut self, layer: usize) -> &mut KeyValues {
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, KeyValues::default);
        }
        &mut self.layers[layer]
    }
}

/// The keys and values of one layer, `[batch, seq, n_kv_heads, head_dim]` each; `None` before the
/// first token.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyValues(Option<(Tensor<4>, Tensor<4>)>);

impl KeyValues {
    fn seq(&self) -> usize {
        self.0.as_ref().map_or(0, |(keys, _)| keys.dims()[1])
    }

    /// Adds the keys and values of new tokens, and returns all.
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let all = match self.0.take() {
            Some((past_keys, past_values)) => (
                Tensor::cat(vec![past_keys, keys], 1),
                Tensor::cat(vec![past_values, values], 1),
            ),
            None => (keys, values),
        };
        self.0.insert(all).clone()
    }
}
