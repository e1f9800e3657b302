//! Mistakes in a gated feed-forward on a residual stream.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::others::dead_under_zeros;
use super::{Gap, Moment, Mutation};
use crate::model::{Model, Sample, Size};

/// Declares a network with these attributes, one list a layer.
macro_rules! network {
    ($model:ident($hidden:literal, $inner:literal) {
        $($embed:meta)? => embed,
        $($norm:meta)? => norm,
        $($gate:meta)? => gate,
        $($up:meta)? => up,
        $($down:meta)? => down,
        $($head:meta)? => head,
    }) => {
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            $(#[$embed])? embed: Linear,
            $(#[$norm])? norm: LayerNorm,
            $(#[$gate])? gate: Linear,
            $(#[$up])? up: Linear,
            $(#[$down])? down: Linear,
            $(#[$head])? head: Linear,
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] =
                &[("hidden", $hidden), ("inner", $inner)];

            fn built(size: &Size, device: &Device) -> Self {
                let (hidden, inner) = (size.of("hidden"), size.of("inner"));
                Self {
                    embed: LinearConfig::new(3, hidden).init(device),
                    norm: LayerNormConfig::new(hidden).init(device),
                    gate: LinearConfig::new(hidden, inner).init(device),
                    up: LinearConfig::new(hidden, inner).init(device),
                    down: LinearConfig::new(inner, hidden).init(device),
                    head: LinearConfig::new(hidden, 2).init(device),
                }
            }

            fn output(&self, sample: &Sample) -> Tensor<2> {
                let x = self.embed.forward(sample.floats([5, 3]));
                let normed = self.norm.forward(x.clone());
                let inner = silu(self.gate.forward(normed.clone())) * self.up.forward(normed);
                self.head.forward(x + self.down.forward(inner))
            }
        }
    };
}

network! { Right(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "hidden", fan_out = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { SwappedRoles(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_out = "hidden", fan_in = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

// The same, where both axes begin with one width.
network! { SwappedAxes(4, 4) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "inner", fan_out = "hidden") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { OneSideOfTheResidual(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "hidden", fan_out = "inner") => up,
    grow(fan_in = "inner") => down,
    grow(fan_in = "hidden") => head,
}}

network! { SkippedLayer(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(skip) => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { SkippedNorm(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(skip) => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "hidden", fan_out = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { MisspelledAxis(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "hiden", fan_out = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { NormWithSides(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(fan_in = "hidden", fan_out = "hidden") => norm,
    grow(fan_in = "hidden", gate = "inner") => gate,
    grow(fan_in = "hidden", fan_out = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { UnitsOfTwo(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", gate("inner", groups = 2)) => gate,
    grow(fan_in = "hidden", fan_out("inner", unit = 2)) => up,
    grow(fan_in("inner", unit = 2), fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

network! { NoGate(4, 6) {
    grow(fan_out = "hidden") => embed,
    grow(gain = "hidden") => norm,
    grow(fan_in = "hidden", fan_out = "inner") => gate,
    grow(fan_in = "hidden", fan_out = "inner") => up,
    grow(fan_in = "inner", fan_out = "hidden") => down,
    grow(fan_in = "hidden") => head,
}}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<SwappedRoles>("`fan_in` and `fan_out` swapped", Build),
        Mutation::of::<SwappedAxes>("two axes swapped that begin equally wide", TwoWidths),
        Mutation::of::<OneSideOfTheResidual>("one side of a residual stream", TwoWidths),
        Mutation::of::<SkippedLayer>("a layer that is skipped", TwoWidths),
        Mutation::of::<SkippedNorm>("a norm that is skipped", TwoWidths),
        Mutation::of::<MisspelledAxis>("a misspelled axis", Rehearsal),
        Mutation::of::<UnitsOfTwo>("`groups` in one of two layers that multiply", Rehearsal),
        Mutation::of::<NormWithSides>("a norm with `fan_in` and `fan_out`", Build),
    ]
}

pub(super) fn gaps() -> Vec<Gap> {
    vec![Mutation::gap::<NoGate>(
        "a gate as `fan_out`",
        "gradients of new units in a rehearsal under the planned init pair",
        || dead_under_zeros::<NoGate>("inner", &["gate.weight", "up.weight"]),
    )]
}
