//! `lab corpus`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use crate::text::Corpus;

/// Writes the sources of Burn, which is what runs train on without `--corpus`, to one file, for a
/// machine that does not have them
#[derive(Clone, Debug, Parser)]
pub struct CorpusCli {
    /// The file to write
    pub file: PathBuf,
}

impl CorpusCli {
    /// Writes the file.
    ///
    /// # Errors
    ///
    /// When the sources are not there, or the file cannot be written.
    pub fn run(&self) -> Result<()> {
        let corpus = Corpus::load(None, 1)?;
        fs::write(&self.file, corpus.window(0, corpus.len()))
            .with_context(|| self.file.display().to_string())
    }
}
