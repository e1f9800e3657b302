use std::path::PathBuf;
use std::process::ExitCode;

use burn_grow_cli::inspect::Inspection;
use burn_grow_core::table;
use clap::Args;

use super::options::{Reading, print_json};
use super::text;

/// Says what a folder holds: its family, its axes and widths, and which of them can grow
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
        let found = self.reading.open(&self.folder)?.inspect()?;
        match self.json {
            true => print_json(&found)?,
            false => print(&found),
        }
        Ok(ExitCode::SUCCESS)
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
