use burn_core::store::RecordError;
use burn_core::tensor::DType;
use burn_grow_core::GrowError;

use crate::Position;

/// Reason why a checkpoint file cannot be used. Nothing is changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Burn cannot read the file, or not load it into the model.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The file cannot be read, copied or removed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file holds no record of a run under a callback.
    #[error(
        "it holds no record of its run: it was saved by a model that was not wrapped with \
         `WidthExpansionCallback::wrap`, or before these records had a version"
    )]
    NoRun,
    /// The record of the run has a version that is not known here.
    #[error(
        "its record of the run has version {found}, and this version of burn-grow reads version \
         {supported}"
    )]
    Version {
        /// The version in the file.
        found: u64,
        /// The version that can be read.
        supported: u64,
    },
    /// The record of the run is damaged, or something else.
    #[error("its record of the run cannot be read: {0}")]
    Run(#[source] serde_json::Error),
    /// The record of the run holds another number of values for an epoch than it has metrics.
    #[error("its record of the run holds {found} values of epoch {epoch} for {expected} metrics")]
    Values {
        /// The epoch.
        epoch: usize,
        /// The number of values.
        found: usize,
        /// The number of metrics.
        expected: usize,
    },
    /// A parameter that is not as the model has it.
    #[error("parameter `{path}` {fault}")]
    Parameter {
        /// The path of the parameter.
        path: String,
        /// The fault.
        fault: ParamFault,
    },
    /// A scheduler file that holds something else.
    #[error("a learning-rate scheduler has no tensor like `{tensor}`")]
    Scheduler {
        /// The name of the tensor.
        tensor: String,
    },
    /// The run took an expansion at another step.
    #[error(
        "its run took expansion {stage} after step {found}, but this callback plans it after step \
         {planned} ({at}): a longer run names its former length with `.extending(..)`"
    )]
    Step {
        /// The expansion, counted from 0.
        stage: usize,
        /// The step in the record.
        found: usize,
        /// The step that the callback plans.
        planned: usize,
        /// The trigger of the callback.
        at: String,
    },
    /// The run took more or fewer expansions until its checkpoint.
    #[error(
        "it was saved after step {step} and {found} expansions, but this callback plans {planned} by \
         then: an expansion added to a resumed run comes at step {next} or later",
        step = position.step, found = position.stage, next = position.step.saturating_add(1)
    )]
    Count {
        /// The position of the run.
        position: Position,
        /// The number of expansions that the callback plans until there.
        planned: usize,
    },
    /// The run expanded in another way: other widths, another method or seed, or a model that
    /// describes its parameters differently.
    #[error("its run took another expansion {stage}: {difference}")]
    Plan {
        /// The expansion, counted from 0.
        stage: usize,
        /// The first difference.
        difference: Difference,
    },
    /// The run re-warmed the learning rate in another way.
    #[error(
        "its run had another re-warmup after expansion {stage}: {difference}. A longer run names its \
         former length with `.extending(..)`"
    )]
    Rewarmup {
        /// The expansion, counted from 0.
        stage: usize,
        /// The first difference.
        difference: Difference,
    },
    /// The model has taken more expansions than the run of the record.
    #[error("it was saved after {found} expansions, but the model has already taken {taken}")]
    Behind {
        /// The number of expansions in the record.
        found: usize,
        /// The number of expansions that the model has taken.
        taken: usize,
    },
    /// The record lacks metrics that a trigger watches.
    #[error(
        "it was saved without the metrics of its last epoch, which a trigger watches: wrap the \
         checkpointing strategy with `WidthExpansionCallback::checkpointing`"
    )]
    NoMetrics,
    /// An expansion of the record cannot be replayed on the model.
    #[error(transparent)]
    Replay(Box<GrowError>),
}

impl CheckpointError {
    /// Tells damage from a sound file of another run or model.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Record(_) | Self::Run(_) | Self::Values { .. } | Self::Scheduler { .. } => true,
            Self::Parameter { fault, .. } => matches!(
                fault,
                ParamFault::NoIdentity | ParamFault::Nan | ParamFault::Boolean
            ),
            Self::Io(_)
            | Self::NoRun
            | Self::Version { .. }
            | Self::Step { .. }
            | Self::Count { .. }
            | Self::Plan { .. }
            | Self::Rewarmup { .. }
            | Self::Behind { .. }
            | Self::NoMetrics
            | Self::Replay(_) => false,
        }
    }
}

/// First setting in which a checkpoint and a callback differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The setting, as a path in the record: `axes.inner.to`.
    pub setting: String,
    /// Its value in the checkpoint, as JSON.
    pub found: String,
    /// Its value in the callback, as JSON.
    pub planned: String,
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (setting, found, planned) = (&self.setting, &self.found, &self.planned);
        if setting == super::canonical::FINGERPRINT {
            f.write_str("the model described its parameters, roles or constants differently")
        } else {
            write!(f, "`{setting}` was {found} and is now {planned}")
        }
    }
}

/// Fault of a parameter in a checkpoint file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamFault {
    /// The model has it and the file has not.
    #[error("is missing")]
    Missing,
    /// The file has it and the model has not.
    #[error("is not part of the model")]
    Unknown,
    /// It has no identity, by which the optimizer knows it.
    #[error("has no identity")]
    NoIdentity,
    /// It has another shape.
    #[error("has shape {found:?}, not {expected:?}")]
    Shape {
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape in the model.
        expected: Vec<usize>,
    },
    /// It holds another kind of values.
    #[error("holds {found:?}, not {expected}")]
    Kind {
        /// The type in the file.
        found: DType,
        /// The kind in the model.
        expected: &'static str,
    },
    /// It holds floats of another type.
    #[error("holds {found:?}, not {expected:?}")]
    FloatType {
        /// The type in the file.
        found: DType,
        /// The type in the model.
        expected: DType,
    },
    /// It holds NaN.
    #[error("holds NaN")]
    Nan,
    /// It holds bytes that are neither true nor false.
    #[error("holds what is neither true nor false")]
    Boolean,
}

/// Burn's loading has one kind of error for what does not fit.
impl From<CheckpointError> for RecordError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Record(error) => error,
            CheckpointError::Io(error) => Self::Io(error.to_string()),
            other => Self::Validation(other.to_string()),
        }
    }
}

impl From<GrowError> for CheckpointError {
    fn from(error: GrowError) -> Self {
        Self::Replay(Box::new(error))
    }
}

impl From<burn_pack::Error> for CheckpointError {
    fn from(error: burn_pack::Error) -> Self {
        Self::Record(error.into())
    }
}
