//! Models as others write them with Burn, and one table of checks that each of them passes.
//!
//! A model is enrolled in every check, and in the tables of `docs/src/reference/gallery.md`, by a
//! line below. What it says about its growth without an attribute stands between `// by hand` and
//! `// end` in its files.
#![allow(clippy::unwrap_used)]

mod bert;
mod checks;
mod cnn;
mod dqn;
mod gpt;
mod llama;
mod lstm;
mod mamba;
mod mlp;
mod model;
mod moe;
mod mutations;
mod page;
mod resnet;
mod scaled;
mod text;
mod wgan;

/// A model of the table: its kind, its axes, and what it passes.
struct Enrolled {
    name: &'static str,
    kind: &'static str,
    axes: Vec<&'static str>,
    by_hand: usize,
    checks: Vec<fn() -> checks::Checked>,
}

macro_rules! enrol {
    ($($name:ident: $($file:literal)+, $model:ty, $kind:literal;)+) => {
        /// Those enrolled here.
        fn gallery() -> Vec<Enrolled> {
            vec![$(Enrolled {
                name: stringify!($name),
                kind: $kind,
                axes: model::axes::<$model>().collect(),
                by_hand: [$(page::by_hand(include_str!($file))),+].into_iter().sum(),
                checks: $name::all(),
            }),+]
        }

        $(mod $name {
            use super::*;

            enrol!(@checks $model;
                every_axis_keeps_the_function_at_twice_the_width,
                every_axis_passes_a_rehearsal,
                two_widths_agree_with_the_description,
                a_plan_gives_the_shapes_of_a_model_built_wide,
                training_goes_on_across_an_expansion,
                a_run_resumes_bit_equal_across_an_expansion,
                two_expansions_give_the_shapes_of_a_model_built_wide,
                a_clone_grows_alone,
            );
        })+
    };
    (@checks $model:ty; $($check:ident,)+) => {
        /// Every check, in the order of the table.
        pub(crate) fn all() -> Vec<fn() -> checks::Checked> {
            vec![$(checks::$check::<$model>),+]
        }

        $(#[test]
        fn $check() -> checks::Checked {
            checks::$check::<$model>()
        })+
    };
}

enrol! {
    cnn_classifier: "cnn.rs", cnn::Cnn, "CNN with batch norm, one `ConvBlock` used three times";
    resnet_basic: "resnet.rs" "resnet/basic.rs",
        resnet::ResNet<resnet::BasicBlock>, "ResNet with basic blocks";
    resnet_bottleneck: "resnet.rs" "resnet/bottleneck.rs",
        resnet::ResNet<resnet::Bottleneck>, "ResNet with bottlenecks";
    lstm_stack: "lstm.rs", lstm::LanguageModel, "language model on a `Vec<Lstm>`";
    mlp_of_a_vec: "mlp.rs", mlp::Mlp, "MLP as a `Vec<Linear>`";
    text_classifier: "text.rs", text::TextClassifier, "classifier on Burn's `TransformerEncoder`";
    bert_encoder: "bert.rs", bert::Bert, "BERT with an encoder of its own and a stored config";
    llama_decoder: "llama.rs", llama::Llama, "Llama: RMSNorm, RoPE, grouped queries, SwiGLU";
    gpt_untied: "gpt.rs", gpt::Gpt<false>, "GPT: squared ReLU, QK norm, a head of its own";
    gpt_tied: "gpt.rs", gpt::Gpt<true>, "GPT: squared ReLU, QK norm, a tied head";
    mamba_block: "mamba.rs", mamba::Mamba, "Mamba: depthwise convolution, selective scan";
    wgan_generator: "wgan.rs", wgan::Generator, "generator of a WGAN";
    wgan_critic: "wgan.rs", wgan::Critic, "critic of a WGAN";
    dqn_policy: "dqn.rs", dqn::Dqn, "Q network of a DQN";
    moe_of_a_vec: "moe.rs", moe::Moe, "mixture of a `Vec` of experts";
    scaled_embedding: "scaled.rs", scaled::Scaled, "embedding times the root of its width";
}
