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
pub(crate) struct WidthMetric {
    run: Arc<Run>,
    axis: Axis,
}

/// The parameters that take part in one token at the present width.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct ActiveParamsMetric {
    run: Arc<Run>,
}

/// The base learning rate, that of the coordinates which no re-warmup moves; where everything is re-warmed, that of all.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct OldRateMetric {
    run: Arc<Run>,
}

/// The learning rate of the coordinates that the last expansion added.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct NewRateMetric {
    run: Arc<Run>,
}

/// The floating-point operations of training so far, `6 N D` at each width in turn.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct FlopsMetric {
    run: Arc<Run>,
}

/// The percentage of FLOPs saved so far against training the final width on as many tokens (Eq. 29).
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct SavedFlopsMetric {
    run: Arc<Run>,
}

/// The mean cosine between units and the copies that the last expansion made of them: 1 is the symmetry
/// lock (Eq. 20-23). NaN before there are any.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct CopySymmetryMetric {
    run: Arc<Run>,
}

/// The RMS of the parameters that the last expansion grew, as a multiple of what it was before the first
/// step after. NaN before anything has grown.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct RmsDriftMetric {
    run: Arc<Run>,
}

/// The RMS of the coordinates that the last expansion added, as a multiple of that of the coordinates
/// which were there in the same parameters. NaN before anything has grown.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct RmsRatioMetric {
    run: Arc<Run>,
}

impl WidthMetric {
    fn width(&self) -> usize {
        let stage = self.run.reached().clock.stage;
        self.run.plans[..stage]
            .iter()
            .rev()
            .find_map(|plan| plan.axis(&self.axis))
            .map_or(self.run.widths[&self.axis], |axis| axis.new_width())
    }
}

impl ActiveParamsMetric {
    fn active_params(&self) -> f64 {
        self.run.active_params(self.run.reached().clock.stage)
    }
}

impl FlopsMetric {
    fn flops(&self) -> f64 {
        self.run.flops(&self.run.reached()).0
    }
}

impl SavedFlopsMetric {
    fn percentage(&self) -> f64 {
        let (grown, scratch) = self.run.flops(&self.run.reached());
        match scratch > 0.0 {
            true => 100.0 * (1.0 - grown / scratch),
            false => 0.0,
        }
    }
}

/// A metric that reads a number of the run, whatever the model's output is.
macro_rules! gauge {
    ($metric:ty, $name:expr, $unit:expr, $value:expr) => {
        impl Metric for $metric {
            type Input = ();

            fn name(&self) -> MetricName {
                let name: fn(&Self) -> String = $name;
                Arc::new(name(self))
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes {
                    unit: $unit,
                    ..NumericAttributes::default()
                }
                .into()
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
    None,
    |metric| metric.width() as f64
);
gauge!(
    ActiveParamsMetric,
    |_| "Active Parameters".into(),
    None,
    |metric| metric.active_params()
);
gauge!(
    OldRateMetric,
    |_| "Learning Rate Old Coordinates".into(),
    None,
    |metric| metric.run.reached().rates.old
);
gauge!(
    NewRateMetric,
    |_| "Learning Rate New Coordinates".into(),
    None,
    |metric| metric.run.reached().rates.new
);
gauge!(FlopsMetric, |_| "Training FLOPs".into(), None, |metric| {
    metric.flops()
});
gauge!(
    SavedFlopsMetric,
    |_| "Saved FLOPs".into(),
    Some("%".into()),
    |metric| metric.percentage()
);
gauge!(
    CopySymmetryMetric,
    |_| "Copy Symmetry".into(),
    None,
    |metric| metric.run.copies().symmetry
);
gauge!(RmsDriftMetric, |_| "RMS Drift".into(), None, |metric| {
    metric.run.copies().drift
});
gauge!(
    RmsRatioMetric,
    |_| "RMS New to Old".into(),
    None,
    |metric| metric.run.copies().ratio
);
