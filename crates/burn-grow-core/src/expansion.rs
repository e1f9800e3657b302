use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Axis, GrowError, Scaling};

/// How wide an axis becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A multiple of the present width.
    Factor(f64),
    /// A width.
    Width(usize),
}

impl Target {
    /// The width that an axis of `width` units gets.
    pub(crate) fn resolve(self, axis: &Axis, width: usize) -> Result<usize, GrowError> {
        let target = match self {
            Self::Width(target) => target,
            Self::Factor(factor) => {
                let target = width as f64 * factor;
                if !target.is_finite() || target < 0.0 || target.fract() != 0.0 {
                    return Err(GrowError::FractionalWidth {
                        axis: axis.clone(),
                        width,
                        factor,
                    });
                }
                target as usize
            }
        };
        if target < width {
            return Err(GrowError::Shrinks {
                axis: axis.clone(),
                width,
                target,
            });
        }
        Ok(target)
    }
}

/// Which axes grow, by how much, and how the new coordinates are scaled.
///
/// ```
/// # use burn_grow_core::{Expansion, Scaling};
/// let both = Expansion::by("inner", 2.0).and_to("hidden", 2048);
/// let naive = Expansion::by("inner", 1.5).with_scaling(Scaling::FunctionPreserving);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expansion {
    /// The axes and how wide they become.
    pub targets: BTreeMap<Axis, Target>,
    /// How the consumers are rescaled.
    #[serde(default)]
    pub scaling: Scaling,
}

impl Expansion {
    /// Multiplies the width of `axis` by `factor`.
    pub fn by(axis: impl Into<Axis>, factor: f64) -> Self {
        Self::default().and_by(axis, factor)
    }

    /// Widens `axis` to `width`.
    pub fn to(axis: impl Into<Axis>, width: usize) -> Self {
        Self::default().and_to(axis, width)
    }

    /// Also multiplies the width of `axis` by `factor`.
    pub fn and_by(mut self, axis: impl Into<Axis>, factor: f64) -> Self {
        self.targets.insert(axis.into(), Target::Factor(factor));
        self
    }

    /// Also widens `axis` to `width`.
    pub fn and_to(mut self, axis: impl Into<Axis>, width: usize) -> Self {
        self.targets.insert(axis.into(), Target::Width(width));
        self
    }

    /// Rescales the consumers by another rule than the RMS-preserving one.
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.scaling = scaling;
        self
    }
}
