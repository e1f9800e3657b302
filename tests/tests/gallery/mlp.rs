//! An MLP whose layers are one list: the first reads the input, the last makes the output.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

#[derive(Module, Growable, Debug)]
pub(crate) struct Mlp {
    #[grow(fan_in = "hidden", fan_out = "hidden", first(fan_in = _), last(fan_out = _))]
    linears: Vec<Linear>,
    dropout: Dropout,
    activation: Relu,
}

impl Mlp {
    /// # Shapes
    ///
    /// - `x`: `[batch, d_in]`
    /// - output: `[batch, d_out]`
    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        let last = self.linears.len() - 1;
        for (index, linear) in self.linears.iter().enumerate() {
            x = linear.forward(x);
            if index < last {
                x = self.dropout.forward(self.activation.forward(x));
            }
        }
        x
    }
}

impl Model for Mlp {
    const AXES: &'static [(&'static str, usize)] = &[("hidden", 8)];

    fn built(size: &Size, device: &Device) -> Self {
        let widths = [
            5,
            size.of("hidden"),
            size.of("hidden"),
            size.of("hidden"),
            3,
        ];
        let linears = widths.windows(2);
        Self {
            linears: linears
                .map(|sides| LinearConfig::new(sides[0], sides[1]).init(device))
                .collect(),
            dropout: DropoutConfig::new(size.dropout).init(),
            activation: Relu::new(),
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.floats([6, 5]))
    }
}
