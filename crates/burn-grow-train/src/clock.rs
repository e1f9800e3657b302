use burn_core as burn;
use burn_core::module::{Module, Param, ParamId};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// The name of the clock in a record.
pub(crate) const CLOCK: &str = "burn_grow_clock";

/// How far a run is: what a checkpoint holds besides the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// The optimizer steps taken.
    pub step: usize,
    /// The expansions taken.
    pub stage: usize,
}

impl Clock {
    /// The clock as a parameter. It makes no tensor until someone reads it.
    pub(crate) fn param(self) -> Param<Tensor<1, Int>> {
        let values = vec![self.step as i64, self.stage as i64];
        Param::uninitialized(
            // Always the same, so that a record of the same state is the same bytes.
            ParamId::from(0),
            move |device, _| Tensor::from_data(TensorData::new(values, [2]), device),
            Device::default(),
            false,
            [2].into(),
        )
    }

    pub(crate) fn from_param(param: &Param<Tensor<1, Int>>) -> Self {
        let data = param.val().into_data();
        let mut values = data.iter::<i64>().map(|value| value as usize);
        Self {
            step: values.next().unwrap_or(0),
            stage: values.next().unwrap_or(0),
        }
    }

    /// Reads the clock of a record and nothing else.
    pub(crate) fn of_record(record: ModuleRecord) -> Result<Self, RecordError> {
        #[derive(Module, Debug)]
        struct Only {
            burn_grow_clock: Param<Tensor<1, Int>>,
        }
        let only = Only {
            burn_grow_clock: Self::default().param(),
        };
        let only = only
            .try_load_record(record.allow_unused(true))
            .map_err(|error| {
                RecordError::Validation(format!(
                    "the record holds no step count ({error}): it was not saved by a model wrapped \
                     with `WidthExpansionCallback::progressive`"
                ))
            })?;
        Ok(Self::from_param(&only.burn_grow_clock))
    }
}
