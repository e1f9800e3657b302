//! What becomes of a dense model, and how.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How the feed-forward of a dense model becomes experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upcycling {
    /// The family of the new model.
    pub to: String,
    /// The copies of the feed-forward. The model has `experts` times `granularity` experts.
    pub experts: usize,
    /// The copies that a token takes. It takes `top_k` times `granularity` experts.
    pub top_k: usize,
    /// The parts in which every copy is cut.
    pub granularity: usize,
    /// What the router holds.
    pub router: Router,
    /// How the experts of a token are weighed.
    pub weights: RoutingWeights,
    /// The standard deviation of the noise on all copies but the first, relative to the RMS of each
    /// matrix.
    pub noise: f64,
    /// Seed of everything random.
    pub seed: u64,
}

/// What a router holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Router {
    /// Random numbers with the standard deviation that the configuration says, equal for the parts
    /// of a copy.
    #[default]
    Drawn,
    /// Zeros: all experts have equal scores, and which of them a token takes is by chance.
    Zero,
}

/// How the experts of a token are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingWeights {
    /// Their weights sum to one.
    #[default]
    Normalized,
    /// By the softmax over all experts, so that the weights of some sum to less than one.
    Softmax,
}

impl Upcycling {
    /// Cuts nothing, draws the router and adds no noise.
    pub fn new(to: impl Into<String>, experts: usize, top_k: usize) -> Self {
        Self {
            to: to.into(),
            experts,
            top_k,
            granularity: 1,
            router: Router::default(),
            weights: RoutingWeights::default(),
            noise: 0.0,
            seed: 0,
        }
    }

    /// Cuts every copy in so many parts.
    pub fn with_granularity(mut self, granularity: usize) -> Self {
        self.granularity = granularity;
        self
    }

    /// Sets what the router holds.
    pub fn with_router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// Sets how the experts of a token are weighed.
    pub fn with_weights(mut self, weights: RoutingWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Adds noise to all copies but the first.
    pub fn with_noise(mut self, noise: f64) -> Self {
        self.noise = noise;
        self
    }

    /// Sets the seed of everything random.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the numbers against each other.
    pub(super) fn check(&self) -> Result<(), Error> {
        let fault = |setting, found: String, expected: &str| {
            Err(Error::Setting {
                setting,
                found,
                expected: expected.into(),
            })
        };
        if self.experts == 0 {
            return fault("the number of experts", "0".into(), "one at least");
        }
        if self.granularity == 0 {
            return fault("the granularity", "0".into(), "one part at least");
        }
        if self.experts.checked_mul(self.granularity).is_none() {
            let found = format!("{} x {}", self.experts, self.granularity);
            return fault("the number of experts", found, "fewer");
        }
        if self.top_k == 0 || self.top_k > self.experts {
            let expected = format!("1 to {}, the number of copies", self.experts);
            return fault("the top k", self.top_k.to_string(), &expected);
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return fault("the noise", self.noise.to_string(), "a number from 0 on");
        }
        Ok(())
    }

    /// What the weights of the experts of a token sum to when all scores are equal.
    fn sum_of_weights(&self) -> f64 {
        match self.weights {
            RoutingWeights::Normalized => 1.0,
            RoutingWeights::Softmax => self.top_k as f64 / self.experts as f64,
        }
    }

    /// The factor on the last matrix of every expert that makes up for the weights: of a sum `s`,
    /// each of `g` parts of a copy has the `g`-th part, so that the factor is `g / s`.
    pub(super) fn scale(&self) -> f64 {
        self.granularity as f64 / self.sum_of_weights()
    }
}
