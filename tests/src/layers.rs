//! A small model around every layer of burn-nn that has parameters: what makes the axis, the layer, and
//! what consumes it, so that the output has the same shape at every width.

mod attention;
mod conv;
mod norm;
mod recurrent;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

pub use attention::*;
pub use conv::*;
pub use norm::*;
pub use recurrent::*;

use crate::data::{random, seeded};

/// A model around one layer.
pub trait Around: Growable + core::fmt::Display {
    /// The axes it can grow along, and their narrow widths, all even.
    const AXES: &'static [(&'static str, usize)];

    /// The model with axes of `widths`.
    fn built(widths: &[usize], device: &Device) -> Self;

    /// Its output on drawn inputs.
    fn output(&self, input: &Input) -> Tensor<2>;

    /// The model with axes `factor` times as wide as the narrow ones, its weights drawn from `seed`.
    fn of(factor: f64, seed: u64, device: &Device) -> Self {
        let widths = Self::AXES.iter().map(|(_, width)| *width as f64 * factor);
        let widths: Vec<_> = widths.map(|width| width as usize).collect();
        seeded(Self::built(&widths, device), seed).map(&mut Positive::default())
    }
}

/// Draws inputs.
pub struct Input {
    /// What they are drawn from.
    pub seed: u64,
    /// Where they live.
    pub device: Device,
}

impl Input {
    /// Numbers in `[-1, 1)`.
    pub fn of<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        random(shape, self.seed, &self.device)
    }
}

/// A drawn variance may not be negative.
#[derive(Default)]
struct Positive(Vec<String>);

impl ModuleMapper for Positive {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.last().map(String::as_str) {
            Some("running_var") => param.map(|tensor| tensor.abs().add_scalar(0.5)),
            _ => param,
        }
    }
}

/// Declares models: the layers with their attributes and values, and the way from input to output.
macro_rules! models {
    ($(
        $(#[$doc:meta])*
        $model:ident($device:ident, $($axis:ident = $width:literal),+) {
            $($(#[$grow:meta])* $field:ident: $ty:ty = $init:expr,)+
        }
        |$this:ident, $input:ident| $output:expr;
    )+) => {
        $(
            $(#[$doc])*
            #[derive(burn::module::Module, burn_grow::Growable, Debug)]
            pub struct $model {
                $($(#[$grow])* $field: $ty,)+
            }

            impl $crate::layers::Around for $model {
                const AXES: &'static [(&'static str, usize)] = &[$((stringify!($axis), $width)),+];

                fn built(widths: &[usize], $device: &burn::tensor::Device) -> Self {
                    let mut widths = widths.iter().copied();
                    $(let $axis = widths.next().expect("a width for every axis");)+
                    Self { $($field: $init,)+ }
                }

                fn output(&self, $input: &$crate::layers::Input) -> burn::tensor::Tensor<2> {
                    let $this = self;
                    $output
                }
            }
        )+
    };
}

use models;
