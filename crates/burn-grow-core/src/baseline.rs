//! Published growth methods to compare with.
//!
//! They are not this project's method and not recommended. All of them keep the function where
//! norms allow it, Net2Net up to its noise; they differ in how the copies become different.

use serde::{Deserialize, Serialize};

/// A growth method of another paper.
///
/// ```
/// use burn_grow_core::Expansion;
/// use burn_grow_core::baseline::{Baseline, SplitRatio};
///
/// let net2net = Expansion::by("inner", 2.0).with_baseline(Baseline::Net2Net { noise: 0.01 });
/// let lemon = Baseline::UnevenSplit(SplitRatio::Fixed(1.0 / 3.0));
/// assert_eq!(lemon.to_string(), "uneven split");
/// # let _ = net2net;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Divides consumers unevenly: a kept unit gets `1 - a` of its column, its copies share `a`.
    /// LEMON ([arXiv 2310.07999](https://arxiv.org/abs/2310.07999)) and the paper's Table 7.
    UnevenSplit(SplitRatio),
    /// Multiplies the consumer columns of a unit and its copies with `1 + size` and `1 - size` in
    /// turn. The sign is random for every weight, and the sum stays.
    Perturbation {
        /// Relative size: 0.1 for ten percent.
        size: f64,
    },
    /// Adds new units in pairs that share one random producer and have opposite consumers. Variance
    /// transfer ([arXiv 2306.12700](https://arxiv.org/abs/2306.12700)).
    FunctionPreservingRandom,
    /// Copies random units and adds noise to the producers of the copies. Net2WiderNet
    /// ([arXiv 1511.05641](https://arxiv.org/abs/1511.05641)).
    Net2Net {
        /// Standard deviation of the noise, relative to the RMS of the parameter.
        noise: f64,
    },
    /// Adds noise of opposite sign to the consumer columns of a unit and its copies; the sum stays.
    /// HyperCloning ([arXiv 2409.12903](https://arxiv.org/abs/2409.12903)).
    HyperCloning {
        /// Signal-to-noise ratio in decibels.
        snr_db: f64,
    },
}

impl core::fmt::Display for Baseline {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnevenSplit(_) => f.write_str("uneven split"),
            Self::Perturbation { size } => write!(f, "perturbation {size}"),
            Self::FunctionPreservingRandom => f.write_str("function-preserving random"),
            Self::Net2Net { noise } => write!(f, "Net2Net, noise {noise}"),
            Self::HyperCloning { snr_db } => write!(f, "HyperCloning, {snr_db} dB"),
        }
    }
}

impl Baseline {
    /// Lists the numbers that have to be finite.
    pub(crate) fn numbers(self) -> [f64; 2] {
        match self {
            Self::UnevenSplit(SplitRatio::Fixed(ratio)) => [ratio; 2],
            Self::UnevenSplit(SplitRatio::Uniform(low, high)) => [low, high],
            Self::Perturbation { size: number } | Self::Net2Net { noise: number } => [number; 2],
            Self::FunctionPreservingRandom => [0.0; 2],
            Self::HyperCloning { snr_db } => [snr_db, amplitude(snr_db)],
        }
    }

    /// Returns the noise that the plan adds.
    pub(crate) fn noise(self) -> Option<Noise> {
        match self {
            Self::Perturbation { size } => Some(Noise::OppositeSign(size)),
            Self::HyperCloning { snr_db } => Some(Noise::Opposite(amplitude(snr_db))),
            Self::Net2Net { noise } => Some(Noise::Producer(noise)),
            Self::UnevenSplit(_) | Self::FunctionPreservingRandom => None,
        }
    }
}

/// Converts decibels to the size of the noise relative to the signal.
fn amplitude(snr_db: f64) -> f64 {
    10f64.powf(-snr_db / 20.0)
}

/// The part of a consumer column that goes to the copies of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRatio {
    /// The same ratio for every unit; 1/3 splits 1:2.
    Fixed(f64),
    /// A random ratio for every unit, uniform between the two.
    Uniform(f64, f64),
}

/// The noise of a baseline, as the plan applies it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Noise {
    /// Normal noise on new producer coordinates, with this standard deviation relative to the
    /// parameter's RMS.
    Producer(f64),
    /// Normal noise on consumer columns, opposite in sign on the copies of a unit, with this
    /// standard deviation relative to the parameter's RMS.
    Opposite(f64),
    /// Noise on consumer columns of this fraction of the weight itself, with a random sign,
    /// opposite on the copies of a unit.
    OppositeSign(f64),
}

impl Noise {
    /// Returns its relative size.
    pub(crate) fn size(self) -> f64 {
        let (Self::Producer(size) | Self::Opposite(size) | Self::OppositeSign(size)) = self;
        size
    }
}
