use burn_core::store::RecordError;
use burn_grow_core::describe::Axis;

use crate::{RewarmupScope, StatePolicy};

/// Reason why an optimizer cannot follow an expansion. The optimizer that was passed in is
/// unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A state tensor that is neither shaped like its parameter nor reduced along dimensions of it.
    #[error(
        "optimizer state `{field}` of parameter `{path}` has shape {found:?}, which does not \
         follow the parameter's {expected:?}"
    )]
    State {
        /// The path of the parameter.
        path: String,
        /// The name of the state tensor.
        field: String,
        /// The shape of the parameter before the expansion.
        expected: Vec<usize>,
        /// The shape of the state tensor.
        found: Vec<usize>,
    },
    /// A state tensor of another data type than the one Burn loads optimizer records with.
    #[error(
        "optimizer state `{field}` of parameter `{path}` is {found}, but Burn loads records as \
         {expected}, and its next step would fail: wrap the optimizer of a model in half precision \
         with `MixedPrecision`"
    )]
    DType {
        /// The path of the parameter.
        path: String,
        /// The name of the state tensor.
        field: String,
        /// The default data type of the device.
        expected: String,
        /// The data type of the state tensor.
        found: String,
    },
    /// A state tensor that is not known to follow a rescaled gradient in some way.
    #[error(
        "it is not known how optimizer state `{field}` of parameter `{path}` scales: take another \
         state policy"
    )]
    UnknownState {
        /// The path of the parameter.
        path: String,
        /// The name of the state tensor.
        field: String,
    },
    /// A setting of a re-warmup that gives no learning rate.
    #[error("re-warmup `{name}` is {found}: expected {expected}")]
    Rewarmup {
        /// The name of the setting.
        name: &'static str,
        /// Its value.
        found: f64,
        /// The values that it can have.
        expected: &'static str,
    },
    /// A bias correction that would restart on a state which does not start from zero.
    #[error(
        "parameter `{path}`: a restarted bias correction needs new coordinates whose state starts \
         from zero, not {scope:?} under {policy:?}"
    )]
    RestartedBiasCorrection {
        /// The path of the parameter.
        path: String,
        /// The coordinates asked for.
        scope: RewarmupScope,
        /// The state policy asked for.
        policy: StatePolicy,
    },
    /// A state policy for an axis that stays as it is.
    #[error("a state policy is set for axis `{axis}`, which no expansion names")]
    UnusedAxis {
        /// The axis.
        axis: Axis,
    },
    /// A state policy for no parameter.
    #[error("a state policy is set for a group that matches no parameter: {group}")]
    UnusedGroup {
        /// The group.
        group: String,
    },
    /// A plan made for another model.
    #[error("parameter `{path}` is in the plan but not in the model")]
    Missing {
        /// The path of the parameter.
        path: String,
    },
    /// A re-warmup under an optimizer that has no place for a second learning rate.
    #[error(
        "parameter `{path}`: a re-warmup needs an asymmetric optimizer, and this parameter's is \
         not: make it with `config.init_asymmetric()`, or wrap it with `.asymmetric()`"
    )]
    NotAsymmetric {
        /// The path of the parameter.
        path: String,
    },
    /// Blocks of one stack whose base widths differ, so that new blocks have none to follow.
    #[error(
        "parameter `{path}` has other base widths than that of an earlier block: rates that follow \
         widths need the same in every block of a stack"
    )]
    Blocks {
        /// The path of the parameter.
        path: String,
    },
    /// Paths of parameters that make no pattern.
    #[error("the paths of parameters make no pattern: `{pattern}`")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// A configuration whose weight decay cannot be scaled.
    #[error("optimizer configuration: {0}")]
    Settings(serde_json::Error),
    /// The optimizer record could not be read or written.
    #[error("optimizer record: {0}")]
    Record(#[from] RecordError),
}

impl From<burn_pack::Error> for OptimError {
    fn from(error: burn_pack::Error) -> Self {
        Self::Record(error.into())
    }
}
