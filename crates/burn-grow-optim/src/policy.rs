use serde::{Deserialize, Serialize};

use crate::keys::MASTER;

/// Policy for the optimizer state at an expansion: the four runs of Fig. 2.
///
/// It goes wherever [`StateRules`](crate::StateRules) are asked for, which combine several
/// policies.
///
/// ```
/// # use burn_grow_optim::{StatePolicy, StateRules};
/// assert_eq!(StatePolicy::default(), StatePolicy::KeepAndZero);
/// let rules: StateRules = StatePolicy::CopyAll.into();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatePolicy {
    /// Old coordinates keep their state, new ones start from zero: `S' = [S, 0]` (Eq. 24).
    #[default]
    KeepAndZero,
    /// New coordinates copy the state of the unit they copy. Copies stay locked together.
    CopyAll,
    /// Every state of the model starts from zero again, while step counts go on. Copies stay locked
    /// together.
    DropAll,
    /// New coordinates copy, then the state is rescaled as the weights were: momenta times the
    /// fan-in factor, second moments times its square, as in staged training (arXiv 2203.06211).
    /// Copies stay locked together.
    Scale,
}

/// The power of the factor by which a state tensor follows a rescaled gradient.
///
/// By the leaf names of burn-optim's states, and of the copy of a parameter, which starts again
/// where that is rescaled.
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
