//! The numbers that the consumers of an axis are multiplied with.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The factor that the fan-in side of an axis is multiplied with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// One number for all units.
    Uniform(f64),
    /// One number for each unit of the new axis.
    PerUnit(Vec<f64>),
}

impl Factor {
    /// Returns the number that all units share, or `None` if units differ.
    pub fn uniform(&self) -> Option<f64> {
        match self {
            Self::Uniform(factor) => Some(*factor),
            Self::PerUnit(_) => None,
        }
    }

    /// Returns the factor of unit `unit`.
    pub fn of(&self, unit: usize) -> f64 {
        match self {
            Self::Uniform(factor) => *factor,
            Self::PerUnit(factors) => factors[unit],
        }
    }

    /// Creates a uniform factor if all numbers are equal.
    pub(crate) fn per_unit(factors: Vec<f64>) -> Self {
        match factors.first() {
            Some(first) if factors.iter().all(|factor| factor == first) => Self::Uniform(*first),
            _ => Self::PerUnit(factors),
        }
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform(factor) => write!(f, "{factor:.4}"),
            Self::PerUnit(factors) => {
                let low = factors.iter().copied().fold(f64::MAX, f64::min);
                let high = factors.iter().copied().fold(f64::MIN, f64::max);
                write!(f, "{low:.4}..{high:.4}")
            }
        }
    }
}
