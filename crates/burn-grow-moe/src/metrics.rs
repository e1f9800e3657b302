//! Metrics of an MoE transformer for burn-train's dashboard.

use std::sync::{Arc, OnceLock};

use burn_core::tensor::{ExecutionError, Int, Tensor, TensorReadError};
use burn_grow_kernels::Routing;
use burn_train::SequenceOutput;
use burn_train::metric::state::{FormatOptions, NumericMetricState};
use burn_train::metric::{
    AccuracyInput, Adaptor, ItemLazy, LossInput, Metric, MetricAttributes, MetricMetadata,
    MetricName, Numeric, NumericAttributes, NumericEntry, PerplexityInput, SerializedEntry,
    TopKAccuracyInput,
};

use crate::expert_load::ExpertLoad;
use crate::output::MoeOutput;

/// The output of a step for burn-train: the sequence, and how evenly the experts were used.
///
/// burn-train's loss, accuracy, top-k accuracy and perplexity take it, and so do
/// [`ExpertEntropyMetric`] and [`MaxExpertShareMetric`].
///
/// ```
/// use burn_core::tensor::{Device, Int, Tensor};
/// use burn_grow_moe::{MoeConfig, MoeSequenceOutput};
///
/// let device = Device::flex();
/// let model = MoeConfig::default().init(&device);
/// let tokens = Tensor::<2, Int>::zeros([1, 8], &device);
/// let targets = Tensor::<2, Int>::ones([1, 8], &device);
///
/// // The `step` of a `TrainStep` or a `ValidStep`.
/// let output = model.forward(tokens);
/// let loss = model.loss_of(&output, targets.clone());
/// let shown = MoeSequenceOutput::new(&output, loss.cross_entropy, targets);
/// assert_eq!(shown.load().tokens, 8);
/// ```
pub struct MoeSequenceOutput {
    /// Loss, logits and targets.
    pub sequence: SequenceOutput,
    /// The experts that each layer sent its tokens to.
    layers: Vec<Routing>,
    /// Their load, once it was read.
    load: OnceLock<ExpertLoad>,
}

impl MoeSequenceOutput {
    /// The output of a forward pass whose cross entropy with `targets` is `loss`.
    ///
    /// Drops the autodiff graphs, which metrics do not need.
    ///
    /// # Shapes
    ///
    /// - loss: `[1]`
    /// - targets: `[batch, seq]`
    pub fn new(output: &MoeOutput, loss: Tensor<1>, targets: Tensor<2, Int>) -> Self {
        let layers = output.routed.iter().map(|layer| layer.routing.clone());
        Self {
            layers: layers.collect(),
            load: OnceLock::new(),
            sequence: SequenceOutput::new(
                loss.without_autodiff(),
                output.logits.clone().without_autodiff(),
                None,
                targets.without_autodiff(),
            ),
        }
    }

    /// The load of the experts, which the first call reads from the device.
    pub fn load(&self) -> ExpertLoad {
        *self.load.get_or_init(|| ExpertLoad::of(&self.layers))
    }
}

impl ItemLazy for MoeSequenceOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(Self {
            sequence: self.sequence.sync()?,
            ..self
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
        self.load()
    }
}

/// Defines a metric: one field of an [`ExpertLoad`], averaged over tokens.
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
    /// The entropy of the experts' load, [`ExpertLoad::entropy`], averaged over tokens: 1 when
    /// every expert gets as many.
    ExpertEntropyMetric, "Expert entropy", true, entropy
}

load_metric! {
    /// The share of the tokens that the busiest expert gets, [`ExpertLoad::max_share`], averaged
    /// over tokens.
    MaxExpertShareMetric, "Max expert share", false, max_share
}
