//! Mistakes in the constants of a tied language model.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::{Moment, Mutation};
use crate::model::{Model, Sample, Size};

const VOCAB: usize = 7;
const TOKENS: usize = 5;

/// Declares a network with these attributes, one list a field.
macro_rules! network {
    ($model:ident {
        $embedding:meta => embedding,
        $($hidden:meta)? => hidden,
        $($logit_scale:meta)? => logit_scale,
        $($residual_scale:meta)? => residual_scale,
    }) => {
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            #[$embedding] embedding: Embedding,
            #[grow(fan_in = "hidden", fan_out = "inner")] up: Linear,
            #[grow(fan_in = "inner", fan_out = "hidden")] down: Linear,
            $(#[$hidden])? hidden: usize,
            $(#[$logit_scale])? logit_scale: f64,
            $(#[$residual_scale])? residual_scale: f64,
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] = &[("hidden", 4), ("inner", 6)];

            fn built(size: &Size, device: &Device) -> Self {
                let (hidden, inner) = (size.of("hidden"), size.of("inner"));
                Self {
                    embedding: EmbeddingConfig::new(VOCAB, hidden).init(device),
                    up: LinearConfig::new(hidden, inner).init(device),
                    down: LinearConfig::new(inner, hidden).init(device),
                    hidden,
                    logit_scale: 1.0,
                    residual_scale: 0.5,
                }
            }

            fn output(&self, sample: &Sample) -> Tensor<2> {
                let x = self.embedding.forward(sample.tokens([1, TOKENS], VOCAB));
                let x = x.reshape([TOKENS, self.hidden]);
                let inner = self.down.forward(gelu(self.up.forward(x.clone())));
                let x = x + inner * self.residual_scale;
                x.matmul(self.embedding.weight.val().transpose()) * self.logit_scale
            }
        }
    };
}

network! { Right {
    grow(fan_out = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    grow(multiplier = "hidden") => logit_scale,
    => residual_scale,
}}

network! { ForgottenMultiplier {
    grow(fan_out = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    => logit_scale,
    => residual_scale,
}}

network! { MultiplierTooMany {
    grow(fan_out = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    grow(multiplier = "hidden") => logit_scale,
    grow(multiplier = "hidden") => residual_scale,
}}

network! { MultiplierOfAnotherAxis {
    grow(fan_out = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    grow(multiplier = "inner") => logit_scale,
    => residual_scale,
}}

network! { ForgottenWidth {
    grow(fan_out = "hidden") => embedding,
    => hidden,
    grow(multiplier = "hidden") => logit_scale,
    => residual_scale,
}}

network! { MisspelledWidth {
    grow(fan_out = "hidden") => embedding,
    grow(width = "hiden") => hidden,
    grow(multiplier = "hidden") => logit_scale,
    => residual_scale,
}}

network! { EmbeddingThatReads {
    grow(fan_in = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    grow(multiplier = "hidden") => logit_scale,
    => residual_scale,
}}

network! { SymbolsAsTheWidth {
    grow(vocab = "hidden") => embedding,
    grow(width = "hidden") => hidden,
    grow(multiplier = "hidden") => logit_scale,
    => residual_scale,
}}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<ForgottenMultiplier>("a tied head without its `multiplier`", Rehearsal),
        Mutation::of::<MultiplierTooMany>("a `multiplier` too many", Rehearsal),
        Mutation::of::<MultiplierOfAnotherAxis>("a `multiplier` of another axis", Rehearsal),
        Mutation::of::<ForgottenWidth>("a forgotten `width`", TwoWidths),
        Mutation::of::<MisspelledWidth>("a misspelled axis of a `width`", Build),
        Mutation::of::<EmbeddingThatReads>("an embedding with `fan_in`", Build),
        Mutation::of::<SymbolsAsTheWidth>("symbols taken for the width", Build),
    ]
}
