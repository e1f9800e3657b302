use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::GrowError;

/// What the new coordinates of one side of an axis hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// The unit that each one copies.
    #[default]
    Copy,
    /// Draws from a normal distribution with the mean and the standard deviation of the old
    /// parameter.
    Random,
    /// Zeros.
    Zero,
}

/// What the new coordinates of an axis hold: on the side that makes it, and on the side that consumes
/// it. Written producer-consumer, as in `copy-zero`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitPair {
    /// The new outputs of the producers.
    pub producer: Init,
    /// The new columns of the consumers.
    pub consumer: Init,
}

impl InitPair {
    /// The paper's default.
    pub const COPY_COPY: Self = Self::new(Init::Copy, Init::Copy);
    /// Fresh units.
    pub const RANDOM_RANDOM: Self = Self::new(Init::Random, Init::Random);
    /// Fresh units that nothing reads yet.
    pub const RANDOM_ZERO: Self = Self::new(Init::Random, Init::Zero);
    /// Fresh units, read as the copied ones are.
    pub const RANDOM_COPY: Self = Self::new(Init::Random, Init::Copy);
    /// Silent units, read as the copied ones are. They learn through activations with a slope at zero, which a ReLU has
    /// not in Burn: there they stay silent.
    pub const ZERO_COPY: Self = Self::new(Init::Zero, Init::Copy);
    /// Copied units that nothing reads yet. Not in the paper.
    pub const COPY_ZERO: Self = Self::new(Init::Copy, Init::Zero);

    /// The pairs that have a name of their own.
    pub const ALL: [Self; 6] = [
        Self::COPY_COPY,
        Self::RANDOM_RANDOM,
        Self::RANDOM_ZERO,
        Self::RANDOM_COPY,
        Self::ZERO_COPY,
        Self::COPY_ZERO,
    ];

    /// A pair.
    pub const fn new(producer: Init, consumer: Init) -> Self {
        Self { producer, consumer }
    }
}

const NAMES: [(Init, &str); 3] = [
    (Init::Copy, "copy"),
    (Init::Random, "random"),
    (Init::Zero, "zero"),
];

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(init, _)| init == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl fmt::Display for InitPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.producer, self.consumer)
    }
}

impl FromStr for InitPair {
    type Err = GrowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let init = |name| NAMES.iter().find(|(_, other)| *other == name);
        let pair = text
            .split_once('-')
            .and_then(|(producer, consumer)| Some((init(producer)?, init(consumer)?)));
        match pair {
            Some(((producer, _), (consumer, _))) => Ok(Self::new(*producer, *consumer)),
            None => Err(GrowError::InitPair { text: text.into() }),
        }
    }
}

impl Serialize for InitPair {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InitPair {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_reads_back_what_it_prints() {
        for pair in InitPair::ALL {
            assert_eq!(pair.to_string().parse(), Ok(pair));
        }
        for text in ["copy", "copy-", "copy-none", "zero-copy-zero"] {
            assert!(text.parse::<InitPair>().is_err(), "{text}");
        }
    }
}
