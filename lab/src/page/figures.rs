//! The figures of an experiment: losses seed by seed, curves, and loss against compute.

use anyhow::{Context, Result};

use crate::chart::palette::{
    DEEP_FROM_SCRATCH, DEEPER, FROM_SCRATCH, Idea, Ink, NAIVE_COPY, SMALL, SPARKLING,
};
use crate::chart::{Line, Lines, Mark, Row, Rows};
use crate::page::gather::{Comparison, Results};
use crate::result::RunResult;
use crate::result::statistics::{Spread, differences};
use crate::spec::Group;

const LOSS: &str = "held-out loss (nats per byte)";

/// The room for names.
const NAMES: u32 = 200;

/// Draws what is compared: a row for each run, a dot for each seed, and a stroke at the mean.
///
/// With a reference it shows losses minus those of the reference with the same seed, else losses.
/// `None` if there is nothing to show.
pub(super) fn losses(group: &Group, compared: &[Results]) -> Result<Option<String>> {
    let reference = group.reference.map(|index| &compared[index]);
    let members = group.members.iter().map(|index| &compared[*index]);
    let others = members.filter(|run| reference.is_none_or(|reference| reference.name != run.name));
    let rows: Vec<Row> = others
        .map(|run| {
            let values = match reference {
                Some(reference) => differences(&run.seeds, &reference.seeds),
                None => run.seeds.iter().map(|result| result.loss).collect(),
            };
            row(group.short(&run.name), &values, reference.is_some())
        })
        .filter(|row| !row.marks.is_empty())
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let x = match reference {
        Some(reference) => {
            let name = group.short(&reference.name);
            format!("loss minus that of {name}, seed by seed (nats per byte)")
        }
        None => LOSS.to_owned(),
    };
    let chart = Rows {
        x,
        rows,
        zero: reference.is_some(),
        names: 240,
        notes: 136,
        ..Rows::default()
    };
    chart.svg().map(Some)
}

fn row(name: String, values: &[f64], signed: bool) -> Row {
    let mut marks: Vec<_> = values.iter().map(|value| (*value, Mark::Dot)).collect();
    let mut note = String::new();
    if let Some(spread) = Spread::of(values) {
        marks.push((spread.mean, Mark::Stroke));
        let mean = if signed {
            spread.show_signed(4)
        } else {
            spread.show(4)
        };
        note = mean.replace("+-", "\u{b1}").replace('-', "\u{2212}");
    }
    Row {
        ink: Ink::of(Idea::of(&name).unwrap_or(Idea::SmallLonger)),
        name,
        marks,
        joined: false,
        note,
    }
}

/// Draws the held-out losses on the way, means over seeds, from where they have fallen most of the
/// way. `None` if there are no curves, or more than can be told apart.
pub(super) fn curves(group: &Group, compared: &[Results]) -> Result<Option<String>> {
    let members = group.members.iter().map(|index| &compared[*index]);
    let curves: Vec<_> = members
        .filter(|run| !run.seeds.is_empty())
        .map(|run| (run, mean(&run.seeds)))
        .filter(|(_, points)| points.len() > 1)
        .collect();
    // One mark, if all that grow do so at one step.
    let mut marks: Vec<usize> = Vec::new();
    for (run, _) in &curves {
        marks.extend(run.seeds[0].expansions.iter().map(|at| at.step));
    }
    marks.sort_unstable();
    marks.dedup();
    let mark = match marks[..] {
        [step] => Some((step as f64, "expansion")),
        _ => None,
    };
    let named = curves
        .into_iter()
        .map(|(run, points)| (group.short(&run.name), points));
    let Some(lines) = lines(named.collect()) else {
        return Ok(None);
    };
    let (x_range, y_range) = fallen(&lines);
    let chart = Lines {
        x: "step".into(),
        y: LOSS.into(),
        lines,
        mark,
        x_range,
        y_range,
        names: NAMES,
        ..Lines::default()
    };
    chart.svg().map(Some)
}

