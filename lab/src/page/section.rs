//! The data page of one experiment.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use minijinja::Environment;
use serde::Serialize;

use crate::page::gather::Comparison;
use crate::page::{figures, tables};
use crate::result::RunResult;
use crate::spec::{Experiment, Group};

const TEMPLATE: &str = include_str!("data.md.j2");

/// What the template shows.
#[derive(Serialize)]
struct DataPage<'a> {
    name: &'a str,
    about: &'a str,
    paper: &'a str,
    reference: Option<&'a str>,
    seeds: BTreeSet<u64>,
    commits: BTreeSet<&'a str>,
    machines: BTreeSet<&'a str>,
    overview: Option<String>,
    figures: Vec<Figure>,
    groups: Vec<GroupSection>,
}

/// Runs that are compared with each other.
#[derive(Serialize)]
struct GroupSection {
    title: String,
    tables: Vec<String>,
    figures: Vec<Figure>,
}

/// A reference to a drawing.
#[derive(Serialize)]
struct Figure {
    about: String,
    file: String,
}

/// Gives the data page of an experiment as Markdown, and adds its drawings to `drawings`, by file
/// name.
///
/// # Errors
///
/// When a figure cannot be drawn.
pub(super) fn data_page(
    experiment: &Experiment,
    comparison: &Comparison,
    drawings: &mut BTreeMap<String, String>,
) -> Result<String> {
    let Comparison {
        name,
        compared,
        groups,
    } = comparison;
    let results = || compared.iter().flat_map(|run| &run.seeds);
    let mut add = |place: &[&str], what: &str, drawing: Option<String>| -> Vec<Figure> {
        let figure = drawing.map(|drawing| {
            let file = [place, &[what]].concat().join("-");
            let file = file.replace(['=', '.', '/', ' '], "-") + ".svg";
            drawings.insert(file.clone(), drawing);
            let about = format!("{what} of the runs of {}", place.join(", "));
            Figure { about, file }
        });
        figure.into_iter().collect()
    };
    let overall = add(&[name], "compute", figures::compute(groups, compared)?);
    let mut sections = Vec::new();
    for group in groups {
        let mut members = group.members.iter().map(|index| &compared[*index]);
        if members.all(|run| run.seeds.is_empty()) {
            continue;
        }
        let mut place = vec![name.as_str()];
        place.extend(group.points.iter().map(String::as_str));
        let mut shown = add(&place, "losses", figures::losses(group, compared)?);
        shown.extend(add(&place, "curves", figures::curves(group, compared)?));
        sections.push(GroupSection {
            title: title(group),
            tables: vec![
                tables::losses(group, compared),
                tables::costs(group, compared),
                tables::scores(group, compared),
            ],
            figures: shown,
        });
    }
    let page = DataPage {
        name,
        about: &experiment.about,
        paper: &experiment.paper,
        reference: experiment.reference.as_deref(),
        seeds: results().map(|result| result.seed).collect(),
        commits: results().map(short_commit).collect(),
        machines: results().map(|result| result.machine.as_str()).collect(),
        overview: tables::overview(groups, compared),
        figures: overall,
        groups: sections,
    };
    let mut environment = Environment::new();
    environment.set_keep_trailing_newline(true);
    let text = environment.render_str(TEMPLATE, page);
    text.with_context(|| format!("the data page of {name}"))
}

fn title(group: &Group) -> String {
    if group.points.is_empty() {
        "All runs".to_owned()
    } else {
        group.points.join(", ")
    }
}

/// Gives as much of a commit as tells it from others.
fn short_commit(result: &RunResult) -> &str {
    let commit = result.commit.as_str();
    match commit.char_indices().nth(10) {
        Some((end, _)) => &commit[..end],
        None => commit,
    }
}
