//! `lab sample`: text from the checkpoints of a run, before and after it grew.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn_grow::train::{Growing, saved_epochs};
use clap::Parser;

use crate::log::Store;
use crate::run::{LanguageModel, Recorder, Run, callback, initial};
use crate::spec::{Experiment, Length, Settings, out_of_range};
use crate::text::{Sampler, generate};

/// Continues a text with the models that a run of the demonstration has saved: if it grew, with the
/// last narrow one and the last wide one
#[derive(Clone, Debug, Parser)]
pub struct SampleCli {
    /// The directory of the demonstration
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub out: PathBuf,
    /// The run
    #[arg(long, default_value = "sparkling")]
    pub run: String,
    /// The epochs whose checkpoints are read, instead of the last one at every width
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub epochs: Vec<usize>,
    /// What the text begins with
    #[arg(long, default_value = "    pub fn ")]
    pub prompt: String,
    /// How many bytes are written
    #[arg(long, default_value_t = 400, value_name = "N")]
    pub bytes: usize,
    /// What the logits are divided by: 0 takes the most probable byte every time
    #[arg(long, default_value_t = 0.7)]
    pub temperature: f64,
    /// Seed of the bytes
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Gives the texts.
///
/// # Errors
///
/// When the directory holds no run, or no checkpoint that was asked for, or one is damaged.
pub fn sample(cli: &SampleCli) -> Result<String> {
    if !(cli.temperature.is_finite() && cli.temperature >= 0.0) {
        let expected = "a number of at least 0";
        return Err(out_of_range("temperature", cli.temperature, expected));
    }
    let (store, settings) = Store::read(&cli.out)?;
    let log = store.log(&cli.run)?;
    let mut text = String::new();
    for (epoch, model) in models(cli, &settings, &store)? {
        let position = model.position();
        let model = model.into_inner().model.valid();
        let config = model.config();
        let mut sampler = Sampler::new(cli.temperature, cli.seed);
        let prompt = cli.prompt.as_bytes();
        let more = generate(&model, prompt, cli.bytes, settings.context, &mut sampler);
        let loss = log.epochs.iter().find(|end| end.epoch == epoch);
        let loss = loss.map_or_else(String::new, |end| {
            format!(", held-out loss {:.4}", end.val_loss)
        });
        let _ = writeln!(
            text,
            "== {}, epoch {epoch}, step {}: hidden {}, inner {}{loss}\n{}{}\n",
            cli.run,
            position.step,
            config.hidden,
            config.inner,
            cli.prompt,
            String::from_utf8_lossy(&more),
        );
    }
    Ok(text)
}

/// Loads the models to look at, oldest first.
fn models(
    cli: &SampleCli,
    settings: &Settings,
    store: &Store,
) -> Result<Vec<(usize, Growing<LanguageModel>)>> {
    let demo = Experiment::demo()?;
    let run = Run::of(&demo, demo.spec(&cli.run)?, settings, "", Length::Full)?;
    let directory = store.run(&cli.run);
    let named = || format!("run `{}`", cli.run);
    let narrow = LanguageModel {
        model: initial(&run)?,
        recorder: Recorder::idle(),
    };
    let callback = callback(&run).build(&narrow).with_context(named)?;
    let saved = saved_epochs(&directory).with_context(named)?;
    let wanted = if cli.epochs.is_empty() {
        &saved
    } else {
        &cli.epochs
    };
    let place = directory.display();
    if let Some(missing) = wanted.iter().find(|epoch| !saved.contains(epoch)) {
        bail!("{place}: no checkpoint of epoch {missing}; there are those of the epochs {saved:?}");
    }
    let mut models: Vec<(usize, Growing<LanguageModel>)> = Vec::new();
    for epoch in wanted.iter().copied() {
        let model = callback
            .load_model(&directory, epoch, narrow.clone())
            .with_context(named)?;
        // Newest first, so the first one of a width is its last.
        let stage = model.position().stage;
        if cli.epochs.is_empty()
            && models
                .iter()
                .any(|(_, model)| model.position().stage == stage)
        {
            continue;
        }
        models.push((epoch, model));
    }
    if models.is_empty() {
        bail!("{place}: no checkpoint");
    }
    models.sort_by_key(|(epoch, _)| *epoch);
    Ok(models)
}
