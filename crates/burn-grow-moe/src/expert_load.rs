//! How evenly the experts are used.

use burn_grow_kernels::Routing;

/// How evenly the tokens of a batch were spread over the experts.
///
/// ```
/// use burn_core::tensor::{Device, Tensor};
/// use burn_grow_moe::{ExpertLoad, Routing};
///
/// // Four tokens, two experts, one choice each: three tokens go to expert 0.
/// let probabilities = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]];
/// let probabilities = Tensor::from_data(probabilities, &Device::flex());
/// let routing = Routing::choose(&probabilities, 1);
/// let load = ExpertLoad::of([&routing]);
/// assert_eq!((load.max_share, load.tokens), (0.75, 4));
/// assert!((load.entropy - 0.811).abs() < 1e-3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertLoad {
    /// The entropy of the experts' shares of the slots as a fraction of that of equal shares, the
    /// mean over layers: 1 when every expert gets as many tokens, 0 when one gets all.
    pub entropy: f64,
    /// The largest share of the tokens that one expert of one layer got, between
    /// `top_k / n_experts` and 1.
    pub max_share: f64,
    /// The number of tokens of one layer.
    pub tokens: usize,
}

impl ExpertLoad {
    /// Measures the layers of one forward pass, whose load is read from the device.
    ///
    /// A layer of one expert counts as even, a layer without tokens does not count.
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a Routing>) -> Self {
        let (mut entropy, mut max_share, mut tokens, mut count) = (0.0, 0.0_f64, 0, 0);
        for layer in layers.into_iter().filter(|layer| layer.tokens() > 0) {
            let load = layer.read_load();
            entropy += evenness(&load);
            let most = load.iter().copied().max().unwrap_or(0);
            max_share = max_share.max(most as f64 / layer.tokens() as f64);
            tokens = layer.tokens();
            count += 1;
        }
        Self {
            entropy: entropy / f64::from(count.max(1)),
            max_share,
            tokens,
        }
    }
}

/// The entropy of the shares, as a fraction of the largest possible one.
fn evenness(load: &[usize]) -> f64 {
    if load.len() < 2 {
        return 1.0;
    }
    let total: usize = load.iter().sum();
    let shares = load.iter().filter(|count| **count > 0);
    let shares = shares.map(|count| *count as f64 / total as f64);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    entropy / (load.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use burn_core::tensor::{Device, Tensor, TensorData};

    use super::*;

    /// `rows` tokens, each with these probabilities.
    fn routed(rows: &[&[f32]], top_k: usize) -> Routing {
        let shape = [rows.len(), rows[0].len()];
        let data = TensorData::new(rows.concat(), shape);
        Routing::choose(&Tensor::from_data(data, &Device::flex()), top_k)
    }

    #[test]
    fn equal_shares_are_as_even_as_can_be() {
        let even = routed(&[&[0.9, 0.1], &[0.1, 0.9]], 1);
        let load = ExpertLoad::of([&even]);
        assert_eq!((load.entropy, load.max_share, load.tokens), (1.0, 0.5, 2));
        // Every token has both experts.
        let load = ExpertLoad::of([&routed(&[&[0.9, 0.1], &[0.9, 0.1]], 2)]);
        assert_eq!((load.entropy, load.max_share), (1.0, 1.0));
    }

    #[test]
    fn one_expert_for_all_has_no_entropy() {
        let one = routed(&[&[0.9, 0.1, 0.0], &[0.8, 0.1, 0.1]], 1);
        let load = ExpertLoad::of([&one]);
        assert_eq!((load.entropy, load.max_share), (0.0, 1.0));
    }

    #[test]
    fn entropy_is_the_mean_and_the_share_the_largest_of_the_layers() {
        let even = routed(&[&[0.9, 0.1], &[0.1, 0.9]], 1);
        let one = routed(&[&[0.9, 0.1], &[0.8, 0.2]], 1);
        let load = ExpertLoad::of([&even, &one]);
        assert_eq!((load.entropy, load.max_share), (0.5, 1.0));
        // Shares of 3/4 and 1/4: (3/4 ln 4/3 + 1/4 ln 4) / ln 2.
        let uneven = routed(&[&[1.0, 0.0], &[1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]], 1);
        let load = ExpertLoad::of([&uneven]);
        assert!((load.entropy - 0.811_278_124_459_132_8).abs() < 1e-12);
        assert_eq!(load.max_share, 0.75);
    }

    #[test]
    fn a_dense_layer_is_even() {
        let load = ExpertLoad::of([&routed(&[&[1.0], &[1.0]], 1)]);
        assert_eq!((load.entropy, load.max_share), (1.0, 1.0));
    }
}