/// Draws loss against the FLOPs of training: a line for each run through its lengths, means over
/// seeds. `None` unless the groups are of runs of several lengths.
pub(super) fn compute(groups: &[Group], compared: &[Results]) -> Result<Option<String>> {
    let Some(lines) = lines(lengths(groups, compared)) else {
        return Ok(None);
    };
    let chart = Lines {
        x: "training FLOPs".into(),
        y: LOSS.into(),
        lines,
        log: true,
        names: NAMES,
        ..Lines::default()
    };
    chart.svg().map(Some)
}

/// Finds the runs that were done at several lengths: the name without the length, and the points
/// from left to right.
fn lengths(groups: &[Group], compared: &[Results]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut found: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let of_length = |group: &&Group| group.points.iter().any(|point| point.starts_with("steps="));
    for group in groups.iter().filter(of_length) {
        for run in group.members.iter().map(|index| &compared[*index]) {
            let losses: Vec<f64> = run.seeds.iter().map(|result| result.loss).collect();
            let Some((first, loss)) = run.seeds.first().zip(Spread::of(&losses)) else {
                continue;
            };
            let point = (first.flops, loss.mean);
            let name = group.short(&run.name);
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, points)) => points.push(point),
                None => found.push((name, vec![point])),
            }
        }
    }
    found.retain(|(_, points)| points.len() > 1);
    for (_, points) in &mut found {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    found
}

/// What the README shows, and how it is named there.
const README: [(&str, &str); 6] = [
    (SMALL, "small"),
    (NAIVE_COPY, "wider, naive"),
    (SPARKLING, "wider (SPARKLING)"),
    (FROM_SCRATCH, "wide from scratch"),
    (DEEPER, "deeper (copies)"),
    (DEEP_FROM_SCRATCH, "deep from scratch"),
];

/// Draws the README's figure: loss against FLOPs of runs of the demonstration, means over seeds.
/// `None` if one of them has no results.
pub(super) fn readme(demo: &Comparison) -> Result<Option<String>> {
    let inks = Ink::all(README.map(|(name, _)| name)).context("as many as can be told apart")?;
    let mut lines = Vec::new();
    for ((name, title), ink) in README.into_iter().zip(inks) {
        let run = demo.compared.iter().find(|run| run.name == name);
        let Some(run) = run.filter(|run| !run.seeds.is_empty()) else {
            return Ok(None);
        };
        let curve = mean(&run.seeds).into_iter();
        let points: Vec<_> = curve
            .map(|(step, loss)| (flops_at(run, step) / 1e12, loss))
            .collect();
        lines.push(Line {
            name: title.to_owned(),
            ink,
            bold: [SPARKLING, DEEPER].contains(&name),
            points,
        });
    }
    let (x_range, y_range) = fallen(&lines);
    let chart = Lines {
        x: "training FLOPs (10\u{b9}\u{b2})".into(),
        y: LOSS.into(),
        lines,
        x_range,
        y_range,
        names: 156,
        ..Lines::default()
    };
    chart.svg().map(Some)
}

/// Computes the FLOPs of the first `step` steps of a run that grows once, or not at all.
fn flops_at(run: &Results, step: f64) -> f64 {
    let result = &run.seeds[0];
    let steps = result.steps as f64;
    let grown = result.expansions.first().zip(run.scratch);
    let Some((expansion, scratch)) = grown else {
        return result.flops * step / steps;
    };
    let (at, wide) = (expansion.step as f64, scratch.flops / steps);
    let narrow = (result.flops - wide * (steps - at)) / at;
    narrow * step.min(at) + wide * (step - at).max(0.0)
}

/// Gives lines that can be told apart their inks; `None` if there are none, or too many.
fn lines(named: Vec<(String, Vec<(f64, f64)>)>) -> Option<Vec<Line>> {
    let inks = Ink::all(named.iter().map(|(name, _)| name.as_str()))?;
    let line = |((name, points), ink): ((String, Vec<(f64, f64)>), Ink)| Line {
        bold: Idea::of(&name) == Some(Idea::Sparkling),
        name,
        ink,
        points,
    };
    (!named.is_empty()).then(|| named.into_iter().zip(inks).map(line).collect())
}

