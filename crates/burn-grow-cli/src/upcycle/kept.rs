//! What of the function of a dense model is kept.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::settings::{Router, RoutingWeights, Upcycling};

/// What of the function of a dense model a model with experts keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kept {
    /// All of it, up to rounding.
    Exactly,
    /// All of it but for the noise on the copies.
    UpToNoise {
        /// The size of the noise.
        noise: f64,
    },
    /// Not all of it.
    Not {
        /// Why.
        reason: String,
    },
}

impl Kept {
    /// Tells what `upcycling` keeps. `equal` says that all scores of a router are equal.
    pub(super) fn by(upcycling: &Upcycling, equal: bool) -> Self {
        let Upcycling {
            experts,
            top_k,
            granularity,
            ..
        } = upcycling;
        // Then no choice is made, and the softmax sums to one.
        let all = top_k == experts;
        if equal && !all && *granularity > 1 {
            return Self::Not {
                reason: format!(
                    "the scores of a zero router are equal, so that a token takes any {} of {} \
                     experts, and not every part of a copy as often as the others: draw the \
                     router, cut nothing, or let a token take all experts",
                    top_k * granularity,
                    experts * granularity
                ),
            };
        }
        if upcycling.weights == RoutingWeights::Softmax && !equal && !all {
            return Self::Not {
                reason: format!(
                    "the weights of the {} experts of a token sum to what its scores say: the \
                     factor of {:.4} makes up for the sum at equal scores; let them sum to one, or \
                     take a zero router",
                    top_k * granularity,
                    upcycling.scale()
                ),
            };
        }
        match upcycling.noise {
            0.0 => Self::Exactly,
            noise => Self::UpToNoise { noise },
        }
    }
}

/// Why the experts stay alike, if they do.
pub(super) fn alike(upcycling: &Upcycling) -> Option<String> {
    let alike = upcycling.router == Router::Zero && upcycling.noise == 0.0;
    (alike && upcycling.experts > 1).then(|| {
        "the copies are equal, and so are their scores: only which of them a token takes makes \
         them different, and that is by chance; noise or a drawn router does"
            .into()
    })
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly => f.write_str("kept, up to rounding"),
            Self::UpToNoise { noise } => {
                write!(f, "kept up to the noise of {noise} on the copies")
            }
            Self::Not { reason } => write!(f, "not kept: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table: granularity, top k of 8, router, weights, noise, and if the function is kept.
    #[test]
    fn a_function_is_kept_where_every_part_counts_as_much() {
        use Router::{Drawn, Zero};
        use RoutingWeights::{Normalized, Softmax};
        for (granularity, top_k, router, weights, kept) in [
            (1, 2, Drawn, Normalized, true),
            (4, 2, Drawn, Normalized, true),
            (1, 2, Zero, Normalized, true),
            (4, 2, Zero, Normalized, false),
            (4, 8, Zero, Normalized, true),
            (1, 2, Drawn, Softmax, false),
            (1, 2, Zero, Softmax, true),
            (4, 2, Zero, Softmax, false),
            (4, 8, Drawn, Softmax, true),
            (4, 8, Zero, Softmax, true),
        ] {
            let upcycling = Upcycling::new("mixtral", 8, top_k)
                .with_granularity(granularity)
                .with_router(router)
                .with_weights(weights);
            let found = Kept::by(&upcycling, router == Zero);
            assert_eq!(found == Kept::Exactly, kept, "{upcycling:?}: {found}");
            let noisy = upcycling.with_noise(0.5);
            let found = Kept::by(&noisy, router == Zero);
            let up_to = Kept::UpToNoise { noise: 0.5 };
            assert_eq!(found == up_to, kept, "{noisy:?}: {found}");
        }
    }
}
