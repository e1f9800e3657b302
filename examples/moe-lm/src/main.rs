//! Trains a byte-level mixture-of-experts language model that doubles its width midway, and lets it
//! write.
//!
//! `cargo run --release -p moe-lm -- [TEXT]` takes about a minute on two cores. `TEXT` is a file or
//! a folder; without it the model learns the Rust sources of this workspace.

mod corpus;
mod model;
mod sample;
mod windows;

use anyhow::{Result, anyhow};
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::Device;
use burn::train::SupervisedTraining;
use burn::train::metric::LossMetric;
use burn_grow::moe::{ExpertEntropyMetric, MaxExpertShareMetric, MoeConfig};
use burn_grow::prelude::*;

use crate::model::LanguageModel;

/// Bytes that the model sees at once.
const CONTEXT: usize = 128;
/// Windows of text in one optimizer step.
const BATCH: usize = 8;
const EPOCHS: usize = 4;
const LEARNING_RATE: f64 = 5e-3;
const SEED: u64 = 0;

fn main() -> Result<()> {
    // 1. Text, cut into windows to train on and windows that are held out.
    let text = corpus::read(std::env::args().nth(1).as_deref())?;
    let (train, valid) = corpus::split(&text, CONTEXT + 1);
    println!("{} bytes of text", text.len());
    let total_steps = train.len().div_ceil(BATCH) * EPOCHS;
    let train = windows::loader(train, BATCH, Some(SEED));
    let valid = windows::loader(valid, BATCH, None);

    // 2. A small model: two layers of eight experts, of which every byte meets two.
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let model = LanguageModel {
        transformer: MoeConfig::default().init(&device),
    };

    // 3. What grows and when. New units begin as copies of old ones and keep the function as it is;
    //    their optimizer state begins at zero and their learning rate climbs: they drift apart.
    let expansion = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    println!("{}", expansion.plan(&model)?);
    let callback = WidthExpansionCallback::builder(total_steps)
        .expand(At::fraction(0.5), expansion)
        .on_expand(|report, _| println!("{report}"))
        .build(&model)?;

    // 4. An ordinary training with burn-train, its metrics and its checkpoints.
    let schedule = CosineAnnealingLrSchedulerConfig::new(LEARNING_RATE, total_steps)
        .with_min_lr(LEARNING_RATE / 100.0)
        .init()
        .map_err(|error| anyhow!(error))?;
    let training = SupervisedTraining::new("target/moe-lm", train, valid)
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(LossMetric::new())
        .metric_valid_numeric(ExpertEntropyMetric::new())
        .metric_valid_numeric(MaxExpertShareMetric::new())
        .with_default_checkpointers()
        .num_epochs(EPOCHS);
    let adamw = AdamWConfig::new().with_beta_2(0.95);
    let trained = callback.train(training, model, adamw, schedule)?;

    // 5. Text from the wide model.
    let model = trained.grown()?.transformer.valid();
    let prompt = "    pub fn ";
    let more = sample::generate(&model, prompt.as_bytes(), 400, CONTEXT, 0.7, SEED)?;
    println!("{prompt}{}", String::from_utf8_lossy(&more));
    Ok(())
}