type Range = Option<(f64, f64)>;

/// Gives the ranges of curves: all of x, and of y what lies after the first eighth.
fn fallen(lines: &[Line]) -> (Range, Range) {
    let all = || lines.iter().flat_map(|line| &line.points);
    let last = all().map(|point| point.0).fold(0.0, f64::max);
    let fallen = all().filter(|point| point.0 * 8.0 >= last);
    let (low, high) = fallen.fold((f64::MAX, f64::MIN), |(low, high), point| {
        (low.min(point.1), high.max(point.1))
    });
    let margin = 0.03 * (high - low);
    let y_range = (high > low).then_some((low - margin, high));
    (Some((0.0, last)), y_range)
}

/// Gives the mean over seeds at every step: runs of one specification write results at the same
/// ones.
fn mean(seeds: &[RunResult]) -> Vec<(f64, f64)> {
    let count = seeds.len() as f64;
    let curves = seeds.iter().map(|result| result.curve.len());
    (0..curves.min().unwrap_or(0))
        .map(|index| {
            let losses: f64 = seeds.iter().map(|result| result.curve[index].1).sum();
            (seeds[0].curve[index].0 as f64, losses / count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::gather::Scratch;
    use crate::result::Expanded;
    use crate::result::tests::result;
    use crate::spec::groups;

    #[test]
    fn a_curve_is_the_mean_of_those_of_its_seeds() {
        let with_curve = |curve| RunResult {
            curve,
            ..result("a")
        };
        let seeds = [
            with_curve(vec![(10, 2.0), (20, 1.0)]),
            with_curve(vec![(10, 4.0), (20, 1.5)]),
        ];
        assert_eq!(mean(&seeds), [(10.0, 3.0), (20.0, 1.25)]);
        assert_eq!(mean(&[]), []);
    }

    #[test]
    fn a_run_has_a_line_through_its_lengths() {
        let names = ["a/steps=8000", "b/steps=8000", "a/steps=2000"];
        let results = |(name, points): (&str, &[(f64, f64)])| Results {
            name: name.into(),
            wide: false,
            scratch: None,
            published: None,
            seeds: points
                .iter()
                .map(|(flops, loss)| RunResult {
                    flops: *flops,
                    loss: *loss,
                    ..result(name)
                })
                .collect(),
        };
        let compared = [
            (names[0], &[(1e12, 1.0), (1e12, 1.5)][..]),
            (names[1], &[(1e12, 2.0)]),
            (names[2], &[(1e11, 3.0)]),
        ]
        .map(results);
        let groups = groups(Some("a"), &names).expect("groups");
        assert_eq!(
            lengths(&groups, &compared),
            [("a".to_owned(), vec![(1e11, 3.0), (1e12, 1.25)])]
        );
        assert!(compute(&groups, &compared).expect("a drawing").is_some());
        assert!(compute(&[], &compared).expect("no drawing").is_none());
    }

    #[test]
    fn a_grown_run_costs_more_after_its_expansion() {
        // 40 steps of 1, then 60 of 2.
        let expansion = Expanded {
            step: 40,
            ..result("").expansions[0]
        };
        let run = Results {
            name: "sparkling".into(),
            wide: false,
            scratch: Some(Scratch {
                flops: 200.0,
                counted: 200.0,
            }),
            published: None,
            seeds: vec![RunResult {
                steps: 100,
                flops: 160.0,
                expansions: vec![expansion],
                ..result("sparkling")
            }],
        };
        let flops = [20.0, 40.0, 50.0, 100.0].map(|step| flops_at(&run, step));
        assert_eq!(flops, [20.0, 40.0, 60.0, 160.0]);
    }
}
