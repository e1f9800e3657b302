//! Expansions: which axes grow, by how much, and by which method.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::copy_map::CopyMap;
use super::init::InitPair;
use super::method::Method;
use super::scaling::Scaling;
use crate::baseline::Baseline;
use crate::describe::axis::Axis;
use crate::error::GrowError;

/// The largest difference between a factor times a width and a whole width, relative to it.
const ROUNDING: f64 = 1e-12;

/// The width that an axis gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A multiple of the present width.
    Factor(f64),
    /// A number of units.
    Width(usize),
}

impl Target {
    /// Computes the width that an axis of `width` units gets.
    pub(crate) fn resolve(self, axis: &Axis, width: usize) -> Result<usize, GrowError> {
        let target = match self {
            Self::Width(target) => target,
            Self::Factor(factor) => {
                // 1.1 is not a binary fraction, and 100 times it not a whole number.
                let exact = width as f64 * factor;
                let target = exact.round();
                if !exact.is_finite() || exact < 0.0 || (exact - target).abs() > ROUNDING * exact {
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

/// The axes that grow, by how much, and what their new coordinates hold.
///
/// By default both sides are copied and consumers are rescaled to preserve the RMS: the paper's
/// method. A factor has to give a whole width.
///
/// ```
/// use burn_grow_core::baseline::Baseline;
/// use burn_grow_core::plan::Method;
/// use burn_grow_core::{Expansion, InitPair, Scaling};
///
/// let both = Expansion::by("inner", 2.0).and_to("hidden", 2048);
/// let exact = Expansion::by("inner", 1.5).with_scaling(Scaling::FunctionPreserving);
/// let silent = Expansion::by("inner", 2.0).with_init(InitPair::COPY_ZERO);
/// // Another method on one of the axes.
/// let mixed = both.on("inner", Method::Baseline(Baseline::Net2Net { noise: 0.01 }));
/// # let _ = (exact, silent, mixed);
/// ```
///
/// Constructors name the first axis, `and_*` adds one, `with_*` changes the method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expansion {
    /// Axes that grow, and their target widths.
    pub targets: BTreeMap<Axis, Target>,
    /// Method by which they grow.
    #[serde(default)]
    pub method: Method,
    /// Axes that grow by a method of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exceptions: BTreeMap<Axis, Method>,
    /// What the new blocks of stacks are, by the axis of the stack; [`Blocks::copies`] where nothing
    /// is said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub blocks: BTreeMap<Axis, Blocks>,
    /// Seed of everything random, together with the path of the parameter: every replica and every
    /// device gets the same numbers.
    #[serde(default)]
    pub seed: u64,
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

    /// Sets the init pair; the default copies both sides. Planning fails beside a baseline.
    pub fn with_init(mut self, init: InitPair) -> Self {
        self.method = self.method.with_init(init);
        self
    }

    /// Sets the scaling; the default preserves the RMS. Planning fails beside a baseline.
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.method = self.method.with_scaling(scaling);
        self
    }

    /// Sets the copy map; the default copies whole blocks. Planning fails beside a baseline.
    pub fn with_map(mut self, map: CopyMap) -> Self {
        self.method = self.method.with_map(map);
        self
    }

    /// Grows by a method of another paper, for comparison. Replaces the paper's method and its
    /// settings.
    pub fn with_baseline(mut self, baseline: Baseline) -> Self {
        self.method = Method::Baseline(baseline);
        self
    }

    /// Grows `axis` by a method of its own.
    pub fn on(mut self, axis: impl Into<Axis>, method: Method) -> Self {
        self.exceptions.insert(axis.into(), method);
        self
    }

    /// Sets what the new blocks along `axis`, that of a stack, are; the default is copies.
    pub fn with_blocks(mut self, axis: impl Into<Axis>, blocks: Blocks) -> Self {
        self.blocks.insert(axis.into(), blocks);
        self
    }

    /// Sets the seed of everything random.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Returns what the new blocks along `axis` are.
    pub fn blocks_of(&self, axis: &Axis) -> Blocks {
        self.blocks.get(axis).cloned().unwrap_or_default()
    }

    /// Returns the method that grows `axis`.
    pub fn method_of(&self, axis: &Axis) -> Method {
        self.exceptions.get(axis).copied().unwrap_or(self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_has_to_give_a_whole_width() {
        let resolve = |width, factor| {
            let target = Target::Factor(factor).resolve(&"a".into(), width);
            target.map_err(|error| error.to_string())
        };
        // None of these products is a whole number in binary.
        for (width, factor, whole) in [
            (100, 1.1, 110),
            (100, 1.15, 115),
            (90, 1.4, 126),
            (350, 2.8, 980),
            (3, 4.0 / 3.0, 4),
        ] {
            assert_eq!(resolve(width, factor), Ok(whole));
        }
        for (width, factor) in [(100, 1.101), (1 << 20, 1.000_001), (3, f64::NAN)] {
            let error = resolve(width, factor).expect_err("not whole");
            assert!(error.contains("does not give a whole width"), "{error}");
        }
    }
}
