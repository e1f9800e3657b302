//! Active parameters: the share of a parameter that takes part in one token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::layout::Layout;

/// The fraction of a parameter that takes part in one token: a number times ratios of widths.
///
/// A mixture of 8 experts that sends a token to 2 of them has `ActiveFraction::ratio("top_k",
/// "experts")`, 0.25 now, and another value once either axis grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveFraction {
    /// A constant fraction.
    pub fraction: f64,
    /// Pairs of axes or products, `(part, whole)`: the width of the first divided by the width of
    /// the second multiplies the fraction.
    pub ratios: Vec<(Layout, Layout)>,
}

impl Default for ActiveFraction {
    fn default() -> Self {
        Self {
            fraction: 1.0,
            ratios: Vec::new(),
        }
    }
}

impl From<f64> for ActiveFraction {
    fn from(fraction: f64) -> Self {
        Self {
            fraction,
            ..Self::default()
        }
    }
}

impl ActiveFraction {
    /// Creates the fraction of `part` units out of `whole`.
    pub fn ratio(part: impl Into<Layout>, whole: impl Into<Layout>) -> Self {
        Self {
            ratios: vec![(part.into(), whole.into())],
            ..Self::default()
        }
    }

    /// Multiplies two fractions, for parts inside parts.
    pub(crate) fn times(mut self, other: &Self) -> Self {
        self.fraction *= other.fraction;
        self.ratios.extend(other.ratios.iter().cloned());
        self
    }

    /// Iterates over the axes of the ratios.
    pub(crate) fn axes(&self) -> impl Iterator<Item = &Axis> {
        let layouts = self.ratios.iter().flat_map(|(part, whole)| [part, whole]);
        layouts.flat_map(Layout::axes)
    }

    /// Iterates over both sides of the ratios.
    pub(crate) fn layouts_mut(&mut self) -> impl Iterator<Item = &mut Layout> {
        self.ratios
            .iter_mut()
            .flat_map(|(part, whole)| [part, whole])
    }

    /// Computes the fraction at these widths.
    pub fn fraction(&self, widths: &BTreeMap<Axis, usize>) -> f64 {
        let width = |axis: &Axis| widths.get(axis).copied().unwrap_or(1);
        let ratios = self.ratios.iter();
        ratios.fold(self.fraction, |fraction, (part, whole)| {
            fraction * part.size(width) as f64 / whole.size(width) as f64
        })
    }
}
