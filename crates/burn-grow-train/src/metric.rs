use std::sync::Arc;

use burn_core::tensor::TensorReadError;
use burn_grow_core::Axis;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use derive_new::new;

use crate::run::Run;

/// The present width of an axis.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub struct WidthMetric {
    run: Arc<Run>,
    axis: Axis,
}

/// The parameters that take part in one token at the present width.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub struct ActiveParamsMetric {
    run: Arc<Run>,
}

impl WidthMetric {
    fn width(&self) -> usize {
        let stage = self.run.clock().stage;
        self.run.stages[..stage]
            .iter()
            .rev()
            .find_map(|stage| stage.plan.axis(&self.axis))
            .map_or(self.run.widths[&self.axis], |axis| axis.new_width())
    }
}

impl ActiveParamsMetric {
    fn active_params(&self) -> f64 {
        let stage = self.run.clock().stage;
        match stage.checked_sub(1) {
            Some(last) => self.run.stages[last].plan.active_params().1,
            None => self.run.active_params,
        }
    }
}

/// A metric that reads a number of the run, whatever the model's output is.
macro_rules! gauge {
    ($metric:ty, $name:expr, $value:expr) => {
        impl Metric for $metric {
            type Input = ();

            fn name(&self) -> MetricName {
                let name: fn(&Self) -> String = $name;
                Arc::new(name(self))
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes::default().into()
            }

            fn update(
                &mut self,
                _item: &(),
                _metadata: &MetricMetadata,
            ) -> Result<SerializedEntry, TensorReadError> {
                self.compute()
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                let value: fn(&Self) -> f64 = $value;
                let value = value(self);
                let serialized = NumericEntry::Value(value).serialize();
                Ok(SerializedEntry::new(format!("{value}"), serialized))
            }

            fn clear(&mut self) {}
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                Some(self.final_value())
            }

            fn running_value(&self) -> Option<NumericEntry> {
                Some(self.final_value())
            }

            fn final_value(&self) -> NumericEntry {
                let value: fn(&Self) -> f64 = $value;
                NumericEntry::Value(value(self))
            }
        }
    };
}

gauge!(
    WidthMetric,
    |metric| format!("Width {}", metric.axis),
    |metric| metric.width() as f64
);
gauge!(
    ActiveParamsMetric,
    |_| "Active Parameters".into(),
    |metric| metric.active_params()
);
