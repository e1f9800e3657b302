use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use burn_grow_cli::expand::Record;
use burn_grow_cli::{Change, Folder, Growth, Output};
use burn_grow_core::cost::training_flops;
use clap::Args;
use serde_json::{Map, Value, json};

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
    print_bytes(bytes(growth.model.folder(), &growth.outputs()));
    print_changes(&growth.changes, &growth.notes);
}

/// Prints the bytes of all tensors, before and after.
pub(super) fn print_bytes((old, new): (u64, u64)) {
    println!("bytes: {} -> {}", text::bytes(old), text::bytes(new));
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

/// Counts the bytes of all tensors, before and after.
pub(super) fn bytes(folder: &Folder, outputs: &[Output<'_>]) -> (u64, u64) {
    let tensors = folder.tensors().values();
    let old = tensors.map(|stored| stored.num_bytes()).sum();
    let new = outputs.iter().map(|output| output.length).sum();
    (old, new)
}

/// What an expansion comes to, for machines.
pub(super) fn as_json(growth: &Growth<'_>) -> Value {
    let plan = &growth.plan;
    let axes = plan.axes().iter().map(|(axis, planned)| {
        json!({
            "name": axis.as_str(),
            "old": planned.old_width(),
            "new": planned.new_width(),
            "factor": plan.applied_factor(axis),
        })
    });
    let outputs = growth.outputs();
    let mut all = costs(
        plan.num_params(),
        plan.active_params(),
        bytes(growth.model.folder(), &outputs),
    );
    all.insert("family".into(), json!(growth.model.family().name));
    all.insert("axes".into(), axes.collect());
    all.insert("config".into(), json!(growth.changes));
    all.insert("notes".into(), json!(growth.notes));
    all.insert("tensors".into(), tensors(&outputs));
    all.into()
}

/// What a model costs before and after, for machines.
pub(super) fn costs(
    parameters: (usize, usize),
    active: (f64, f64),
    bytes: (u64, u64),
) -> Map<String, Value> {
    let change = |old: Value, new: Value| json!({ "old": old, "new": new });
    let flops = (training_flops(active.0, 1.0), training_flops(active.1, 1.0));
    let costs = [
        (
            "parameters",
            change(parameters.0.into(), parameters.1.into()),
        ),
        (
            "active_parameters",
            change(active.0.into(), active.1.into()),
        ),
        (
            "training_flops_per_token",
            change(flops.0.into(), flops.1.into()),
        ),
        ("bytes", change(bytes.0.into(), bytes.1.into())),
    ];
    costs
        .map(|(name, cost)| (name.into(), cost))
        .into_iter()
        .collect()
}

/// The tensors of a new folder, for machines.
pub(super) fn tensors(outputs: &[Output<'_>]) -> Value {
    let tensors = outputs.iter().map(|output| {
        json!({
            "name": output.name,
            "shape": output.shape,
            "dtype": output.dtype.to_string(),
        })
    });
    tensors.collect()
}
