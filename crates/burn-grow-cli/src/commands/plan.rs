use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use burn_grow_cli::expand::Record;
use burn_grow_cli::{Change, Growth};
use burn_grow_core::cost::training_flops;
use clap::Args;
use serde_json::{Value, json};

use super::options::{Growing, Reading, print_json};
use super::text;

/// Prints what an expansion would do to every tensor and to `config.json`, and what it costs
///
/// Nothing but headers is read, and nothing is written.
#[derive(Args)]
pub(super) struct PlanCommand {
    /// The folder
    folder: PathBuf,
    #[command(flatten)]
    growing: Growing,
    #[command(flatten)]
    reading: Reading,
    /// Also writes the expansion to a file for `--plan`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PlanCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let model = self.reading.open(&self.folder)?;
        let expansion = self.growing.expansion()?;
        let growth = model.grow(&expansion)?;
        match self.json {
            true => print_json(&as_json(&growth))?,
            false => {
                println!("{}", growth.plan);
                print_rest(&growth);
            }
        }
        if let Some(file) = &self.save {
            let text = Record::of(&growth, &expansion).text();
            std::fs::write(file, text).with_context(|| file.display().to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints what the table of a plan does not say.
pub(super) fn print_rest(growth: &Growth<'_>) {
    let (old, new) = bytes(growth);
    println!("bytes: {} -> {}", text::bytes(old), text::bytes(new));
    print_changes(&growth.changes, &growth.notes);
}

/// Prints what becomes of `config.json`, and what else there is to say.
pub(super) fn print_changes(changes: &[Change], notes: &[String]) {
    for change in changes {
        println!(
            "config.json: {}: {} -> {}",
            change.key, change.old, change.new
        );
    }
    for note in notes {
        println!("{note}");
    }
}

fn bytes(growth: &Growth<'_>) -> (u64, u64) {
    let tensors = growth.model.folder().tensors().values();
    let old = tensors.map(|stored| stored.num_bytes()).sum();
    let new = growth.outputs().iter().map(|output| output.length).sum();
    (old, new)
}

/// What an expansion comes to, for machines.
pub(super) fn as_json(growth: &Growth<'_>) -> Value {
    let plan = &growth.plan;
    let change = |(old, new): (f64, f64)| json!({ "old": old, "new": new });
    let axes = plan.axes().iter().map(|(axis, planned)| {
        json!({
            "name": axis.as_str(),
            "old": planned.old_width(),
            "new": planned.new_width(),
            "factor": plan.applied_factor(axis),
        })
    });
    let tensors = growth.outputs();
    let tensors = tensors.iter().map(|output| {
        json!({
            "name": output.name,
            "shape": output.shape,
            "dtype": output.dtype.to_string(),
        })
    });
    let (old, new) = plan.num_params();
    let (old_bytes, new_bytes) = bytes(growth);
    let active = plan.active_params();
    json!({
        "family": growth.model.family().name,
        "axes": axes.collect::<Vec<_>>(),
        "parameters": { "old": old, "new": new },
        "active_parameters": change(active),
        "training_flops_per_token":
            change((training_flops(active.0, 1.0), training_flops(active.1, 1.0))),
        "bytes": { "old": old_bytes, "new": new_bytes },
        "config": growth.changes,
        "notes": growth.notes,
        "tensors": tensors.collect::<Vec<_>>(),
    })
}
