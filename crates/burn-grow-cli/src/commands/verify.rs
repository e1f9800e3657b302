use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use burn_grow_cli::expand::Record;
use burn_grow_cli::upcycle::{Upcycling, UpcyclingRecord, upcycling_to};
use burn_grow_cli::verify::{Verified, expansion_to, verify};
use burn_grow_cli::{Folder, Model, NewFolder, State};
use burn_grow_core::Expansion;
use clap::Args;

use super::options::{Growing, Reading, print_json};
use super::progress::Bar;

/// The exit code of a folder that is something else.
const DIFFERENT: u8 = 3;

/// Makes an expanded or upcycled folder again, and compares every byte of it
///
/// How it is made is what the options say, or `burn-grow.json` in the folder, or else what leads from
/// one folder to the other by copies. Of an upcycled folder it says what of the function is kept.
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
        let upcycling = self.upcycling(&model, &expanded)?;
        let upcycled = upcycling.is_some();
        let verified = match upcycling {
            Some(_) if self.state.is_some() => {
                bail!("`--state`: the folder is upcycled, and experts have no state to compare")
            }
            Some(upcycling) => {
                let planned = model.upcycle(&upcycling)?;
                let mut verified = self.compare(&planned.folder, &expanded)?;
                verified.kept = verified.differences.is_empty().then_some(planned.kept);
                verified
            }
            None => {
                let expansion = self.expansion(&model)?;
                let growth = model.grow(&expansion)?;
                let mut made = growth.new_folder(&expansion);
                made.region = Some(growth.region());
                let state = self.state.as_deref().map(State::open).transpose()?;
                if let Some(state) = &state {
                    made.state = Some(state.grown(&growth)?);
                }
                self.compare(&made, &expanded)?
            }
        };
        if self.json {
            print_json(&verified)?;
        } else {
            for difference in &verified.differences {
                println!("{}: {}", difference.name, difference.what);
            }
            let by = match upcycled {
                true => "upcycling",
                false => "the expansion",
            };
            println!("{} tensors are what {by} makes them", verified.equal);
            if let Some(kept) = &verified.kept {
                println!("function: {kept}");
            }
        }
        Ok(match verified.differences.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DIFFERENT),
        })
    }

    /// The expansion that is asked for, recorded or guessed.
    fn expansion(&self, model: &Model) -> anyhow::Result<Expansion> {
        let record = self.expanded.join(Record::FILE);
        Ok(match self.growing.given()? {
            Some(expansion) => expansion,
            None if record.exists() => Record::read(&record)?.expansion,
            None => expansion_to(model, Folder::open(&self.expanded)?)?,
        })
    }

    /// The upcycling that is recorded or guessed, if the folder is of another family and no expansion
    /// is asked for.
    fn upcycling(&self, model: &Model, expanded: &Folder) -> anyhow::Result<Option<Upcycling>> {
        if self.growing.given()?.is_some() {
            return Ok(None);
        }
        if let Some(record) = UpcyclingRecord::find(&self.expanded)? {
            return Ok(Some(record.upcycling));
        }
        let recorded = self.expanded.join(Record::FILE).exists();
        if recorded || model.family().has(expanded)? {
            return Ok(None);
        }
        Ok(Some(upcycling_to(model, Folder::open(&self.expanded)?)?))
    }

    fn compare(&self, made: &NewFolder<'_>, found: &Folder) -> anyhow::Result<Verified> {
        let mut bar = Bar::new(self.json);
        let verified = verify(made, found, &mut bar);
        bar.finish();
        Ok(verified?)
    }
}
