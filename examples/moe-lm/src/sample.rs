//! A look at what an arm has learnt: text from its checkpoints, before and after it grew.

use std::fmt::Write;
use std::path::PathBuf;

use burn::module::Module;
use burn_grow::TrainError;
use burn_grow::train::{Growing, saved_epochs};
use clap::Parser;

use crate::config::Settings;
use crate::error::DemoError;
use crate::experiment::{Experiment, Length};
use crate::generate::{Sampler, generate};
use crate::language_model::{LanguageModel, initial};
use crate::recorder::Recorder;
use crate::run::callback;
use crate::store::Store;

/// Continues a text with the models that a run has saved: of an arm that grew, with the last narrow one and
/// the last wide one.
#[derive(Clone, Debug, Parser)]
#[command(name = "moe-sample", version)]
pub struct SampleCli {
    /// The directory of the run
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub run: PathBuf,
    /// The arm
    #[arg(long, default_value = "sparkling")]
    pub arm: String,
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
    /// What the bytes are drawn with
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// The texts.
///
/// # Errors
///
/// When the directory holds no run, or no checkpoint that was asked for, or one is damaged.
pub fn sample(cli: &SampleCli) -> Result<String, DemoError> {
    if !(cli.temperature.is_finite() && cli.temperature >= 0.0) {
        return Err(DemoError::Setting {
            name: "temperature",
            value: cli.temperature.to_string(),
            expected: "a number of at least 0".into(),
        });
    }
    let (store, settings) = Store::read(&cli.run)?;
    let rows = store.rows(&cli.arm)?;
    let mut text = String::new();
    for (epoch, model) in models(cli, &settings, &store)? {
        let position = model.position();
        let model = model.into_inner().model.valid();
        let config = model.config();
        let mut sampler = Sampler::new(cli.temperature, cli.seed);
        let prompt = cli.prompt.as_bytes();
        let more = generate(&model, prompt, cli.bytes, settings.context, &mut sampler);
        let loss = rows.epochs.iter().find(|row| row.epoch == epoch);
        let loss = loss.map_or_else(String::new, |row| {
            format!(", held-out loss {:.4}", row.val_loss)
        });
        let _ = writeln!(
            text,
            "== {}, epoch {epoch}, step {}: hidden {}, inner {}{loss}\n{}{}\n",
            cli.arm,
            position.step,
            config.hidden,
            config.inner,
            cli.prompt,
            String::from_utf8_lossy(&more),
        );
    }
    Ok(text)
}

/// The models to look at, oldest first.
fn models(
    cli: &SampleCli,
    settings: &Settings,
    store: &Store,
) -> Result<Vec<(usize, Growing<LanguageModel>)>, DemoError> {
    let demo = Experiment::demo()?;
    let unit = demo.unit(demo.arm(&cli.arm)?, settings, Length::Full)?;
    let directory = store.run(&cli.arm);
    let trained = |source: TrainError| DemoError::Train {
        arm: cli.arm.clone(),
        source: Box::new(source),
    };
    let narrow = LanguageModel {
        model: initial(&unit)?,
        recorder: Recorder::idle(),
    };
    let callback = callback(&unit).build(&narrow).map_err(trained)?;
    let saved = saved_epochs(&directory).map_err(trained)?;
    let wanted = match cli.epochs.is_empty() {
        true => saved.clone(),
        false => cli.epochs.clone(),
    };
    if let Some(missing) = wanted.iter().find(|epoch| !saved.contains(epoch)) {
        return Err(DemoError::NoCheckpoint {
            directory,
            epoch: Some(*missing),
            saved,
        });
    }
    let mut models: Vec<(usize, Growing<LanguageModel>)> = Vec::new();
    for epoch in wanted {
        let model = callback
            .load_model(&directory, epoch, narrow.clone())
            .map_err(trained)?;
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
        return Err(DemoError::NoCheckpoint {
            directory,
            epoch: None,
            saved,
        });
    }
    models.sort_by_key(|(epoch, _)| *epoch);
    Ok(models)
}
