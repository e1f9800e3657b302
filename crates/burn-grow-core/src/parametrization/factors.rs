//! The factors of one parameter.

use super::rule::{Readout, Rule};
use super::update::Update;

/// The factors of one parameter at its width: what each number is, as a multiple of what it is at the
/// base width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// Factor of the learning rate.
    pub rate: f64,
    /// Factor of the standard deviation at initialization.
    pub initialization: f64,
    /// Factor that `forward` multiplies the outputs by.
    pub multiplier: f64,
    /// Factor of the weight decay, where an optimizer multiplies it by the rate, as all of Burn's do:
    /// the product of both stays what it is.
    pub decay: f64,
}

impl Factors {
    /// The factors where nothing follows a width.
    pub const ONE: Self = Self {
        rate: 1.0,
        initialization: 1.0,
        multiplier: 1.0,
        decay: 1.0,
    };
}

/// How much wider than at its base a parameter is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Widening {
    /// Along what it reads; `None` if it reads no width.
    pub(super) fan_in: Option<f64>,
    /// Along what it makes; `None` if it makes no width.
    pub(super) fan_out: Option<f64>,
    /// The factor of its shape that an optimizer multiplies the rate by, as a multiple of that at
    /// the base.
    pub(super) shape: f64,
}

impl Widening {
    /// Computes the factors: Tables 3 and 8 of [arXiv 2203.03466](https://arxiv.org/abs/2203.03466)
    /// with `m = width / base` in place of a width.
    pub(super) fn factors(self, rule: Rule, update: Update) -> Factors {
        let (m_in, m_out) = (self.fan_in.unwrap_or(1.0), self.fan_out.unwrap_or(1.0));
        let readout = match rule {
            Rule::Standard => {
                return Factors {
                    initialization: m_in.sqrt().recip(),
                    ..Factors::ONE
                };
            }
            Rule::Mup(readout) => readout,
        };
        let is_readout = self.fan_in.is_some() && self.fan_out.is_none();
        // The weights of a readout are larger by this if `forward` divides its outputs.
        let larger = match readout {
            Readout::Multiplier if is_readout => m_in,
            Readout::Multiplier | Readout::Weights => 1.0,
        };
        let initialization = if is_readout { m_in } else { m_in.sqrt() }.recip() * larger;
        let rate = match update {
            Update::Elementwise => larger / m_in,
            // The gradient of larger weights is smaller by as much.
            Update::Gradient => larger.powi(2) * m_out / m_in,
            // The RMS of the weights is that of their initialization, up to a constant.
            Update::Relative => larger / m_in / initialization,
            Update::Orthogonal(_) => larger * (m_out / m_in).sqrt() / self.shape,
        };
        Factors {
            rate,
            initialization,
            multiplier: larger.recip(),
            decay: rate.recip(),
        }
    }
}
