//! The rule that a model's numbers follow its widths by.

use serde::{Deserialize, Serialize};

/// How rates, initialization and output multipliers follow the widths of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The standard parametrization: matrices begin with a standard deviation of `1/sqrt(fan_in)`,
    /// and nothing else follows a width.
    #[default]
    Standard,
    /// The maximal update parametrization, muP: every activation and every change of one keeps its
    /// size at any width, so that the best rate stays where it is
    /// ([arXiv 2203.03466](https://arxiv.org/abs/2203.03466), Tables 3 and 8).
    Mup(Readout),
}

/// Where muP puts the `1/width` of a readout: a parameter that reads a width and makes none, such as
/// a language-model head or the router of a mixture of experts.
///
/// Both give the same training up to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// In the weights, by their initialization and their rate (Table 3). The model needs no other
    /// `forward`, and an expansion, which divides the weights, keeps to it.
    #[default]
    Weights,
    /// In a factor that `forward` multiplies the outputs by, as `MuReadout` of
    /// [`mup`](https://github.com/microsoft/mup) does (Table 8).
    Multiplier,
}
