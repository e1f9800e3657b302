//! The tables of an experiment: losses, costs and scores.

use crate::measure::{Hits, Scores};
use crate::page::gather::Results;
use crate::page::head_start::head_starts;
use crate::result::RunResult;
use crate::result::statistics::{Spread, differences, of_one_sign, paired};
use crate::spec::Group;
use crate::table::markdown;

const NONE: String = String::new();

/// Tabulates losses: run, seeds, loss, and the difference to the reference.
pub(super) fn losses(group: &Group, compared: &[Results]) -> String {
    let reference = group.reference.map(|index| &compared[index]);
    let minus = match reference {
        Some(reference) => format!("minus {}", group.short(&reference.name)),
        None => NONE,
    };
    let header = [
        "run",
        "seeds",
        "loss",
        &format!("{minus}, paired"),
        "seeds of that sign",
        "paper: loss",
        &format!("paper: {minus}"),
    ]
    .map(String::from);
    let row = |results: &Results| {
        let losses: Vec<f64> = results.seeds.iter().map(|row| row.loss).collect();
        let others = reference.filter(|reference| reference.name != results.name);
        let paired = others.map_or(Vec::new(), |other| {
            differences(&results.seeds, &other.seeds)
        });
        let paper = results.published.map(|published| published.loss);
        let other = others.and_then(|other| other.published).map(|it| it.loss);
        [
            group.short(&results.name),
            losses.len().to_string(),
            Spread::of(&losses).map_or(NONE, |loss| loss.show(4)),
            Spread::of(&paired).map_or(NONE, |paired| paired.show_signed(4)),
            signs(&paired),
            paper.map_or(NONE, |loss| format!("{loss:.4}")),
            paper
                .zip(other)
                .map_or(NONE, |(loss, other)| format!("{:+.4}", loss - other)),
        ]
    };
    table(header, group, compared, row)
}

