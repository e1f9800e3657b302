use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Axis;

/// How much of a parameter takes part in one token: a fraction, times ratios of widths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveFraction {
    /// A number.
    pub fraction: f64,
    /// Widths of which the first divided by the second takes part, `top_k` of `experts`.
    pub ratios: Vec<(Axis, Axis)>,
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
    /// `part` units of `whole`.
    pub fn ratio(part: impl Into<Axis>, whole: impl Into<Axis>) -> Self {
        Self {
            ratios: vec![(part.into(), whole.into())],
            ..Self::default()
        }
    }

    /// This part of that part.
    pub(crate) fn times(mut self, other: &Self) -> Self {
        self.fraction *= other.fraction;
        self.ratios.extend(other.ratios.iter().cloned());
        self
    }

    /// The axes of the ratios.
    pub(crate) fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.ratios.iter().flat_map(|(part, whole)| [part, whole])
    }

    /// The fraction at these widths.
    pub fn fraction(&self, widths: &BTreeMap<Axis, usize>) -> f64 {
        let width = |axis: &Axis| widths.get(axis).copied().unwrap_or(1) as f64;
        let ratios = self.ratios.iter();
        ratios.fold(self.fraction, |fraction, (part, whole)| {
            fraction * width(part) / width(whole)
        })
    }
}
