//! The published evidence: a data page for each experiment, its figures, and tables within pages
//! that are written by hand.
//!
//! An experiment file says what its runs are compared with, and what the paper reports of them:
//!
//! ```toml
//! # A run, without the points that it shares with what is compared with it.
//! reference = "sparkling/rho=2.0"
//!
//! # By the whole name of a run; all but `loss` may be left out.
//! [figures]
//! "sparkling/axis=inner/rho=1.3" = { loss = 2.3153, saved = 0.20, speed = 1.27 }
//! ```
//!
//! In the pages of `docs/src/evidence`, in the README and in the guide's page on when to grow whatever
//! stands between a place and `<!-- end -->` is generated. The places are:
//!
//! - `<!-- loss: EXPERIMENT RUN -->`, by the whole name of the run
//! - `<!-- difference: EXPERIMENT RUN RUN -->`, the first minus the second, seed by seed
//! - `<!-- apart: EXPERIMENT RUN RUN -->`, the same without the sign; an error where the first ends
//!   below the second
//! - `<!-- signs: EXPERIMENT RUN RUN -->`, the seeds that agree on the sign of that
//! - `<!-- saved: EXPERIMENT RUN -->`, the FLOPs that a grown run saves
//! - `<!-- paper: TABLE -->`, a number of the paper, which stays as it is
//! - `<!-- equal FLOPs: EXPERIMENT, EXPERIMENT -->`, a table of the best growth beside the best run
//!   from scratch
//! - `<!-- regime: EXPERIMENT, EXPERIMENT -->`, a table of what width and tokens are worth, and how
//!   much of it growing recovers
//! - `<!-- rule: EXPERIMENT, .. RUN -->`, a table of what the first part of learning curves predicts of
//!   growing, and what was measured; the runs of that name fit the part that an expansion keeps

mod equal_flops;
mod figures;
mod gather;
mod head_start;
mod places;
mod regime;
mod rule;
mod section;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::files;
use crate::page::gather::Comparison;
pub use crate::page::places::unfounded;
use crate::result::RunResult;
use crate::spec::{self, Experiment};

/// Where the evidence is, in a workspace.
const EVIDENCE: &str = "docs/src/evidence";

/// Pages with places that are not there.
const ELSEWHERE: [&str; 2] = ["README.md", "docs/src/guide/choose-when-and-how-much.md"];

/// The README's figure.
const README: &str = "demo-flops.svg";

/// All generated files of the evidence, or those that are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Pages written by hand, their places filled in, by path in the workspace.
    pub pages: BTreeMap<String, String>,
    /// Data pages, by file name, in the folder `data`.
    pub data: BTreeMap<String, String>,
    /// Drawings, by file name, in the folder `figures`.
    pub figures: BTreeMap<String, String>,
}

impl Evidence {
    /// Makes the evidence of `experiments` from `results`, and fills in `pages`.
    ///
    /// # Errors
    ///
    /// When an experiment is wrong, a figure cannot be drawn or a place in a page cannot be filled.
    pub fn of(
        pages: &BTreeMap<String, String>,
        experiments: &[(String, Experiment)],
        results: &[RunResult],
    ) -> Result<Self> {
        let mut evidence = Self::default();
        let mut comparisons = BTreeMap::new();
        for (name, experiment) in experiments {
            let comparison = Comparison::of(name, experiment, results)?;
            let text = section::data_page(experiment, &comparison, &mut evidence.figures)?;
            evidence.data.insert(format!("{name}.md"), text);
            comparisons.insert(name.as_str(), comparison);
        }
        if let Some(demo) = comparisons.get("demo")
            && let Some(drawing) = figures::readme(demo)?
        {
            evidence.figures.insert(README.to_owned(), drawing);
        }
        for (name, text) in pages {
            let filled = places::fill(text, &comparisons).with_context(|| name.clone())?;
            evidence.pages.insert(name.clone(), filled);
        }
        Ok(evidence)
    }

    /// Makes the evidence of a workspace from its experiments, results and pages.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, and as [`of`](Self::of).
    pub fn renewed(workspace: &Path) -> Result<Self> {
        let lab = workspace.join("lab");
        let mut experiments = Vec::new();
        for (name, path) in spec::files(&lab.join("experiments"))? {
            experiments.push((name, Experiment::read(&path)?));
        }
        let results = RunResult::read_all(&lab.join("results.jsonl"))?;
        let pages = pages(workspace)?;
        Self::of(&pages, &experiments, &results)
    }

    /// Reads what a workspace has.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn read(workspace: &Path) -> Result<Self> {
        let folder = workspace.join(EVIDENCE);
        Ok(Self {
            pages: pages(workspace)?,
            data: texts(&folder.join("data"), "md")?,
            figures: texts(&folder.join("figures"), "svg")?,
        })
    }

    /// Writes the evidence of a workspace, and removes data pages and figures that are not part of
    /// it.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or removed.
    pub fn write(&self, workspace: &Path) -> Result<()> {
        let folder = workspace.join(EVIDENCE);
        write_all(workspace, &self.pages)?;
        for (name, extension, texts) in [
            ("data", "md", &self.data),
            ("figures", "svg", &self.figures),
        ] {
            let folder = folder.join(name);
            write_all(&folder, texts)?;
            for name in files::names(&folder, extension)? {
                if !texts.contains_key(&name) {
                    std::fs::remove_file(folder.join(&name)).with_context(|| name)?;
                }
            }
        }
        Ok(())
    }
}

/// Renews the evidence of a workspace.
///
/// # Errors
///
/// As [`Evidence::renewed`] and [`Evidence::write`].
pub fn renew(workspace: &Path) -> Result<()> {
    Evidence::renewed(workspace)?.write(workspace)
}

fn write_all(folder: &Path, texts: &BTreeMap<String, String>) -> Result<()> {
    for (name, text) in texts {
        let path = folder.join(name);
        // What stays as it is keeps its date.
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        files::write(&path, text.as_bytes())?;
    }
    Ok(())
}

/// Reads the pages that are written by hand.
fn pages(workspace: &Path) -> Result<BTreeMap<String, String>> {
    let evidence = texts(&workspace.join(EVIDENCE), "md")?.into_iter();
    let mut pages: BTreeMap<_, _> = evidence
        .map(|(name, text)| (format!("{EVIDENCE}/{name}"), text))
        .collect();
    for page in ELSEWHERE {
        pages.insert(page.to_owned(), files::text(&workspace.join(page))?);
    }
    Ok(pages)
}

fn texts(folder: &Path, extension: &str) -> Result<BTreeMap<String, String>> {
    let names = files::names(folder, extension)?.into_iter();
    let text = |name: String| Ok((name.clone(), files::text(&folder.join(name))?));
    names.map(text).collect()
}
