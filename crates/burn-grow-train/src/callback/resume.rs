//! Where to resume a run, found and made ready in one call.

use std::path::Path;

use burn_grow_core::Growable;

use super::attach::WidthExpansionCallback;
use crate::checkpoint::{Files, discard_after, saved_epochs};
use crate::{Position, TrainError};

/// The checkpoint that [`WidthExpansionCallback::resume`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The epoch that it was saved after: what
    /// [`SupervisedTraining::checkpoint`](burn_train::SupervisedTraining::checkpoint) takes.
    pub epoch: usize,
    /// The optimizer steps and the expansions taken by then.
    pub position: Position,
}

impl WidthExpansionCallback {
    /// Finds the newest epoch under the `directory` of a training that can be resumed from, and
    /// removes what later epochs have left: files that lack others or are damaged, which would be
    /// taken for those of the run that goes on. `None` if there is no checkpoint, so one program
    /// starts a run and resumes it.
    ///
    /// `model` is the narrow model that the run began with; its values do not matter.
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # use burn_optim::AdamWConfig;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (temporary, epochs) = (tempfile::tempdir()?, 3);
    /// # let directory = temporary.path();
    /// # for (epochs, begun) in [(3, None), (4, Some(3))] {
    /// # let (model, scheduler) = (Sine::new(), scheduler()?);
    /// let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
    ///     .expand(At::fraction(0.5), Expansion::by("inner", 2.0))
    ///     .build(&model)?;
    /// let mut training = training(directory).num_epochs(epochs);
    /// # assert_eq!(callback.resume(directory, &model)?.map(|it| it.epoch), begun);
    /// if let Some(resumed) = callback.resume(directory, &model)? {
    ///     training = training.checkpoint(resumed.epoch);
    /// }
    /// let trained = callback.train(training, model, AdamWConfig::new(), scheduler)?;
    /// # assert_eq!(trained.position.step, 8 * epochs);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the newest whole checkpoint is sound but of another run, as under another plan or
    /// model; when every checkpoint is damaged; when the directory cannot be read, or a file not be
    /// removed. Nothing is removed before a good epoch is found. To go back to an epoch all the
    /// same, call [`discard_after`].
    pub fn resume<M: Growable>(
        &self,
        directory: impl AsRef<Path>,
        model: &M,
    ) -> Result<Option<Resumed>, TrainError> {
        let directory = directory.as_ref();
        let found = self.last_good_epoch(directory, model)?;
        discard_after(directory, found.map_or(0, |found| found.epoch))?;
        Ok(found)
    }
}

/// Finds the newest epoch whose files are there and whose `check` finds no fault.
///
/// # Errors
///
/// The first fault that is no damage, or the newest one if all are damaged.
pub(crate) fn newest_good(
    directory: &Path,
    are_there: impl Fn(&Files) -> bool,
    check: impl Fn(usize) -> Result<Position, TrainError>,
) -> Result<Option<Resumed>, TrainError> {
    let mut damage = None;
    for epoch in saved_epochs(directory)? {
        if !are_there(&Files::of(directory, epoch)) {
            log::warn!("the checkpoint of epoch {epoch} lacks a file");
            continue;
        }
        match check(epoch) {
            Ok(position) => return Ok(Some(Resumed { epoch, position })),
            Err(TrainError::Checkpoint { path, source }) if source.is_damage() => {
                log::warn!("the checkpoint of epoch {epoch} is damaged: {source}");
                damage.get_or_insert(TrainError::Checkpoint { path, source });
            }
            Err(error) => return Err(error),
        }
    }
    damage.map_or(Ok(None), Err)
}
