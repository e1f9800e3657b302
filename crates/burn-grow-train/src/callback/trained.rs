//! A whole training in one act, and what comes out of it.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn_grow_core::Growable;
use burn_grow_optim::IntoModuleOptimizer;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn_train::renderer::MetricsRenderer;
use burn_train::{
    InferenceStep, Interruption, Learner, LearningResult, SupervisedTraining, TrainStep,
};

use super::attach::WidthExpansionCallback;
use super::growing::Growing;
use super::options::{Rehearsed, Rehearses, TrainOptions, default_checkpointing};
use super::run::Reached;
use crate::panic::message;
use crate::{Deviation, Position, Rehearsal, TrainError};

/// What [`WidthExpansionCallback::train`] returns of a run that was not stopped by an error.
///
/// ```
/// # use burn_grow_core::Expansion;
/// # use burn_grow_train::{At, TrainError, WidthExpansionCallback};
/// # use burn_optim::AdamWConfig;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let (model, training, scheduler) = (Sine::new(), training(directory.path()), scheduler()?);
/// // The training is the first of several, and ends before the expansion.
/// let trained = WidthExpansionCallback::builder(10 * TOTAL_STEPS)
///     .in_parts()
///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
///     .build(&model)?
///     .train(training, model, AdamWConfig::new(), scheduler)?;
/// assert!(matches!(trained.shortfall, Some(TrainError::NotExpanded { .. })));
/// // `trained.model` is what was trained, and `trained.grown()?` would be the error.
/// assert!(trained.grown().is_err());
/// # Ok(())
/// # }
/// ```
pub struct Trained<M> {
    /// The trained model at its present width, in validation mode as burn-train leaves it: call
    /// [`train`](burn_core::module::Module::train) before you train it further.
    pub model: M,
    /// The optimizer steps and the expansions taken.
    pub position: Position,
    /// What did not go as planned: [`TrainError::NotExpanded`] or [`TrainError::Overrun`]. A run
    /// that was stopped early or goes on later has one, too; [`grown`](Self::grown) makes it an
    /// error.
    pub shortfall: Option<TrainError>,
    /// How the first epoch differed from what the builder was told, where the run could go on: its
    /// length, the steps of an epoch, the tokens of a step.
    pub deviations: Vec<Deviation>,
    /// What the rehearsal of the expansions found; `None` without one, as before a resumed run that
    /// has no batch left.
    pub rehearsal: Option<Rehearsal>,
    /// The stop through an [`Interrupter`](burn_train::Interrupter), if there was one.
    pub interrupted: Option<Interruption>,
    /// The renderer, for further training and evaluation.
    pub renderer: Box<dyn MetricsRenderer>,
}

impl<M> Trained<M> {
    /// Returns the model of a run that went as planned.
    ///
    /// # Errors
    ///
    /// The [`shortfall`](Self::shortfall), when a planned expansion never came, or the run was
    /// longer than the callback was told. To have the model all the same, take the field
    /// [`model`](Self::model).
    pub fn grown(self) -> Result<M, TrainError> {
        match self.shortfall {
            Some(shortfall) => Err(shortfall),
            None => Ok(self.model),
        }
    }
}

impl<M: fmt::Debug> fmt::Debug for Trained<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trained")
            .field("model", &self.model)
            .field("position", &self.position)
            .field("shortfall", &self.shortfall)
            .field("deviations", &self.deviations)
            .field("rehearsal", &self.rehearsal)
            .field("interrupted", &self.interrupted)
            .finish_non_exhaustive()
    }
}

