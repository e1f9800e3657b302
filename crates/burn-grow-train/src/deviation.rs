//! How a run turned out to differ from what the builder was told.

/// A difference between what the builder was told of a run and what its first epoch shows. The run
/// goes on: nothing planned is lost, but it comes at another point of the run than it was meant to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Deviation {
    /// The run takes another number of optimizer steps. Triggers by a fraction and re-warmups are
    /// placed by the planned one.
    #[error(
        "the run takes {found} optimizer steps where the builder was told {planned}: fractions and \
         re-warmups are placed by the latter"
    )]
    TotalSteps {
        /// The steps that the builder was told.
        planned: usize,
        /// The steps that it takes if every epoch is as long as the first.
        found: usize,
    },
    /// An epoch takes another number of optimizer steps.
    #[error(
        "an epoch takes {found} optimizer steps where `.steps_per_epoch({planned})` was given: \
         expansions by epoch come at another one"
    )]
    StepsPerEpoch {
        /// The steps that the builder was told.
        planned: usize,
        /// The steps of the first epoch.
        found: usize,
    },
    /// An optimizer step sees more items than tokens were given: they were counted by the batch, and
    /// not by the step with all accumulated batches and devices.
    #[error(
        "an optimizer step sees {items} items where `.tokens_per_step({planned})` was given: count the \
         tokens of all accumulated batches and devices"
    )]
    TokensPerStep {
        /// The tokens that the builder was told.
        planned: usize,
        /// The items of an optimizer step.
        items: usize,
    },
}

/// What the first epoch of a training shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstEpoch {
    /// The optimizer steps it took.
    pub(crate) steps: usize,
    /// The steps at the end of the training, if every epoch takes as many.
    pub(crate) projected: usize,
    /// The items it had, where known.
    pub(crate) items: Option<usize>,
}
