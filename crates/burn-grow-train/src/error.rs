use std::path::PathBuf;
use std::sync::Arc;

use burn_grow_core::GrowError;
use burn_grow_optim::OptimError;
use burn_train::TrainingError;

use crate::{At, CheckpointError, Position, RehearsalFault, TriggerFault, WatchedMetric};

/// Reason why a run cannot be set up, resumed or expanded. Model, optimizer and files are as they
/// were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A trigger is outside of the run.
    #[error("{at:?} is not within a run of {total_steps} optimizer steps: expected 1 to {last}", last = total_steps.saturating_sub(1))]
    Trigger {
        /// The trigger.
        at: At,
        /// The length of the run.
        total_steps: usize,
    },
    /// A trigger counts in a unit that the callback does not know.
    #[error("{at:?} cannot be counted in optimizer steps: give the builder `.{setting}(..)`")]
    Unit {
        /// The trigger.
        at: At,
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The refractory time is in epochs of unknown length.
    #[error(
        "a refractory time in epochs cannot be counted in optimizer steps: give the builder \
         `.steps_per_epoch(..)`"
    )]
    RefractoryUnit,
    /// A metric trigger could never fire, or always would.
    #[error("{at:?}: {fault}")]
    Metric {
        /// The trigger.
        at: At,
        /// The setting that is wrong.
        fault: TriggerFault,
    },
    /// An expansion at a known step comes too early after another one.
    #[error(
        "expansion {stage} is planned after step {step}, too early after the one at step {before} under \
         a refractory time of {refractory} steps"
    )]
    Order {
        /// The expansion of the run, counted from 0.
        stage: usize,
        /// Its step.
        step: usize,
        /// The step of the earlier one.
        before: usize,
        /// The optimizer steps between two expansions.
        refractory: usize,
    },
    /// A metric that a trigger watches has no value.
    #[error(
        "a trigger watches the metric {metric}, which has no value for epoch {epoch}: register it with the \
         training, or give it to `GrowthLoop::record_epoch`"
    )]
    MissingMetric {
        /// The metric.
        metric: WatchedMetric,
        /// The epoch.
        epoch: usize,
    },
    /// A wrapped model was to take a step outside of a training that the callback is attached to.
    /// Nothing could stop it there, or tell it of metrics.
    #[error(
        "the callback is not attached to the training: `WidthExpansionCallback::train` attaches it, as \
         does `WidthExpansionCallback::attach` before the launch; a loop that steps the optimizer itself \
         takes the model as it is and a `GrowthLoop`"
    )]
    Detached,
    /// A setting that only works through burn-train, in a training loop without it.
    #[error(
        "`.{setting}(..)` of the builder works through burn-train's events and metrics, which a training \
         loop of your own has not: leave it out, or train with a `Learner`"
    )]
    NeedsAttach {
        /// The setting.
        setting: &'static str,
    },
    /// A checkpoint of a training loop that could not be resumed from.
    #[error(
        "a trigger watches a metric, but epoch {epoch} would be saved without its value: call \
         `GrowthLoop::record_epoch` before `save`"
    )]
    NotRecorded {
        /// The epoch.
        epoch: usize,
    },
    /// An epoch ended without its hook.
    #[error(
        "a trigger watches a metric, but the end of the epoch after step {step} went by unseen: an early \
         stopping of your own belongs into `WidthExpansionCallback::attach_with`"
    )]
    LostHook {
        /// The optimizer steps taken by then.
        step: usize,
    },
    /// A checkpoint was saved that could not be resumed from.
    #[error(
        "a trigger watches a metric, but the checkpoint of epoch {epoch} was saved without its value: wrap \
         the strategy, `.with_checkpointing_strategy(callback.checkpointing(strategy))`"
    )]
    Checkpointing {
        /// The epoch.
        epoch: usize,
    },
    /// The log of expansions cannot be written.
    #[error("log of expansions {path}: {source}", path = path.display())]
    GrowthLog {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The model does not allow an expansion.
    #[error("expansion {stage}: {source}")]
    Expansion {
        /// The expansion of the run, counted from 0.
        stage: usize,
        /// The reason.
        source: Box<GrowError>,
    },
    /// An expansion does not pass its rehearsal. Nothing has been trained.
    #[error("expansion {stage} at {at} does not pass its rehearsal: {fault}")]
    Rehearsal {
        /// The expansion of the run, counted from 0.
        stage: usize,
        /// Its trigger.
        at: At,
        /// What a copy of the model did.
        fault: Box<RehearsalFault>,
    },
    /// A candidate of a trial cannot be tried.
    #[error("candidate `{name}`: {source}")]
    Candidate {
        /// Its name.
        name: String,
        /// The reason.
        source: Box<TrainError>,
    },
    /// The model cannot be described.
    #[error(transparent)]
    Model(#[from] GrowError),
    /// The optimizer cannot follow.
    #[error(transparent)]
    Optimizer(#[from] OptimError),
    /// A checkpoint file cannot be read, or does not fit the run.
    #[error("checkpoint file {path}: {source}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: CheckpointError,
    },
    /// A plan cannot be written as JSON, by which a checkpoint knows it.
    #[error("a plan cannot be written as JSON: {0}")]
    Plan(#[source] serde_json::Error),
    /// No expansion of the callback is due at a checkpoint.
    #[error(
        "checkpoint file {path} was saved after step {step} and {stage} expansions, where this callback \
         plans no further one", path = path.display()
    )]
    NotDue {
        /// The file.
        path: PathBuf,
        /// The optimizer steps taken before it was saved.
        step: usize,
        /// The expansions taken before it was saved.
        stage: usize,
    },
    /// A parameter diverged. The run was stopped before its next checkpoint.
    #[error(
        "parameter `{path}` holds NaN at step {step}, after {stage} expansions: the run was stopped, and \
         its last checkpoint is from before"
    )]
    NotFinite {
        /// The path of the parameter.
        path: String,
        /// The optimizer steps taken when it was seen.
        step: usize,
        /// The expansions taken by then.
        stage: usize,
    },
    /// A device no longer answers, for instance because its machine went away. The run was stopped
    /// before its next checkpoint.
    #[error(
        "a device cannot be read at step {step}, after {stage} expansions: the run was stopped, and its \
         last checkpoint is from before. {reason}"
    )]
    Device {
        /// The optimizer steps taken when it was seen.
        step: usize,
        /// The expansions taken by then.
        stage: usize,
        /// What Burn says.
        reason: String,
    },
    /// The run ended before a planned expansion came: the steps were counted wrong, it was
    /// stopped early, or a metric never triggered it.
    #[error(
        "the run ended after {} of {total_steps} optimizer steps and {} of {planned} expansions: the \
         next one was planned at {next}{}", position.step, position.stage, stopped(*early_stopping)
    )]
    NotExpanded {
        /// The end of the run.
        position: Position,
        /// The optimizer steps that the callback was told.
        total_steps: usize,
        /// The number of planned expansions.
        planned: usize,
        /// The trigger of the one that is missing.
        next: At,
        /// The epoch after which an early stopping ended the run.
        early_stopping: Option<usize>,
    },
    /// The first epoch shows that the training ends before a planned expansion: its steps were
    /// counted wrong. The run was stopped.
    #[error(
        "expansion {stage} at {at} would come after optimizer step {step}, but {epochs} epochs of {steps} \
         steps end after step {projected}, and the builder was told {total_steps}: count the steps of the \
         optimizer, with all accumulated batches and devices in one; or say `.in_parts()` if another \
         training goes on"
    )]
    OutOfReach {
        /// The expansion of the run, counted from 0.
        stage: usize,
        /// The optimizer steps before it.
        step: usize,
        /// Its trigger.
        at: Box<At>,
        /// The optimizer steps of the first epoch.
        steps: usize,
        /// The epochs of the training.
        epochs: usize,
        /// The optimizer steps at its end.
        projected: usize,
        /// The optimizer steps that the callback was told.
        total_steps: usize,
    },
    /// The run was longer than the callback was told.
    #[error(
        "the run took {} optimizer steps where {total_steps} were planned: expansions and re-warmups \
         were placed by these", position.step
    )]
    Overrun {
        /// The end of the run.
        position: Position,
        /// The optimizer steps that the callback was told.
        total_steps: usize,
    },
    /// burn-train stopped the run.
    #[error("the run was stopped {}. {source}", place(*position, *last))]
    Training {
        /// The last optimizer step that was taken, and the expansions by then.
        position: Position,
        /// The optimizer steps before the last expansion.
        last: Option<usize>,
        /// The reason.
        source: Arc<TrainingError>,
    },
    /// An error that [`failure`](crate::WidthExpansionCallback::failure) has handed out as well.
    #[error("{0}")]
    Shared(Arc<TrainError>),
    /// Burn panicked in the middle of a run.
    #[error("the run was ended by a panic {}, and its last checkpoint is from before. {message}", place(*position, *last))]
    Panicked {
        /// The last optimizer step that was taken, and the expansions by then.
        position: Position,
        /// The optimizer steps before the last expansion.
        last: Option<usize>,
        /// The panic's message.
        message: String,
    },
}

fn stopped(epoch: Option<usize>) -> String {
    let stopped = epoch.map(|epoch| format!("; it was stopped early after epoch {epoch}"));
    stopped.unwrap_or_default()
}

/// Where in a run something happened.
fn place(position: Position, last: Option<usize>) -> String {
    let Position { step, stage } = position;
    match (stage.checked_sub(1), last) {
        (Some(stage), Some(last)) => {
            format!("at step {step}, after expansion {stage} at step {last}")
        }
        _ => format!("at step {step}, before any expansion"),
    }
}
