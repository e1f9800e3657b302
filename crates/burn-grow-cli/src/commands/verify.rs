use std::path::PathBuf;
use std::process::ExitCode;

use burn_grow_cli::expand::Record;
use burn_grow_cli::verify::{expansion_to, verify};
use burn_grow_cli::{Folder, State};
use clap::Args;

use super::options::{Growing, Reading, print_json};
use super::progress::Bar;

/// The exit code of a folder that is something else.
const DIFFERENT: u8 = 3;

/// Makes the expansion again, and compares every byte of the expanded folder with it
///
/// The expansion is the one that the options name, or that of `burn-grow.json` in the expanded
/// folder, or else what leads from one folder to the other by copies.
#[derive(Args)]
pub(super) struct Verify {
    /// The folder
    folder: PathBuf,
    /// The expanded folder
    expanded: PathBuf,
    /// Also compares the state of an optimizer: the file that was given to `expand`
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    growing: Growing,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let model = self.reading.open(&self.folder)?;
        let expanded = Folder::open(&self.expanded)?;
        let record = self.expanded.join(Record::FILE);
        let expansion = match self.growing.given()? {
            Some(expansion) => expansion,
            None if record.exists() => Record::read(&record)?.expansion,
            None => expansion_to(&model, Folder::open(&self.expanded)?)?,
        };
        let growth = model.grow(&expansion)?;
        let state = self.state.as_deref().map(State::open).transpose()?;
        let mut bar = Bar::new(self.json);
        let verified = verify(&growth, state.as_ref(), &expanded, &mut bar);
        bar.finish();
        let verified = verified?;
        if self.json {
            print_json(&verified)?;
        } else {
            for difference in &verified.differences {
                println!("{}: {}", difference.name, difference.what);
            }
            println!(
                "{} tensors are what the expansion makes them",
                verified.equal
            );
        }
        Ok(match verified.differences.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DIFFERENT),
        })
    }
}
