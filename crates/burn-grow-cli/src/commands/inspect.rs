use std::path::PathBuf;
use std::process::ExitCode;

use burn_grow_cli::inspect::Inspection;
use burn_grow_cli::propose::propose;
use burn_grow_cli::{Error, Folder};
use burn_grow_core::table;
use clap::Args;
use serde_json::json;

use super::options::{Reading, print_json};
use super::text;

/// Says what a folder holds: its family, its axes and widths, and which of them can grow
///
/// Of an architecture that no family knows it proposes a description, to be checked, edited and
/// passed with `--family FILE`.
#[derive(Args)]
pub(super) struct Inspect {
    /// The folder
    folder: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let model = match self.reading.open(&self.folder) {
            Ok(model) => model,
            Err(error) => return self.unknown(error),
        };
        let found = model.inspect()?;
        match self.json {
            true => print_json(&found)?,
            false => print(&found),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Inspect {
    /// Proposes a family, if that is what is missing.
    fn unknown(&self, error: anyhow::Error) -> anyhow::Result<ExitCode> {
        if !matches!(error.downcast_ref(), Some(Error::UnknownFamily { .. })) {
            return Err(error);
        }
        let proposal = propose(&Folder::open(&self.folder)?);
        match self.json {
            true => print_json(&json!({ "family": null, "axes": [], "proposal": proposal }))?,
            false => {
                eprintln!("{error}\n");
                print!("{proposal}");
            }
        }
        Ok(ExitCode::FAILURE)
    }
}

fn print(found: &Inspection) {
    let mut rows = vec![["axis", "width", "can grow"].map(String::from).to_vec()];
    for axis in &found.axes {
        let can_grow = axis.reason.as_ref().map(|reason| format!("no: {reason}"));
        let can_grow = can_grow.unwrap_or_else(|| "yes".into());
        rows.push(vec![axis.name.clone(), axis.width.to_string(), can_grow]);
    }
    println!("family: {} ({})", found.family, found.model_type);
    if !found.architectures.is_empty() {
        println!("class: {}", found.architectures.join(", "));
    }
    println!("parameters: {}", found.parameters);
    if found.active_parameters != found.parameters as f64 {
        println!("active parameters: {:.0}", found.active_parameters);
    }
    let dtypes = found.dtypes.iter();
    let dtypes: Vec<_> = dtypes
        .map(|(dtype, count)| format!("{count} of {dtype}"))
        .collect();
    let (bytes, files) = (text::bytes(found.bytes), found.files.len());
    println!("tensors: {}, {bytes} in {files} files", dtypes.join(", "));
    for (tensor, second) in &found.tied {
        println!("tied: {second} is {tensor}");
    }
    print!("\n{}", table(&rows));
}
