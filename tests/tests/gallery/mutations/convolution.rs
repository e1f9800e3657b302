//! Mistakes in a convolutional network with a depthwise convolution and a flattened map.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::{Moment, Mutation};
use crate::model::{Model, Sample, Size};

/// Pixels of the map that is flattened.
const PIXELS: usize = 9;

/// Declares a network with these attributes, one list a layer.
macro_rules! network {
    ($model:ident {
        $norm:meta => norm,
        $depthwise:meta => depthwise,
        $pointwise:meta => pointwise,
        $fc1:meta => fc1,
    }) => {
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            #[grow(fan_out = "channels")]
            conv: Conv2d,
            #[$norm]
            norm: BatchNorm,
            #[$depthwise]
            depthwise: Conv2d,
            #[$pointwise]
            pointwise: Conv2d,
            #[$fc1]
            fc1: Linear,
            #[grow(fan_in = "inner")]
            fc2: Linear,
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] =
                &[("channels", 4), ("wide", 8), ("inner", 6)];

            fn built(size: &Size, device: &Device) -> Self {
                let [channels, wide, inner] =
                    ["channels", "wide", "inner"].map(|axis| size.of(axis));
                let depthwise = Conv2dConfig::new([channels, channels], [3, 3])
                    .with_groups(channels)
                    .with_padding(PaddingConfig2d::Same);
                Self {
                    conv: Conv2dConfig::new([2, channels], [3, 3]).init(device),
                    norm: BatchNormConfig::new(channels).init(device),
                    depthwise: depthwise.init(device),
                    pointwise: Conv2dConfig::new([channels, wide], [1, 1]).init(device),
                    fc1: LinearConfig::new(wide * PIXELS, inner).init(device),
                    fc2: LinearConfig::new(inner, 2).init(device),
                }
            }

            fn output(&self, sample: &Sample) -> Tensor<2> {
                let x = self.conv.forward(sample.floats([2, 2, 5, 5]));
                let x = self.depthwise.forward(gelu(self.norm.forward(x)));
                let x = gelu(self.pointwise.forward(x)).flatten(1, 3);
                self.fc2.forward(gelu(self.fc1.forward(x)))
            }
        }
    };
}

network! { Right {
    grow(gain = "channels") => norm,
    grow(gain = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in("wide", unit = PIXELS), fan_out = "inner") => fc1,
}}

network! { DenseDepthwise {
    grow(gain = "channels") => norm,
    grow(fan_in = "channels", fan_out = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in("wide", unit = PIXELS), fan_out = "inner") => fc1,
}}

network! { SkippedDepthwise {
    grow(gain = "channels") => norm,
    grow(skip) => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in("wide", unit = PIXELS), fan_out = "inner") => fc1,
}}

network! { SkippedBatchNorm {
    grow(skip) => norm,
    grow(gain = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in("wide", unit = PIXELS), fan_out = "inner") => fc1,
}}

network! { NothingReadsTheFlattened {
    grow(gain = "channels") => norm,
    grow(gain = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_out = "inner") => fc1,
}}

network! { FlattenedWithoutUnit {
    grow(gain = "channels") => norm,
    grow(gain = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in = "wide", fan_out = "inner") => fc1,
}}

network! { FlattenedByGroups {
    grow(gain = "channels") => norm,
    grow(gain = "channels") => depthwise,
    grow(fan_in = "channels", fan_out = "wide") => pointwise,
    grow(fan_in("wide", groups = PIXELS), fan_out = "inner") => fc1,
}}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<DenseDepthwise>("groups of a depthwise convolution forgotten", Build),
        Mutation::of::<SkippedDepthwise>("a depthwise convolution that is skipped", TwoWidths),
        Mutation::of::<SkippedBatchNorm>("a batch norm that is skipped", TwoWidths),
        Mutation::of::<NothingReadsTheFlattened>("no `fan_in` behind a flatten", TwoWidths),
        Mutation::of::<FlattenedWithoutUnit>("a flatten without its `unit`", Build),
        Mutation::of::<FlattenedByGroups>("a flatten with `groups` for `unit`", Rehearsal),
    ]
}
