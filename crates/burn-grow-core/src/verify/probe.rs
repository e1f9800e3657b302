//! Models whose activations can be looked at.

use burn_core::tensor::{DType, Tensor, TensorData};

/// A model whose output and activations can be looked at, for [`verify`](crate::verify::verify).
///
/// ```
/// # use burn_core::tensor::Tensor;
/// use burn_grow_core::verify::{Activations, Probe};
/// # use burn_nn::Linear;
/// struct Mlp {
///     up: Linear,
///     down: Linear,
/// }
///
/// impl Probe<Tensor<2>> for Mlp {
///     fn probe(&self, x: Tensor<2>) -> Activations {
///         let hidden = self.up.forward(x);
///         let output = self.down.forward(hidden.clone());
///         Activations::new(output).with_site("hidden", &hidden)
///     }
/// }
/// ```
pub trait Probe<I> {
    /// Runs the model on `input` and collects the output and the activations.
    fn probe(&self, input: I) -> Activations;
}

/// The result of a forward pass: the output, and the root mean square of every activation looked
/// at.
///
/// Ranks and widths are dropped. The output is a list of numbers, and an activation is its RMS, the
/// one number that can be compared across widths.
#[derive(Clone, Debug)]
pub struct Activations {
    output: TensorData,
    sites: Vec<(String, f64)>,
}

impl Activations {
    /// Creates the result from an output of any shape.
    pub fn new<const D: usize>(output: Tensor<D>) -> Self {
        Self {
            output: output.without_autodiff().into_data(),
            sites: Vec::new(),
        }
    }

    /// Adds an activation of any shape: `RMS(h) = ||h||_2 / sqrt(d)`, in single precision.
    pub fn with_site<const D: usize>(
        self,
        name: impl Into<String>,
        activation: &Tensor<D>,
    ) -> Self {
        let activation = activation.clone().without_autodiff().cast(DType::F32);
        let rms = activation.square().mean().sqrt().into_scalar::<f32>();
        self.with_rms(name, f64::from(rms))
    }

    /// Adds an activation by its root mean square.
    pub fn with_rms(mut self, name: impl Into<String>, rms: f64) -> Self {
        self.sites.push((name.into(), rms));
        self
    }

    /// Iterates over the output, row by row.
    pub fn output(&self) -> impl Iterator<Item = f64> + '_ {
        self.output.iter::<f64>()
    }

    /// Returns the RMS of the activations by name, in the order of the forward pass.
    pub fn sites(&self) -> &[(String, f64)] {
        &self.sites
    }
}
