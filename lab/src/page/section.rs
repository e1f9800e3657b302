use std::collections::{BTreeMap, BTreeSet};

use crate::experiment::Experiment;
use crate::summary::comparison::Comparison;
use crate::summary::compute::compute;
use crate::summary::curves::curves;
use crate::summary::figure::figure;
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::tables;

/// The part of a page that is about one experiment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    /// Markdown, without a heading.
    pub(crate) text: String,
    /// SVG, by file name.
    pub(crate) figures: BTreeMap<String, String>,
    /// The runs that it shows.
    pub(crate) runs: usize,
}

impl Section {
    /// What is known of `experiment`. Figures are found in `folder`.
    pub(super) fn of(experiment: &Experiment, comparison: &Comparison, folder: &str) -> Self {
        let Comparison {
            name,
            entries,
            groups,
        } = comparison;
        let runs = entries.iter().map(|entry| entry.rows.len()).sum();
        let mut section = Self {
            text: introduction(name, experiment, entries),
            figures: BTreeMap::new(),
            runs,
        };
        if let Some(overview) = tables::overview(groups, entries)
            && let Some(reference) = &experiment.reference
        {
            section.text += &format!(
                "\nLosses minus that of `{reference}` at the same point, paired; of that itself, the loss.\n\n\
                 {overview}"
            );
        }
        section.drawing(&[name], "compute", compute(groups, entries), folder);
        for group in groups {
            section.group(name, group, entries, folder);
        }
        section
    }

    fn group(&mut self, name: &str, group: &Group, entries: &[Entry], folder: &str) {
        let members = || group.members.iter().map(|index| &entries[*index]);
        if members().all(|entry| entry.rows.is_empty()) {
            return;
        }
        if !group.points.is_empty() {
            self.text += &format!("\n### {}\n", group.points.join(", "));
        }
        let parts = [
            tables::losses(group, entries),
            tables::costs(group, entries),
            tables::scores(group, entries),
        ];
        for part in parts {
            self.text += &format!("\n{part}");
        }
        let mut place = vec![name];
        place.extend(group.points.iter().map(String::as_str));
        let drawings = [
            ("losses", figure(group, entries)),
            ("curves", curves(group, entries)),
        ];
        for (what, drawing) in drawings {
            self.drawing(&place, what, drawing, folder);
        }
    }

    fn drawing(&mut self, place: &[&str], what: &str, drawing: Option<String>, folder: &str) {
        let Some(drawing) = drawing else {
            return;
        };
        let file = [place, &[what]].concat().join("-");
        let file = file.replace(['=', '.', '/', ' '], "-") + ".svg";
        let about = format!("{what} of the arms of {}", place.join(", "));
        self.text += &format!("\n![{about}]({folder}/{file})\n");
        self.figures.insert(file, drawing);
    }
}

/// What is asked, where the paper asks it, and where the numbers come from.
fn introduction(name: &str, experiment: &Experiment, entries: &[Entry]) -> String {
    let mut text = experiment.about.clone();
    if !experiment.paper.is_empty() {
        text += &format!(" (the paper: {})", experiment.paper);
    }
    let rows = || entries.iter().flat_map(|entry| &entry.rows);
    // More seeds than planned can have been asked for.
    let seeds: BTreeSet<u64> = rows().map(|row| row.seed).collect();
    let planned = seeds.iter().chain(&experiment.seeds);
    let planned = entries.len() * planned.collect::<BTreeSet<_>>().len();
    text += &format!(".\n\n```sh\ncargo xtask experiment {name}\n```\n\n");
    if rows().next().is_none() {
        return text + &format!("None of its {planned} runs is done yet.\n");
    }
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let commits: BTreeSet<&str> = rows().map(|row| short(&row.commit)).collect();
    let commits: Vec<String> = commits
        .into_iter()
        .map(|commit| format!("`{commit}`"))
        .collect();
    let machines: BTreeSet<&str> = rows().map(|row| row.machine.as_str()).collect();
    let machines: Vec<&str> = machines.into_iter().collect();
    text + &format!(
        "{} of {planned} runs are done, seeds {}, at commit {} on {}.\n",
        rows().count(),
        seeds.join(", "),
        commits.join(", "),
        machines.join("; ")
    )
}

/// As much of a commit as tells it from others.
fn short(commit: &str) -> &str {
    match commit.char_indices().nth(10) {
        Some((end, _)) => &commit[..end],
        None => commit,
    }
}
