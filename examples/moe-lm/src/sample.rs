//! Text from the model, byte by byte.

use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData};
use burn_grow::moe::{KvCache, MoeTransformer};
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;

/// Continues `prompt` by `count` bytes, drawn from `softmax(logits / temperature)`.
///
/// The cache keeps what was computed of earlier bytes. A model knows no more positions than the
/// `context` it was trained on: once these are full, the newer half of them is read again.
pub(crate) fn generate(
    model: &MoeTransformer,
    prompt: &[u8],
    count: usize,
    context: usize,
    temperature: f64,
    seed: u64,
) -> Result<Vec<u8>> {
    let device = model.embedding.weight.device();
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = prompt.to_vec();
    let mut cache = KvCache::new();
    let mut unread = text.len().min(context);
    for _ in 0..count {
        if cache.seq() + unread > context {
            cache = KvCache::new();
            unread = (context / 2).min(text.len());
        }
        let bytes = &text[text.len() - unread..];
        let bytes: Vec<i64> = bytes.iter().copied().map(i64::from).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(bytes, [1, unread]), &device);
        let logits = model.forward_cached(tokens, &mut cache).logits;
        let last = logits.narrow(1, unread - 1, 1) / temperature;
        let weights = softmax(last, 2).into_data();
        let next = WeightedIndex::new(weights.iter::<f32>())?.sample(&mut random);
        text.push(next as u8);
        unread = 1;
    }
    Ok(text.split_off(prompt.len()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use burn_grow::moe::MoeConfig;

    use super::*;

    #[test]
    fn a_seed_gives_one_text_that_goes_on_beyond_the_context() {
        let device = Device::flex();
        device.seed(3);
        let model = MoeConfig::default().init(&device);
        let text = |seed| generate(&model, b"fn main", 40, 16, 1.0, seed).expect("text");
        assert_eq!(text(1).len(), 40);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
