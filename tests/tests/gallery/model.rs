//! What a model of the gallery says to be checked, and what it is checked with.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow::Growable;
use burn_grow_tests::data::{Rng, random};

/// A model as somebody else would write it.
pub(crate) trait Model: Growable {
    /// The axes it can grow along, and their narrow widths, all even.
    const AXES: &'static [(&'static str, usize)];

    /// The model with axes of this size. Its weights are drawn anew afterwards.
    fn built(size: &Size, device: &Device) -> Self;

    /// The output on a drawn input: dropout and batch statistics are for an autodiff device only.
    fn output(&self, sample: &Sample) -> Tensor<2>;

    /// The loss on a drawn input.
    fn loss(&self, sample: &Sample) -> Tensor<1> {
        sample.classified(self.output(sample))
    }
}

/// The names of the axes of a model.
pub(crate) fn axes<M: Model>() -> impl Iterator<Item = &'static str> {
    M::AXES.iter().map(|(axis, _)| *axis)
}

/// What a model is built with.
#[derive(Clone)]
pub(crate) struct Size {
    widths: BTreeMap<&'static str, usize>,
    /// The probability of every dropout.
    pub(crate) dropout: f64,
}

impl Size {
    /// The narrow widths.
    pub(crate) fn narrow<M: Model>() -> Self {
        Self {
            widths: M::AXES.iter().copied().collect(),
            dropout: 0.0,
        }
    }

    /// Widths of which no two axes have the same pair.
    pub(crate) fn wide<M: Model>() -> Self {
        let axes = M::AXES.iter().zip(2..);
        Self {
            widths: axes
                .map(|((axis, width), by)| (*axis, width * by))
                .collect(),
            dropout: 0.0,
        }
    }

    /// With `axis` this many times as wide.
    pub(crate) fn by(mut self, axis: &str, factor: f64) -> Self {
        let width = self.widths.get_mut(axis).unwrap();
        *width = (*width as f64 * factor) as usize;
        self
    }

    pub(crate) fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// The width of `axis`.
    pub(crate) fn of(&self, axis: &str) -> usize {
        self.widths[axis]
    }
}

/// Draws inputs and labels.
pub(crate) struct Sample {
    seed: u64,
    device: Device,
}

impl Sample {
    pub(crate) fn new(seed: u64, device: &Device) -> Self {
        let device = device.clone();
        Self { seed, device }
    }

    /// Numbers in `[-1, 1)`.
    pub(crate) fn floats<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        random(shape, self.seed, &self.device)
    }

    /// Symbols of a vocabulary.
    pub(crate) fn tokens(&self, shape: [usize; 2], vocab: usize) -> Tensor<2, Int> {
        let tokens = self.integers(shape[0] * shape[1], vocab);
        Tensor::from_data(TensorData::new(tokens, shape), &self.device)
    }

    /// The cross-entropy of logits `[rows, classes]` and drawn labels.
    pub(crate) fn classified(&self, logits: Tensor<2>) -> Tensor<1> {
        let [rows, classes] = logits.dims();
        let labels = TensorData::new(self.integers(rows, classes), [rows]);
        let labels = Tensor::from_data(labels, &self.device);
        let loss = CrossEntropyLossConfig::new().init(&self.device);
        loss.forward(logits, labels)
    }

    /// The mean square error of an output and drawn numbers.
    pub(crate) fn regressed(&self, output: Tensor<2>) -> Tensor<1> {
        let target = random(output.dims(), self.seed + 1, &self.device);
        (output - target).square().mean()
    }

    fn integers(&self, count: usize, below: usize) -> Vec<i64> {
        let mut rng = Rng::new(self.seed + 2);
        let draws = (0..count).map(|_| (rng.draw() + 1.0) / 2.0 * below as f32);
        draws.map(|draw| draw as i64).collect()
    }
}

/// `model` with weights drawn from `seed`: matrices that keep the size of a signal, gains and
/// variances around one, biases around zero.
pub(crate) fn drawn<M: Module>(model: M, seed: u64) -> M {
    struct Draw {
        seed: u64,
        path: Vec<String>,
    }
    impl ModuleMapper for Draw {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.seed += 1;
            let (id, tensor, mapper) = param.consume();
            let (shape, device) = (tensor.dims(), tensor.device());
            let size = shape.iter().product::<usize>() as f64;
            let draws = random(shape, self.seed, &device);
            let positive = ["gamma", "running_var"];
            let name = self.path.last().map_or("", String::as_str);
            let drawn = match D {
                1 if positive.contains(&name) => draws.mul_scalar(0.3).add_scalar(1.0),
                1 => draws.mul_scalar(0.3),
                _ => draws.mul_scalar((3.0 / size.sqrt()).sqrt()),
            };
            let drawn = drawn.set_require_grad(tensor.is_require_grad());
            Param::from_mapped_value(id, drawn, mapper)
        }
    }
    let seed = seed * 1009;
    let path = Vec::new();
    model.map(&mut Draw { seed, path })
}
