use std::path::PathBuf;
use std::process::ExitCode;

use burn_grow_cli::State;
use burn_grow_cli::expand::Job;
use clap::Args;
use serde_json::json;

use super::options::{Growing, Reading, print_json};
use super::plan;
use super::progress::Bar;
use super::text;
use super::written::print_written;

/// Writes the expanded folder, one tensor at a time
///
/// It appears whole or not at all: until then its name ends in `.partial`.
#[derive(Args)]
pub(super) struct Expand {
    /// The folder
    folder: PathBuf,
    /// The expanded folder, which must not exist
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    growing: Growing,
    #[command(flatten)]
    reading: Reading,
    /// Also expands the state of an optimizer, a file of safetensors whose names are those of the
    /// parameters with a suffix such as `.exp_avg`, into a file of that name in the folder
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Also writes which coordinates of which tensor are new: `region.json` in the folder
    #[arg(long)]
    region: bool,
    /// The largest file of weights
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = text::parse_bytes)]
    shard_size: u64,
    /// Goes on with what an interrupted expansion has left
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Expand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let model = self.reading.open(&self.folder)?;
        let expansion = self.growing.expansion()?;
        let growth = model.grow(&expansion)?;
        let state = self.state.as_deref().map(State::open).transpose()?;
        let mut made = growth.new_folder(&expansion);
        made.region = self.region.then(|| growth.region());
        let state = state.as_ref().map(|state| state.grown(&growth));
        made.state = state.transpose()?;
        let job = Job {
            made: &made,
            out: &self.out,
            shard_bytes: self.shard_size,
            resume: self.resume,
        };
        let mut bar = Bar::new(self.json);
        let written = job.write(&mut bar);
        bar.finish();
        let written = written?;
        if self.json {
            let out = self.out.display().to_string();
            print_json(&json!({
                "out": out,
                "plan": plan::as_json(&growth),
                "written": written,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        plan::print_rest(&growth);
        print_written(&self.out, &written);
        Ok(ExitCode::SUCCESS)
    }
}
