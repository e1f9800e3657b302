use serde::{Deserialize, Serialize};

use crate::mixed_precision::MASTER;

/// What becomes of the optimizer state at an expansion: the four arms of Fig. 2. Several of them at
/// once are [`StateRules`](crate::StateRules).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatePolicy {
    /// Old coordinates keep their state, new ones start from zero: `S' = [S, 0]` (Eq. 24).
    #[default]
    KeepAndZero,
    /// New coordinates copy the state of the unit they copy. The copies stay locked together.
    CopyAll,
    /// Every state of the model starts from zero again; step counts go on. The copies stay locked
    /// together.
    DropAll,
    /// Copied, then rescaled as the weights were: momenta times the fan-in factor, second moments times
    /// its square, as in staged training (arXiv 2203.06211). The copies stay locked together.
    Scale,
}

/// How a state tensor follows a rescaled gradient: with which power of the factor.
///
/// The leaf names of burn-optim's states, and the copy of a parameter, which starts again where that is rescaled.
const POWERS: [(&str, i32); 17] = [
    ("moment_1", 1),
    ("moment_2", 2),
    ("max_moment_2", 2),
    ("velocity", 1),
    ("momentum", 1),
    ("exp_avg", 1),
    ("exp_avg_sq", 2),
    ("exp_avg_diff", 1),
    ("neg_pre_grad", 1),
    ("grad_avg", 1),
    ("avg", 2),
    ("square_avg", 2),
    ("buf", 1),
    ("sum", 2),
    ("second_moment", 2),
    ("column_second_moment", 2),
    (MASTER, 0),
];

/// The power of the state tensor that a record calls `name`, if it is known.
pub(crate) fn power(name: &str) -> Option<i32> {
    let leaf = name.rsplit('.').next()?;
    POWERS
        .iter()
        .find(|(known, _)| *known == leaf)
        .map(|(_, power)| *power)
}
