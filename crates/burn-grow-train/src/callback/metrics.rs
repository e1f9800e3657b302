//! The metrics that an attached callback registers: numbers of the run, whatever the model returns.

use std::sync::Arc;

use burn_core::tensor::TensorReadError;
use burn_grow_core::describe::Axis;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use derive_new::new;

use super::run::Run;

/// Present width of an axis.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct WidthMetric {
    run: Arc<Run>,
    axis: Axis,
}

/// Number of parameters that take part in one token at the present width.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct ActiveParamsMetric {
    run: Arc<Run>,
}

/// Learning rate of old coordinates: the base rate, or the re-warmed one where everything is
/// re-warmed.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct OldRateMetric {
    run: Arc<Run>,
}

/// Learning rate of the coordinates that the last expansion added.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct NewRateMetric {
    run: Arc<Run>,
}

/// Floating-point operations of the training so far, `6 N D` at each width in turn.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct FlopsMetric {
    run: Arc<Run>,
}

/// Percentage of FLOPs saved so far, against training the final width on as many tokens (Eq. 29).
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct SavedFlopsMetric {
    run: Arc<Run>,
}

/// Mean cosine between units and the copies that the last expansion made of them: 1 is the symmetry
/// lock (Eq. 20-23). NaN before there are any copies.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct CopySymmetryMetric {
    run: Arc<Run>,
}

/// RMS of the parameters that the last expansion grew, as a multiple of their RMS before the first
/// step after it. NaN before anything has grown.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct RmsDriftMetric {
    run: Arc<Run>,
}

/// RMS of the coordinates that the last expansion added, as a multiple of the RMS of the old
/// coordinates of the same parameters. NaN before anything has grown.
#[derive(Clone, new)]
#[new(visibility = "pub(crate)")]
pub(crate) struct RmsRatioMetric {
    run: Arc<Run>,
}

impl FlopsMetric {
    fn flops(&self) -> f64 {
        flops(&self.run).0
    }
}

impl SavedFlopsMetric {
    fn percentage(&self) -> f64 {
        let (grown, scratch) = flops(&self.run);
        if scratch > 0.0 {
            100.0 * (1.0 - grown / scratch)
        } else {
            0.0
        }
    }
}

/// The FLOPs so far, and those of the final width on as many tokens.
fn flops(run: &Run) -> (f64, f64) {
    let reached = run.session().reached.clone();
    run.decisions.flops(reached.position.step, &reached.taken)
}

fn stage(run: &Run) -> usize {
    run.session().reached.position.stage
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
    |metric| metric.run.decisions.width(&metric.axis, stage(&metric.run)) as f64
);
gauge!(
    ActiveParamsMetric,
    |_| "Active Parameters".into(),
    None,
    |metric| metric.run.decisions.active_params(stage(&metric.run))
);
gauge!(
    OldRateMetric,
    |_| "Learning Rate Old Coordinates".into(),
    None,
    |metric| metric.run.session().reached.rates.old
);
gauge!(
    NewRateMetric,
    |_| "Learning Rate New Coordinates".into(),
    None,
    |metric| metric.run.session().reached.rates.new
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
    |metric| metric.run.session().copies.symmetry
);
gauge!(RmsDriftMetric, |_| "RMS Drift".into(), None, |metric| {
    metric.run.session().copies.drift
});
gauge!(
    RmsRatioMetric,
    |_| "RMS New to Old".into(),
    None,
    |metric| metric.run.session().copies.ratio
);
