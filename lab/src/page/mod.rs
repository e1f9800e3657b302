use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::error::DemoError;
use crate::experiment::{Experiment, files};
use crate::row::Row;
use crate::store;
use crate::summary::comparison::Comparison;
use crate::summary::equal_flops::equal_flops;
use crate::summary::section::Section;

const EXPERIMENT: &str = "<!-- experiment: ";
const EQUAL_FLOPS: &str = "<!-- equal FLOPs: ";
const BEGIN_END: &str = " -->";
const END: &str = "<!-- end -->";

/// Where the figures of a page are, beside it.
const FIGURES: &str = "results";

/// The page.
pub const RESULTS: &str = "results.md";

/// A page about experiments, and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Markdown.
    pub text: String,
    /// SVG, by file name, in the folder `results` beside the page.
    pub figures: BTreeMap<String, String>,
}

impl Page {
    /// The page `text` with what it says of experiments made from `rows`.
    ///
    /// # Errors
    ///
    /// When a place of the page is of no experiment, has no end or is there twice, when an experiment
    /// with rows has no place, and when an experiment is wrong.
    pub fn of(
        text: &str,
        experiments: &[(String, Experiment)],
        rows: &[Row],
    ) -> Result<Self, DemoError> {
        let mut page = Self {
            text: String::new(),
            figures: BTreeMap::new(),
        };
        let mut sections = BTreeMap::new();
        let mut comparisons = BTreeMap::new();
        for (name, experiment) in experiments {
            let comparison = Comparison::of(name, experiment, rows)?;
            let section = Section::of(experiment, &comparison, FIGURES);
            sections.insert(name.as_str(), section);
            comparisons.insert(name.as_str(), comparison);
        }
        let mut rest = text;
        while let Some((at, begin)) = next_place(rest) {
            let (before, after) = (&rest[..at], &rest[at + begin.len()..]);
            let line = after.lines().next().unwrap_or_default();
            let what = line.split(BEGIN_END).next().unwrap_or_default();
            let wrong = |problem| DemoError::Place {
                place: format!("{begin}{what}{BEGIN_END}"),
                problem,
            };
            let (_, after) = after
                .split_once(END)
                .filter(|(inside, _)| next_place(inside).is_none() && line.ends_with(BEGIN_END))
                .ok_or_else(|| wrong("does not end with `<!-- end -->`"))?;
            let filling = if begin == EQUAL_FLOPS {
                let named: Option<Vec<_>> =
                    what.split(", ").map(|name| comparisons.get(name)).collect();
                equal_flops(&named.ok_or_else(|| wrong("names what is no experiment"))?)
            } else {
                let section = sections
                    .remove(what)
                    .ok_or_else(|| wrong("is of no experiment, or there twice"))?;
                page.figures.extend(section.figures);
                section.text
            };
            page.text += &format!("{before}{begin}{what}{BEGIN_END}\n{filling}{END}");
            rest = after;
        }
        page.text += rest;
        match sections.iter().find(|(_, section)| section.runs > 0) {
            Some((name, _)) => Err(DemoError::Place {
                place: format!("{EXPERIMENT}{name}{BEGIN_END}"),
                problem: "is missing",
            }),
            None => Ok(page),
        }
    }

    /// Writes the page into `folder` under that name, and its figures, and removes figures that are none
    /// of it any more.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or removed.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), DemoError> {
        let figures = folder.join(FIGURES);
        for (name, drawing) in &self.figures {
            store::write(&figures.join(name), drawing.as_bytes())?;
        }
        for name in drawings(&figures)? {
            if !self.figures.contains_key(&name) {
                let path = figures.join(name);
                fs::remove_file(&path).map_err(|source| DemoError::File { path, source })?;
            }
        }
        store::write(&folder.join(name), self.text.as_bytes())
    }

    /// What `folder` has of a page of that name: its text and its figures.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn read(folder: &Path, name: &str) -> Result<Self, DemoError> {
        let figures = folder.join(FIGURES);
        let names = drawings(&figures)?.into_iter();
        let figures = names.map(|name| Ok((name.clone(), text(&figures.join(name))?)));
        Ok(Self {
            text: text(&folder.join(name))?,
            figures: figures.collect::<Result<_, DemoError>>()?,
        })
    }
}

/// Renews `docs/results.md` of a workspace, and its figures.
///
/// # Errors
///
/// When a file cannot be read or written, and as [`Page::of`].
pub fn renew(workspace: &Path) -> Result<(), DemoError> {
    renewed(workspace)?.write(&workspace.join("docs"), RESULTS)
}

/// What [`renew`] makes of `docs/results.md`: what that says of the experiments in `experiments` comes from the
/// rows of `experiments/results.jsonl`.
///
/// # Errors
///
/// As [`renew`].
pub fn renewed(workspace: &Path) -> Result<Page, DemoError> {
    let folder = workspace.join("experiments");
    let mut experiments = Vec::new();
    for (name, path) in files(&folder)? {
        experiments.push((name, Experiment::read(&path)?));
    }
    let rows = Row::read_all(&folder.join("results.jsonl"))?;
    let page = text(&workspace.join("docs").join(RESULTS))?;
    Page::of(&page, &experiments, &rows)
}

/// Where the next place begins, and with what.
fn next_place(text: &str) -> Option<(usize, &'static str)> {
    let begins = [EXPERIMENT, EQUAL_FLOPS].into_iter();
    begins
        .filter_map(|begin| Some((text.find(begin)?, begin)))
        .min()
}

/// The drawings in a folder; none if it is not there.
fn drawings(folder: &Path) -> Result<BTreeSet<String>, DemoError> {
    let unreadable = |source| DemoError::File {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(unreadable(source)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".svg") {
            names.insert(name);
        }
    }
    Ok(names)
}

fn text(path: &Path) -> Result<String, DemoError> {
    fs::read_to_string(path).map_err(|source| DemoError::File {
        path: path.to_owned(),
        source,
    })
}
