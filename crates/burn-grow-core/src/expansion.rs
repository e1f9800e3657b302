use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Axis, Baseline, CopyMap, GrowError, InitPair, Scaling};

/// How far a factor times a width may be from a whole width, relative to it.
const ROUNDING: f64 = 1e-12;

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
                // 1.1 is no binary fraction, and 100 times it no whole number.
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

/// What the new coordinates of an axis hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// The paper's family: an init pair, its scaling and its copy map.
    Sparkling {
        /// What producers and consumers hold.
        #[serde(default)]
        init: InitPair,
        /// How the consumers are rescaled.
        #[serde(default)]
        scaling: Scaling,
        /// Which units are copied.
        #[serde(default)]
        map: CopyMap,
    },
    /// Another method, for comparison.
    #[serde(rename = "rival")]
    Baseline(Baseline),
}

impl Default for Method {
    fn default() -> Self {
        Self::Sparkling {
            init: InitPair::default(),
            scaling: Scaling::default(),
            map: CopyMap::default(),
        }
    }
}

impl Method {
    /// Changes the init pair, the scaling or the copy map; a rival, which has none, gives way to the
    /// default.
    fn change(&mut self, change: impl FnOnce(&mut InitPair, &mut Scaling, &mut CopyMap)) {
        if let Self::Baseline(_) = self {
            *self = Self::default();
        }
        if let Self::Sparkling { init, scaling, map } = self {
            change(init, scaling, map);
        }
    }

    /// Another init pair than copies on both sides.
    pub fn with_init(mut self, pair: InitPair) -> Self {
        self.change(|init, _, _| *init = pair);
        self
    }

    /// Another scaling than the RMS-preserving one.
    pub fn with_scaling(mut self, rule: Scaling) -> Self {
        self.change(|_, scaling, _| *scaling = rule);
        self
    }

    /// Another copy map than blocks.
    pub fn with_map(mut self, copies: CopyMap) -> Self {
        self.change(|_, _, map| *map = copies);
        self
    }
}

/// Which axes grow, by how much, and what their new coordinates hold.
///
/// ```
/// # use burn_grow_core::{Expansion, InitPair, Method, Baseline, Scaling};
/// let both = Expansion::by("inner", 2.0).and_to("hidden", 2048);
/// let naive = Expansion::by("inner", 1.5).with_scaling(Scaling::FunctionPreserving);
/// let silent = Expansion::by("inner", 2.0).with_init(InitPair::COPY_ZERO);
/// let mixed = both.on("inner", Method::Baseline(Baseline::Net2Net { noise: 0.01 }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expansion {
    /// The axes and how wide they become.
    pub targets: BTreeMap<Axis, Target>,
    /// What the new coordinates hold.
    #[serde(default)]
    pub method: Method,
    /// The axes that another method grows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exceptions: BTreeMap<Axis, Method>,
    /// The seed of everything drawn, together with the path of the parameter: every replica and every
    /// device draws the same numbers.
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

    /// Grows by another init pair than copies on both sides. Replaces a rival.
    pub fn with_init(mut self, init: InitPair) -> Self {
        self.method = self.method.with_init(init);
        self
    }

    /// Rescales the consumers by another rule than the RMS-preserving one. Replaces a rival.
    pub fn with_scaling(mut self, scaling: Scaling) -> Self {
        self.method = self.method.with_scaling(scaling);
        self
    }

    /// Copies other units than blocks of them. Replaces a rival.
    pub fn with_map(mut self, map: CopyMap) -> Self {
        self.method = self.method.with_map(map);
        self
    }

    /// Grows by another method altogether, for comparison.
    pub fn with_baseline(mut self, rival: Baseline) -> Self {
        self.method = Method::Baseline(rival);
        self
    }

    /// Grows `axis` by a method of its own.
    pub fn on(mut self, axis: impl Into<Axis>, method: Method) -> Self {
        self.exceptions.insert(axis.into(), method);
        self
    }

    /// Seeds what is drawn.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The method that grows `axis`.
    pub fn method_of(&self, axis: &Axis) -> Method {
        self.exceptions.get(axis).copied().unwrap_or(self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_gives_a_whole_width_or_none() {
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
            let error = resolve(width, factor).expect_err("no whole width");
            assert!(error.contains("no whole width"), "{error}");
        }
    }
}
