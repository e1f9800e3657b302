//! The rehearsal by hand, for the long form and for loops of one's own.

use burn_grow_core::Growable;
use burn_optim::GradientsParams;

use super::attach::WidthExpansionCallback;
use super::growth_loop::GrowthLoop;
use crate::rehearsal::rehearse;
use crate::{Deviation, Position, Rehearsal, TrainError};

impl WidthExpansionCallback {
    /// Rehearses the run: copies of `model`, the narrow model that it begins with, take every
    /// planned expansion and a step. [`train`](Self::train) does so by itself on its first batch;
    /// in the long form [`Growing::rehearsing`](crate::Growing::rehearsing) does.
    ///
    /// `step` gives the gradients of a model on one batch, the same at every call. Every expansion
    /// costs two steps of wide copies; [`Rehearsal`] says what is compared. `model` is not touched. A
    /// [`random_seed`](crate::WidthExpansionBuilder::random_seed) of the builder seeds every call.
    ///
    /// ```
    /// # use burn_grow_core::Expansion;
    /// # use burn_grow_train::{At, WidthExpansionCallback};
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/sine.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let model = Sine::new();
    /// # let batch = Tensor::<2>::from_data([[0.0], [0.5], [1.0]], &Device::flex().autodiff());
    /// let callback = WidthExpansionCallback::builder(TOTAL_STEPS)
    ///     .expand(At::fraction(0.5), Expansion::by("inner", 1.5))
    ///     .build(&model)?;
    /// let found = callback.rehearse(&model, |model| {
    ///     TrainStep::step(model, batch.clone()).grads
    /// })?;
    /// println!("{found}");
    /// # assert!(found.compared && found.stages[0].difference.is_some_and(|it| it < 1e-3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TrainError::Rehearsal`], when a copy panics, computes something else than it should, or
    /// describes itself otherwise than planned.
    pub fn rehearse<M: Growable>(
        &self,
        model: &M,
        step: impl Fn(&M) -> GradientsParams,
    ) -> Result<Rehearsal, TrainError> {
        self.rehearse_from(Position::default(), model, step)
    }

    fn rehearse_from<M: Growable>(
        &self,
        Position { step, stage }: Position,
        model: &M,
        gradients: impl Fn(&M) -> GradientsParams,
    ) -> Result<Rehearsal, TrainError> {
        let devices = model.devices();
        rehearse(self.stages().skip(stage), model, None, |model| {
            self.run.decisions.seed(&devices, step);
            gradients(model)
        })
    }

    /// Returns what the rehearsal of the last training found, if there was one.
    pub fn rehearsal(&self) -> Option<Rehearsal> {
        self.run.rehearsal()
    }

    /// Returns how the first epoch of the last training differed from what the builder was told, so
    /// far as the run could go on: [`Trained::deviations`](crate::Trained::deviations) in the long
    /// form.
    pub fn deviations(&self) -> Vec<Deviation> {
        self.run.deviations()
    }
}

impl GrowthLoop {
    /// Rehearses what is left of the run, as [`WidthExpansionCallback::rehearse`] does: `model` is
    /// the model as wide as it is now, after [`resume`](Self::resume). Call it before the loop.
    ///
    /// # Errors
    ///
    /// Those of [`WidthExpansionCallback::rehearse`].
    pub fn rehearse<M: Growable>(
        &self,
        model: &M,
        step: impl Fn(&M) -> GradientsParams,
    ) -> Result<Rehearsal, TrainError> {
        self.callback.rehearse_from(self.position(), model, step)
    }
}
