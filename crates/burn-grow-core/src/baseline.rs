use serde::{Deserialize, Serialize};

/// What others do, for comparison: not this project's method, and not recommended.
///
/// All of them keep the function where norms allow it, Net2Net up to its noise. They differ in how the copies are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Consumers divided unevenly: a kept unit gets `1 - a` of its column, its copies share `a`.
    /// LEMON (arXiv 2310.07999) and Table 7.
    UnevenSplit(SplitRatio),
    /// The consumer columns of a unit's copies, times `1 + size` and `1 - size` in turn, the sign drawn
    /// for every weight: the sum stays.
    Perturbation {
        /// The relative size, 0.1 for ten per cent.
        size: f64,
    },
    /// New units in pairs: both draw the same producer, and their consumers cancel. Variance transfer
    /// (arXiv 2306.12700).
    FunctionPreservingRandom,
    /// A random copy map, and noise on the producers of the copies. Net2WiderNet (arXiv 1511.05641).
    Net2Net {
        /// The standard deviation of the noise, relative to the RMS of the parameter.
        noise: f64,
    },
    /// Noise of opposite sign on the consumer columns of a unit's copies: the sum stays. HyperCloning
    /// (arXiv 2409.12903).
    HyperCloning {
        /// The signal-to-noise ratio in decibels.
        snr_db: f64,
    },
}

impl Baseline {
    /// The numbers that make it, which have to be some.
    pub(crate) fn numbers(self) -> [f64; 2] {
        match self {
            Self::UnevenSplit(SplitRatio::Fixed(share)) => [share; 2],
            Self::UnevenSplit(SplitRatio::Uniform(low, high)) => [low, high],
            Self::Perturbation { size: number } | Self::Net2Net { noise: number } => [number; 2],
            Self::FunctionPreservingRandom => [0.0; 2],
            Self::HyperCloning { snr_db } => [snr_db, amplitude(snr_db)],
        }
    }
}

/// The size of noise relative to the signal, from decibels.
pub(crate) fn amplitude(snr_db: f64) -> f64 {
    10f64.powf(-snr_db / 20.0)
}

/// The part of a consumer column that goes to the copies of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRatio {
    /// The same for every unit; 1/3 splits 1:2.
    Fixed(f64),
    /// Drawn for every unit, uniformly between the two.
    Uniform(f64, f64),
}

/// Noise of a rival, as the plan applies it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Noise {
    /// On new producer coordinates: normal, with this standard deviation relative to the parameter's
    /// RMS.
    Producer(f64),
    /// On consumer columns, opposite in sign on the copies of a unit: normal, with this standard
    /// deviation relative to the parameter's RMS.
    Opposite(f64),
    /// On consumer columns, opposite in sign on the copies of a unit: this fraction of the weight
    /// itself, the sign drawn.
    OppositeSign(f64),
}
