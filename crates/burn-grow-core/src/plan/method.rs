//! Growth methods: the paper's family, and the baselines to compare with.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::copy_map::CopyMap;
use super::init::InitPair;
use super::scaling::Scaling;
use crate::baseline::Baseline;
use crate::describe::axis::Axis;
use crate::error::GrowError;

/// The method by which an axis grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// The paper's family.
    Sparkling {
        /// Initialization of producers and consumers.
        #[serde(default)]
        init: InitPair,
        /// Rule by which consumers are rescaled.
        #[serde(default)]
        scaling: Scaling,
        /// Choice of the copied units.
        #[serde(default)]
        map: CopyMap,
    },
    /// A method of another paper, for comparison.
    #[serde(rename = "rival")]
    Baseline(Baseline),
    /// A baseline and a setting of the paper's family on the same axis, which planning rejects.
    #[doc(hidden)]
    #[serde(skip)]
    Contradiction {
        /// The baseline.
        baseline: Baseline,
        /// The builder method of the setting.
        #[serde(skip)]
        setting: &'static str,
    },
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
    /// Sets the init pair; the default copies both sides.
    ///
    /// A baseline has no init pair: planning such a method fails with [`GrowError::Contradiction`].
    pub fn with_init(self, pair: InitPair) -> Self {
        self.with("with_init", |init, _, _| *init = pair)
    }

    /// Sets the scaling; the default preserves the RMS.
    ///
    /// A baseline has a scaling of its own: planning such a method fails with
    /// [`GrowError::Contradiction`].
    pub fn with_scaling(self, rule: Scaling) -> Self {
        self.with("with_scaling", |_, scaling, _| *scaling = rule)
    }

    /// Sets the copy map; the default copies whole blocks.
    ///
    /// A baseline has a copy map of its own: planning such a method fails with
    /// [`GrowError::Contradiction`].
    pub fn with_map(self, copies: CopyMap) -> Self {
        self.with("with_map", |_, _, map| *map = copies)
    }

    /// Changes a setting of the paper's family, or notes that a baseline has no such setting.
    fn with(
        mut self,
        setting: &'static str,
        change: impl FnOnce(&mut InitPair, &mut Scaling, &mut CopyMap),
    ) -> Self {
        match &mut self {
            Self::Sparkling { init, scaling, map } => change(init, scaling, map),
            Self::Baseline(baseline) => {
                let baseline = *baseline;
                self = Self::Contradiction { baseline, setting };
            }
            Self::Contradiction { .. } => {}
        }
        self
    }

    /// Rejects a baseline with settings of the paper's family.
    pub(crate) fn checked(self, axis: &Axis) -> Result<Self, GrowError> {
        match self {
            Self::Contradiction { baseline, setting } => Err(GrowError::Contradiction {
                axis: axis.clone(),
                baseline: baseline.to_string(),
                setting,
            }),
            Self::Sparkling { .. } | Self::Baseline(_) => Ok(self),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sparkling { init, map, .. } => match map {
                CopyMap::Block => write!(f, "{init}"),
                CopyMap::Interleaved => write!(f, "{init}, interleaved"),
                CopyMap::Random => write!(f, "{init}, random map"),
            },
            Self::Baseline(baseline) | Self::Contradiction { baseline, .. } => {
                write!(f, "{baseline}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_rejects_the_settings_of_the_paper() {
        let axis = Axis::from("inner");
        let baseline = Method::Baseline(Baseline::Net2Net { noise: 0.01 });
        for (method, setting) in [
            (baseline.with_init(InitPair::COPY_ZERO), "with_init"),
            (baseline.with_scaling(Scaling::default()), "with_scaling"),
            (baseline.with_map(CopyMap::Block), "with_map"),
        ] {
            let error = method.checked(&axis).expect_err("two methods");
            assert_eq!(
                error.to_string(),
                format!(
                    "axis `inner` grows by the baseline `Net2Net, noise 0.01`, but `{setting}` is \
                     a setting of the paper's method: remove one of the two"
                )
            );
        }
        assert_eq!(baseline.checked(&axis), Ok(baseline));
    }
}