/// Tabulates several groups side by side: a line for each run, a column for each group, and in it
/// the difference to the reference of that group, or the loss of the reference itself. `None` for a
/// single group.
pub(super) fn overview(groups: &[Group], compared: &[Results]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for group in groups {
        for index in &group.members {
            let name = group.short(&compared[*index].name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let cell = |group: &Group, name: &str| {
        let mut members = group.members.iter().map(|index| &compared[*index]);
        let results = members.find(|results| group.short(&results.name) == name)?;
        let reference = &compared[group.reference?];
        if reference.name == results.name {
            let losses: Vec<f64> = results.seeds.iter().map(|row| row.loss).collect();
            return Spread::of(&losses).map(|loss| loss.show(4));
        }
        let paired = differences(&results.seeds, &reference.seeds);
        Spread::of(&paired).map(|paired| paired.show_signed(4))
    };
    let mut rows = Vec::new();
    for name in names {
        let cells: Vec<_> = groups.iter().map(|group| cell(group, &name)).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push([name].into_iter().chain(cells).collect::<Vec<_>>());
        }
    }
    let points = groups.iter().map(|group| group.points.join(", "));
    let header: Vec<String> = ["run".to_owned()].into_iter().chain(points).collect();
    (groups.len() > 1 && !rows.is_empty()).then(|| markdown(&header, &rows))
}

/// Tabulates costs, and what growing saves against its last model from scratch on as many tokens.
pub(super) fn costs(group: &Group, compared: &[Results]) -> String {
    let header = [
        "run",
        "steps",
        "active parameters",
        "FLOPs, 6ND",
        "FLOPs, counted",
        "saved, 6ND",
        "saved, counted",
        "head start",
        "seconds",
        "saved seconds",
        "paper: saved",
        "paper: speed",
    ]
    .map(String::from);
    let row = |results: &Results| {
        let first = results.seeds.first();
        let shown = |show: &dyn Fn(&RunResult) -> String| first.map_or(NONE, show);
        let seconds: Vec<f64> = results.seeds.iter().filter_map(|row| row.wall_s).collect();
        let saved = |cost: f64, scratch: f64| percent(1.0 - cost / scratch);
        let both = first.zip(results.scratch);
        [
            group.short(&results.name),
            shown(&|row| row.steps.to_string()),
            shown(&|row| format!("{:.0}", row.active)),
            shown(&|row| format!("{:.3e}", row.flops)),
            shown(&|row| format!("{:.3e}", row.flops_counted)),
            both.map_or(NONE, |(row, scratch)| saved(row.flops, scratch.flops)),
            both.map_or(NONE, |(row, scratch)| {
                saved(row.flops_counted, scratch.counted)
            }),
            Spread::of(&head_starts(group, compared, results))
                .map_or(NONE, |start| percent_spread(start, 0)),
            Spread::of(&seconds).map_or(NONE, |seconds| seconds.show(0)),
            Spread::of(&saved_seconds(group, compared, results))
                .map_or(NONE, |saved| percent_spread(saved, 0)),
            results
                .published
                .and_then(|published| published.saved)
                .map_or(NONE, percent),
            results
                .published
                .and_then(|published| published.speed)
                .map_or(NONE, |speed| format!("{speed:.2}x")),
        ]
    };
    table(header, group, compared, row)
}

/// Computes the fraction of the seconds that growing saves: against its last model from scratch, at
/// the pace of a run of the group, for as many steps.
fn saved_seconds(group: &Group, compared: &[Results], results: &Results) -> Vec<f64> {
    let Some(first) = results.seeds.first().filter(|_| results.scratch.is_some()) else {
        return Vec::new();
    };
    let members = group.members.iter().map(|index| &compared[*index]);
    let comparable = members.flat_map(|scratch| {
        let same = scratch.wide && scratch.seeds.iter().all(|row| row.active == first.active);
        let saved = paired(&results.seeds, &scratch.seeds, |ours, theirs| {
            let pace = theirs.wall_s? / theirs.steps as f64;
            Some(1.0 - ours.wall_s? / (pace * ours.steps as f64))
        });
        let saved: Vec<f64> = saved.into_iter().flatten().collect();
        (same && !saved.is_empty()).then_some(saved)
    });
    // The pace of one run is enough: they train the same model.
    comparable.into_iter().next().unwrap_or_default()
}

/// Tabulates how often the next byte is right, in percent, what the last expansion did to the loss,
/// and how far copies are copies at the end.
pub(super) fn scores(group: &Group, compared: &[Results]) -> String {
    let header = [
        "run",
        "next byte",
        "identifier starts",
        "identifier ends",
        "closing brackets",
        "names again",
        "jump of the loss",
        "cosine of copies",
    ]
    .map(String::from);
    let row = |results: &Results| {
        let score = |of: fn(&Scores) -> Hits| {
            let rows = results.seeds.iter();
            let values: Vec<f64> = rows.filter_map(|row| of(&row.scores).fraction()).collect();
            Spread::of(&values).map_or(NONE, |score| percent_spread(score, 2))
        };
        let expansions = results.seeds.iter().filter_map(|row| row.expansions.last());
        let jumps: Vec<f64> = expansions
            .map(|expansion| expansion.loss_after - expansion.loss_before)
            .collect();
        let cosines: Vec<f64> = results.seeds.iter().filter_map(|row| row.cosine).collect();
        [
            group.short(&results.name),
            score(|scores| scores.next_byte),
            score(|scores| scores.identifier_start),
            score(|scores| scores.identifier_end),
            score(|scores| scores.closing),
            score(|scores| scores.copy),
            Spread::of(&jumps).map_or(NONE, |jump| jump.show_signed(4)),
            Spread::of(&cosines).map_or(NONE, |cosine| cosine.show(4)),
        ]
    };
    table(header, group, compared, row)
}

/// Says how many values have the sign of their mean, of how many.
pub(super) fn signs(values: &[f64]) -> String {
    if values.is_empty() {
        NONE
    } else {
        format!("{} of {}", of_one_sign(values), values.len())
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.0} %", 100.0 * fraction)
}

pub(super) fn percent_spread(fraction: Spread, decimals: usize) -> String {
    let percent = Spread {
        mean: 100.0 * fraction.mean,
        sd: fraction.sd.map(|sd| 100.0 * sd),
    };
    format!("{} %", percent.show(decimals))
}

/// Makes a table with a line for each run of the group that has results, without empty columns.
fn table<const N: usize>(
    header: [String; N],
    group: &Group,
    compared: &[Results],
    row: impl Fn(&Results) -> [String; N],
) -> String {
    let members = group.members.iter().map(|index| &compared[*index]);
    let rows: Vec<[String; N]> = members
        .filter(|results| !results.seeds.is_empty())
        .map(row)
        .collect();
    let used: Vec<usize> = (0..N)
        .filter(|column| rows.iter().any(|row| !row[*column].is_empty()))
        .collect();
    let kept = |cells: &[String; N]| -> Vec<String> {
        let cells = used.iter().map(|column| cells[*column].clone());
        cells.collect()
    };
    let rows: Vec<_> = rows.iter().map(kept).collect();
    markdown(&kept(&header), &rows)
}