impl WidthExpansionCallback {
    /// Trains `model` with `training`, and expands it on the way.
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # use burn_optim::grad_clipping::GradientClippingConfig;
    /// # use burn_optim::AdamWConfig;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let (model, training, scheduler) = (Sine::new(), training(directory.path()), scheduler()?);
    /// # let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
    /// #     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
    /// #     .build(&model)?;
    /// let clipping = Some(GradientClippingConfig::Norm(1.0));
    /// let optimizer = AdamWConfig::new().with_grad_clipping(clipping);
    /// let trained = callback.train(training, model, optimizer, scheduler)?;
    /// println!("after {} steps: {}", trained.position.step, trained.model);
    /// # assert_eq!((trained.position.step, trained.position.stage), (32, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In one act: wraps the model, makes the optimizer [`Asymmetric`](burn_grow_optim::Asymmetric)
    /// with everything its configuration says, gradient clipping included, attaches to the
    /// training, [rehearses](Rehearsal) the expansions on the first batch, lets checkpoints hold the
    /// metrics that triggers watch, launches, and returns the model inside. To resume, ask
    /// [`resume`](Self::resume) first.
    ///
    /// `optimizer` is one of Burn's configurations, or groups of parameters with a configuration
    /// each ([`IntoModuleOptimizer`]).
    ///
    /// Early stopping and progress logger of `training` are replaced, and under a trigger that
    /// watches a metric its checkpointing strategy, by burn-train's default. Give your own to
    /// [`train_with`](Self::train_with).
    ///
    /// # Errors
    ///
    /// When an expansion does not pass its rehearsal ([`TrainError::Rehearsal`]): nothing is trained
    /// then. When the run was stopped by an error: of the callback, of burn-train
    /// ([`TrainError::Training`]), or a panic, which burn-train has where it makes or loads a
    /// checkpoint ([`TrainError::Panicked`]). The checkpoints of earlier epochs are whole.
    ///
    /// When the first epoch shows that the training ends before a planned expansion
    /// ([`TrainError::OutOfReach`]), unless it is one of several
    /// ([`in_parts`](crate::WidthExpansionBuilder::in_parts)).
    ///
    /// A run that ended without a planned expansion all the same, as by an early stopping, is no
    /// error, so that nothing it trained is lost: see [`Trained::grown`].
    pub fn train<M>(
        &self,
        training: SupervisedTraining<Growing<M>>,
        model: M,
        optimizer: impl IntoModuleOptimizer,
        scheduler: impl Into<ModuleLrScheduler>,
    ) -> Result<Trained<M>, TrainError>
    where
        M: TrainStep + InferenceStep + Growable + fmt::Display + 'static,
        Rehearsed: Rehearses<M>,
    {
        self.train_with(training, model, optimizer, scheduler, TrainOptions::new())
    }

    /// Trains as [`train`](Self::train) does, with an early stopping, a checkpointing strategy or a
    /// progress logger of your own, and without a rehearsal if the options say so.
    ///
    /// # Errors
    ///
    /// Those of [`train`](Self::train).
    pub fn train_with<M, R>(
        &self,
        training: SupervisedTraining<Growing<M>>,
        model: M,
        optimizer: impl IntoModuleOptimizer,
        scheduler: impl Into<ModuleLrScheduler>,
        options: TrainOptions<R>,
    ) -> Result<Trained<M>, TrainError>
    where
        M: TrainStep + InferenceStep + Growable + fmt::Display + 'static,
        R: Rehearses<M>,
    {
        let watches = self.run.decisions.schedule.watches(0);
        let training = match (options.checkpointing, watches) {
            (Some(strategy), true) => {
                training.with_checkpointing_strategy(self.checkpointing(strategy))
            }
            (Some(strategy), false) => training.with_checkpointing_strategy(strategy),
            (None, true) => {
                let strategy = self.checkpointing(default_checkpointing());
                training.with_checkpointing_strategy(strategy)
            }
            (None, false) => training,
        };
        let training = self.attach_with(training, options.progress, options.early_stopping);
        let optimizer = optimizer.into_module_optimizer();
        let model = options.rehearsal.prepare(self.wrap(model));
        let learner = Learner::new(model, optimizer, scheduler);
        let launched = launch(training, learner);
        let Reached {
            position, taken, ..
        } = self.run.session().reached.clone();
        let last = taken.last().copied();
        // The first failure is the cause, whatever Burn made of it.
        if let Some(failure) = self.run.take_failure() {
            return Err(Arc::try_unwrap(failure).unwrap_or_else(TrainError::Shared));
        }
        let result = launched.map_err(|message| TrainError::Panicked {
            position,
            last,
            message,
        })?;
        if let Some(source) = result.error {
            return Err(TrainError::Training {
                position,
                last,
                source,
            });
        }
        Ok(Trained {
            position: result.model.position(),
            shortfall: result.model.shortfall(),
            deviations: self.deviations(),
            rehearsal: self.rehearsal(),
            model: result.model.into_inner(),
            interrupted: result.interrupted,
            renderer: result.renderer,
        })
    }
}

/// Launches `training`, and returns as an error the message that burn-train panics with.
fn launch<M>(
    training: SupervisedTraining<Growing<M>>,
    learner: Learner<Growing<M>>,
) -> Result<LearningResult<Growing<M>>, String>
where
    M: TrainStep + InferenceStep + Growable + fmt::Display + 'static,
{
    // Nothing of the run is looked at afterwards.
    let launched = catch_unwind(AssertUnwindSafe(|| training.launch(learner)));
    launched.map_err(|payload| message(&*payload))
}
