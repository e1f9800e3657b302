//! Copy maps: which old unit each new unit copies.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::generator;

/// The order in which old units and their copies stand on a grown axis of `d` old and `d'` new
/// units.
///
/// The first place of a unit on the new axis is the unit itself; later ones are its copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyMap {
    /// New unit `i` copies old unit `i mod d`: old units keep their places, copies follow in order.
    #[default]
    Block,
    /// New unit `i` copies old unit `floor(i d / d')`: the copies of a unit stand beside it.
    Interleaved,
    /// Old units keep their places, and every other unit copies a random one, as in Net2Net.
    Random,
}

impl CopyMap {
    /// Lists the old unit that each of `new_width` units is or copies. `seed` and `key`, the name
    /// of the axis, determine the random map.
    pub fn source(self, old_width: usize, new_width: usize, seed: u64, key: &str) -> Vec<usize> {
        match self {
            Self::Block => (0..new_width).map(|unit| unit % old_width).collect(),
            Self::Interleaved => (0..new_width)
                .map(|unit| unit * old_width / new_width)
                .collect(),
            Self::Random => {
                let mut generator = generator(seed, key);
                let copies = (old_width..new_width).map(|_| generator.random_range(0..old_width));
                (0..old_width).chain(copies).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_map_keeps_every_old_unit() {
        assert_eq!(CopyMap::Block.source(2, 5, 0, "a"), [0, 1, 0, 1, 0]);
        assert_eq!(CopyMap::Interleaved.source(2, 5, 0, "a"), [0, 0, 0, 1, 1]);
        assert_eq!(
            CopyMap::Interleaved.source(4, 6, 0, "a"),
            [0, 0, 1, 2, 2, 3]
        );
        let random = CopyMap::Random.source(4, 40, 7, "a");
        assert_eq!(random[..4], [0, 1, 2, 3]);
        assert!((0..4).all(|unit| random[4..].contains(&unit)));
        assert_eq!(random, CopyMap::Random.source(4, 40, 7, "a"));
        assert_ne!(random, CopyMap::Random.source(4, 40, 8, "a"));
        assert_ne!(random, CopyMap::Random.source(4, 40, 7, "b"));
    }
}
