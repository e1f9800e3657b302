//! What training a transformer of experts shows on burn-train's dashboard.

use std::sync::Arc;

use burn_core::tensor::{ExecutionError, Int, Tensor, TensorReadError};
use burn_train::SequenceOutput;
use burn_train::metric::state::{FormatOptions, NumericMetricState};
use burn_train::metric::{
    AccuracyInput, Adaptor, ItemLazy, LossInput, Metric, MetricAttributes, MetricMetadata,
    MetricName, Numeric, NumericAttributes, NumericEntry, PerplexityInput, SerializedEntry,
    TopKAccuracyInput,
};

use crate::{ExpertLoad, MoeOutput};

/// What a step shows to metrics: the sequence, and how evenly the experts were used.
///
/// Loss, accuracy, top-k accuracy and perplexity of burn-train take it, and [`ExpertEntropyMetric`] and
/// [`MaxExpertShareMetric`].
pub struct MoeSequenceOutput {
    /// Loss, logits and targets.
    pub sequence: SequenceOutput,
    /// The experts' load.
    pub load: ExpertLoad,
}

impl MoeSequenceOutput {
    /// Of a forward pass whose cross entropy with `targets` is `loss`, without their graphs: metrics need none.
    ///
    /// # Shapes
    ///
    /// - loss: `[1]`
    /// - targets: `[batch, seq]`
    pub fn new(output: &MoeOutput, loss: Tensor<1>, targets: Tensor<2, Int>) -> Self {
        Self {
            load: output.expert_load(),
            sequence: SequenceOutput::new(
                loss.without_autodiff(),
                output.logits.clone().without_autodiff(),
                None,
                targets.without_autodiff(),
            ),
        }
    }
}

impl ItemLazy for MoeSequenceOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(Self {
            sequence: self.sequence.sync()?,
            load: self.load,
        })
    }
}

macro_rules! adapt {
    ($($input:ty),+) => {
        $(impl Adaptor<$input> for MoeSequenceOutput {
            fn adapt(&self) -> $input {
                self.sequence.adapt()
            }
        })+
    };
}

adapt!(LossInput, AccuracyInput, TopKAccuracyInput, PerplexityInput);

impl Adaptor<ExpertLoad> for MoeSequenceOutput {
    fn adapt(&self) -> ExpertLoad {
        self.load
    }
}

/// A metric that is a number of an [`ExpertLoad`], averaged over tokens.
macro_rules! load_metric {
    ($(#[$doc:meta])+ $metric:ident, $name:literal, $higher_is_better:literal, $field:ident) => {
        $(#[$doc])+
        #[derive(Clone)]
        pub struct $metric {
            name: MetricName,
            state: NumericMetricState,
        }

        impl $metric {
            /// Creates the metric.
            pub fn new() -> Self {
                Self {
                    name: Arc::new($name.into()),
                    state: NumericMetricState::default(),
                }
            }

            fn format(&self) -> FormatOptions {
                FormatOptions::new(self.name()).precision(3)
            }
        }

        impl Default for $metric {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Metric for $metric {
            type Input = ExpertLoad;

            fn name(&self) -> MetricName {
                self.name.clone()
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes {
                    unit: None,
                    higher_is_better: $higher_is_better,
                }
                .into()
            }

            fn update(
                &mut self,
                load: &ExpertLoad,
                _metadata: &MetricMetadata,
            ) -> Result<SerializedEntry, TensorReadError> {
                self.state.update(load.$field, load.tokens);
                Ok(self.state.compute_update(self.format()))
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.state.compute_final(self.format()))
            }

            fn clear(&mut self) {
                self.state.reset();
            }
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                Some(self.state.current_value())
            }

            fn running_value(&self) -> Option<NumericEntry> {
                Some(self.state.running_value())
            }

            fn final_value(&self) -> NumericEntry {
                self.state.final_value()
            }
        }
    };
}

load_metric! {
    /// The entropy of the experts' load, 1 for an even one: [`ExpertLoad::entropy`], the mean over tokens.
    ExpertEntropyMetric, "Expert entropy", true, entropy
}

load_metric! {
    /// The tokens' share that the busiest expert gets: [`ExpertLoad::max_share`], the mean over tokens.
    MaxExpertShareMetric, "Max expert share", false, max_share
}
