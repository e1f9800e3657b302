//! Bias correction of coordinates that are younger than their parameter.

use serde::{Deserialize, Serialize};

use crate::{OptimError, RewarmupScope, StatePolicy};

/// Step count that the optimizer's bias correction uses for new coordinates.
///
/// Adam and its relatives count one number of steps for a whole parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BiasCorrection {
    /// The step count of their parameter, as in the paper: their first updates are `(1 - beta_1) /
    /// sqrt(1 - beta_2)` times what a fresh parameter's would be, 0.45 for a `beta_2` of 0.95 and
    /// 3.16 for 0.999.
    ///
    /// For a `beta_2` near 0.95. At 0.999, the default of Burn's Adam and AdamW, such first updates
    /// took away all that growing gained where it was measured; restart the correction there.
    #[default]
    Shared,
    /// Their own step count: their learning rate is multiplied by what the bias correction of Adam,
    /// AdamW or Lamb would be at their age `a`, divided by what it is at the parameter's step count
    /// `t`, `[sqrt(1 - b2^a) / (1 - b1^a)] / [sqrt(1 - b2^t) / (1 - b1^t)]`.
    #[serde(rename = "own")]
    Restarted {
        /// The decay of the optimizer's first moment.
        beta_1: f64,
        /// The decay of its second moment.
        beta_2: f64,
    },
}

impl BiasCorrection {
    /// The settings by name, as records and messages call them.
    pub(crate) fn numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Shared => Vec::new(),
            Self::Restarted { beta_1, beta_2 } => vec![("beta_1", beta_1), ("beta_2", beta_2)],
        }
    }

    /// Checks that it is possible for coordinates of `scope` of the parameter at `path`, whose
    /// state follows `policy`.
    pub(crate) fn check(
        self,
        path: &str,
        scope: RewarmupScope,
        policy: StatePolicy,
    ) -> Result<(), OptimError> {
        let fresh = scope == RewarmupScope::NewCoordinates && policy == StatePolicy::KeepAndZero;
        if self == Self::Shared || fresh {
            Ok(())
        } else {
            Err(OptimError::RestartedBiasCorrection {
                path: path.to_owned(),
                scope,
                policy,
            })
        }
    }

    /// Factor of the learning rate of coordinates that take their `own`th step while their
    /// parameter takes its `shared`th. Both count from 1.
    pub fn factor(self, own: usize, shared: usize) -> f64 {
        match self {
            Self::Shared => 1.0,
            Self::Restarted { beta_1, beta_2 } => {
                let correction = |steps: usize| {
                    let steps = steps as f64;
                    (1.0 - beta_2.powf(steps)).sqrt() / (1.0 - beta_1.powf(steps))
                };
                correction(own) / correction(shared)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_bias_correction_undoes_the_first_kick() {
        for beta_2 in [0.95, 0.99, 0.999] {
            let restarted = BiasCorrection::Restarted {
                beta_1: 0.9,
                beta_2,
            };
            // After so many steps the shared correction is one, and the first update of zeroed
            // moments under a constant gradient `(1 - b1) / sqrt(1 - b2)` times the rate.
            let kick = 0.1 / (1.0 - beta_2).sqrt();
            assert!(
                (restarted.factor(1, 1_000_000) * kick - 1.0).abs() < 1e-12,
                "{beta_2}"
            );
            assert!((restarted.factor(1_000_000, 2_000_000) - 1.0).abs() < 1e-12);
            assert_eq!(restarted.factor(7, 7), 1.0);
        }
        assert_eq!(BiasCorrection::Shared.factor(1, 1000), 1.0);
    }
}
