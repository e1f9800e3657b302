//! Text from a model, byte by byte.

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow::moe::{KvCache, MoeTransformer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Draws bytes from logits.
pub struct Sampler {
    temperature: f64,
    rng: StdRng,
}

impl Sampler {
    /// One that draws from `softmax(logits / temperature)`, and takes the most probable byte at temperature 0.
    pub fn new(temperature: f64, seed: u64) -> Self {
        Self {
            temperature,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The next byte.
    pub fn draw(&mut self, logits: &[f32]) -> usize {
        let by_logit = |a: &(usize, &f32), b: &(usize, &f32)| a.1.total_cmp(b.1);
        let largest = logits.iter().enumerate().max_by(by_logit);
        let Some((most_probable, largest)) = largest else {
            return 0;
        };
        if self.temperature <= 0.0 {
            return most_probable;
        }
        let weight = |logit: &f32| (f64::from(logit - largest) / self.temperature).exp();
        let weights: Vec<f64> = logits.iter().map(weight).collect();
        let mut left = self.rng.random::<f64>() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        chosen.unwrap_or(most_probable)
    }
}

/// Continues `prompt` by `count` bytes.
///
/// A model knows no more positions than the `context` it was trained on: once these are full, it reads the newer
/// half of them again and goes on. A prompt longer than that is read from its last bytes; an empty one begins
/// with a new line.
pub fn generate(
    model: &MoeTransformer,
    prompt: &[u8],
    count: usize,
    context: usize,
    sampler: &mut Sampler,
) -> Vec<u8> {
    let device = model.embedding.weight.device();
    let mut text = match prompt {
        [] => vec![b'\n'],
        _ => prompt.to_vec(),
    };
    let given = text.len();
    let mut cache = KvCache::new();
    let mut unread = text.len().min(context);
    for _ in 0..count {
        if cache.seq() + unread > context {
            cache = KvCache::new();
            unread = (context / 2).max(1).min(text.len());
        }
        let tokens = tokens(&text[text.len() - unread..], &device);
        let logits = model.forward_cached(tokens, &mut cache).logits;
        let logits = logits.slice([0..1, unread - 1..unread]).into_data();
        let logits: Vec<f32> = logits.iter().collect();
        text.push(sampler.draw(&logits) as u8);
        unread = 1;
    }
    text.split_off(given)
}

/// `[1, bytes]`
fn tokens(bytes: &[u8], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i64> = bytes.iter().copied().map(i64::from).collect();
    Tensor::from_data(TensorData::new(values, [1, bytes.len()]), device)
}

#[cfg(test)]
mod tests {
    use burn_grow::moe::MoeConfig;

    use super::*;

    fn model() -> MoeTransformer {
        let device = Device::flex();
        device.seed(3);
        // Large enough weights for logits that differ.
        let config = MoeConfig {
            init_std: 0.3,
            ..MoeConfig::default()
        };
        config.init(&device)
    }

    #[test]
    fn the_cache_changes_nothing() {
        let model = model();
        let greedy = || Sampler::new(0.0, 0);
        let found = generate(&model, b"fn main", 20, 64, &mut greedy());
        let mut text = b"fn main".to_vec();
        for byte in &found {
            let logits = model.forward(tokens(&text, &Device::flex())).logits;
            let last = logits.slice([0..1, text.len() - 1..text.len()]).into_data();
            let last: Vec<f32> = last.iter().collect();
            assert_eq!(greedy().draw(&last), usize::from(*byte));
            text.push(*byte);
        }
    }

    #[test]
    fn text_goes_on_beyond_the_context() {
        let model = model();
        let mut greedy = Sampler::new(0.0, 0);
        let found = generate(&model, b"a prompt longer than that", 30, 8, &mut greedy);
        assert_eq!(found.len(), 30);
        // Byte by byte: the last 8 of the prompt, then the newer half whenever 8 are read.
        let mut text = b"a prompt longer than that".to_vec();
        let mut read = 8;
        for byte in found {
            let logits = model.forward(tokens(&text[text.len() - read..], &Device::flex()));
            let last = logits.logits.slice([0..1, read - 1..read]).into_data();
            let last: Vec<f32> = last.iter().collect();
            assert_eq!(greedy.draw(&last), usize::from(byte));
            text.push(byte);
            read = if read == 8 { 4 } else { read + 1 };
        }
    }

    #[test]
    fn a_seed_gives_one_text() {
        let model = model();
        let text = |seed| generate(&model, b"", 24, 32, &mut Sampler::new(1.0, seed));
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn bytes_are_drawn_as_often_as_they_are_probable() {
        let shares: [f64; 4] = [0.5, 0.3, 0.2, 0.0];
        let logits = shares.map(|share| (share.ln() / 2.0) as f32);
        let mut sampler = Sampler::new(0.5, 7);
        let mut counts = [0; 4];
        let draws = 20_000;
        for _ in 0..draws {
            counts[sampler.draw(&logits)] += 1;
        }
        for (count, share) in counts.into_iter().zip(shares) {
            let found = f64::from(count) / f64::from(draws);
            // Four standard deviations of a share of a half.
            assert!((found - share).abs() < 0.015, "{found} for {share}");
        }
    }
}
