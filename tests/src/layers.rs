//! A small model around every layer of burn-nn that has parameters: what makes the axis, the layer, and
//! what consumes it, so that the output has the same shape at every width.

mod attention;
mod conv;
mod norm;
mod recurrent;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_grow::{Expansion, Growable};

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

/// Every axis by one factor, alone and together.
pub fn expansions<M: Around>(factor: f64) -> Vec<Expansion> {
    let mut expansions: Vec<_> = M::AXES
        .iter()
        .map(|(axis, _)| Expansion::by(*axis, factor))
        .collect();
    expansions.push(every::<M>(factor));
    expansions
}

/// All axes by one factor.
pub fn every<M: Around>(factor: f64) -> Expansion {
    M::AXES.iter().fold(Expansion::default(), |all, (axis, _)| {
        all.and_by(*axis, factor)
    })
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

/// Calls `$check::<Model>(layer, ..)` for the model around every layer.
///
/// Every layer is enrolled in the checks of `tests/tests/model/layers.rs` and of
/// `tests/tests/device/`, and in the table of `docs/src/reference/layers.md`, by standing here.
#[macro_export]
macro_rules! for_every_layer {
    ($check:ident($($argument:expr),*)) => {{
        use $crate::layers::*;
        $check::<OfLinear>("Linear", $($argument),*);
        $check::<OfEmbedding>("Embedding", $($argument),*);
        $check::<OfLayerNorm>("LayerNorm", $($argument),*);
        $check::<OfRmsNorm>("RmsNorm", $($argument),*);
        $check::<OfBatchNorm>("BatchNorm", $($argument),*);
        $check::<OfInstanceNorm>("InstanceNorm", $($argument),*);
        $check::<OfGroupNorm>("GroupNorm", $($argument),*);
        $check::<OfGroupNormGroups>("GroupNorm", $($argument),*);
        $check::<OfNormalization>("Normalization", $($argument),*);
        $check::<OfPRelu>("PRelu", $($argument),*);
        $check::<OfSwiGlu>("SwiGlu", $($argument),*);
        $check::<OfActivation>("Activation", $($argument),*);
        $check::<OfConv1d>("Conv1d", $($argument),*);
        $check::<OfConv1dGroups>("Conv1d", $($argument),*);
        $check::<OfConv2d>("Conv2d", $($argument),*);
        $check::<OfGroupedConv2d>("Conv2d", $($argument),*);
        $check::<OfDepthwiseConv2d>("Conv2d", $($argument),*);
        $check::<OfConv3d>("Conv3d", $($argument),*);
        $check::<OfConvTranspose1d>("ConvTranspose1d", $($argument),*);
        $check::<OfConvTranspose1dGroups>("ConvTranspose1d", $($argument),*);
        $check::<OfConvTranspose2d>("ConvTranspose2d", $($argument),*);
        $check::<OfGroupedConvTranspose2d>("ConvTranspose2d", $($argument),*);
        $check::<OfConvTranspose3d>("ConvTranspose3d", $($argument),*);
        $check::<OfDeformConv2d>("DeformConv2d", $($argument),*);
        $check::<OfPositionWiseFeedForward>("PositionWiseFeedForward", $($argument),*);
        $check::<OfMultiHeadAttention>("MultiHeadAttention", $($argument),*);
        $check::<OfCrossAttention>("CrossAttention", $($argument),*);
        $check::<OfTransformerEncoder>("TransformerEncoder", $($argument),*);
        $check::<OfTransformerEncoderLayer>("TransformerEncoderLayer", $($argument),*);
        $check::<OfTransformerDecoder>("TransformerDecoder", $($argument),*);
        $check::<OfTransformerDecoderLayer>("TransformerDecoderLayer", $($argument),*);
        $check::<OfGateController>("GateController", $($argument),*);
        $check::<OfRnn>("Rnn", $($argument),*);
        $check::<OfBiRnn>("BiRnn", $($argument),*);
        $check::<OfLstm>("Lstm", $($argument),*);
        $check::<OfBiLstm>("BiLstm", $($argument),*);
        $check::<OfGru>("Gru", $($argument),*);
        $check::<OfBiGru>("BiGru", $($argument),*);
    }};
}
