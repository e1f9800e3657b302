//! Init pairs as text, `copy-zero`: parsed, and serialized.

use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::init::{InitPair, NAMES};
use crate::error::GrowError;

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
