//! Init pairs: what the new coordinates of an axis hold.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The initialization of new coordinates on one side of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// The values of the unit that each one copies.
    #[default]
    Copy,
    /// Normal random numbers with the mean and the standard deviation of the old parameter.
    Random,
    /// Zeros.
    Zero,
}

/// The initialization of the new units of an axis: on the side that makes it, and on the side that
/// consumes it.
///
/// Written producer-consumer:
///
/// ```
/// # use burn_grow_core::GrowError;
/// use burn_grow_core::InitPair;
///
/// let pair: InitPair = "copy-zero".parse()?;
/// assert_eq!(pair, InitPair::COPY_ZERO);
/// assert_eq!(InitPair::default(), InitPair::COPY_COPY);
/// # Ok::<(), GrowError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitPair {
    /// Initialization of the new outputs of the producers.
    pub producer: Init,
    /// Initialization of the new columns of the consumers.
    pub consumer: Init,
}

impl InitPair {
    /// Copies on both sides: the paper's method.
    pub const COPY_COPY: Self = Self::new(Init::Copy, Init::Copy);
    /// Randomly initialized units.
    pub const RANDOM_RANDOM: Self = Self::new(Init::Random, Init::Random);
    /// Randomly initialized units with zero consumers: they have no effect yet.
    pub const RANDOM_ZERO: Self = Self::new(Init::Random, Init::Zero);
    /// Randomly initialized units, with the consumers of the units in their place.
    pub const RANDOM_COPY: Self = Self::new(Init::Random, Init::Copy);
    /// Units that output zero, with the consumers of the units in their place. They only learn
    /// through an activation with a slope at zero; Burn's ReLU has none, and behind it they stay
    /// silent.
    pub const ZERO_COPY: Self = Self::new(Init::Zero, Init::Copy);
    /// Copied units with zero consumers: they have no effect yet. Not in the paper.
    pub const COPY_ZERO: Self = Self::new(Init::Copy, Init::Zero);

    /// Every pair with a name of its own.
    pub const ALL: [Self; 6] = [
        Self::COPY_COPY,
        Self::RANDOM_RANDOM,
        Self::RANDOM_ZERO,
        Self::RANDOM_COPY,
        Self::ZERO_COPY,
        Self::COPY_ZERO,
    ];

    /// Creates a pair.
    pub const fn new(producer: Init, consumer: Init) -> Self {
        Self { producer, consumer }
    }
}

pub(super) const NAMES: [(Init, &str); 3] = [
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
