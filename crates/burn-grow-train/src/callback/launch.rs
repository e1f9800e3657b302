//! Launching a training whose panics become errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn_core::module::Module;
use burn_train::{InferenceStep, Learner, LearningResult, SupervisedTraining, TrainStep};

use crate::TrainError;

/// Launches `training`, and returns as an error what burn-train panics with.
///
/// burn-train has a message for what fails in a step, [`LearningResult::error`], but panics where
/// it reads a device that went away while it makes a checkpoint. An interactive or a long-lived
/// program wants to go on.
///
/// # Errors
///
/// [`TrainError::Panicked`]. The checkpoints of earlier epochs are whole:
/// [`last_good_epoch`](crate::WidthExpansionCallback::last_good_epoch) finds them.
pub fn try_launch<M>(
    training: SupervisedTraining<M>,
    learner: Learner<M>,
) -> Result<LearningResult<M>, TrainError>
where
    M: TrainStep + InferenceStep + Module + core::fmt::Display + 'static,
{
    // Nothing of the run is looked at afterwards.
    catch_unwind(AssertUnwindSafe(|| training.launch(learner))).map_err(|payload| {
        TrainError::Panicked {
            message: message(&*payload),
        }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
