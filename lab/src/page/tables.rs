use crate::scores::{Scores, Share};
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::head_start::head_starts;
use crate::summary::statistics::{Spread, differences, of_one_sign, paired};

const NONE: String = String::new();

/// The losses: arm, seeds, loss, and the difference to the reference.
pub(super) fn losses(group: &Group, entries: &[Entry]) -> String {
    let reference = group.reference.map(|index| &entries[index]);
    let minus = match reference {
        Some(reference) => format!("minus {}", group.short(&reference.name)),
        None => NONE,
    };
    let header = [
        "arm",
        "seeds",
        "loss",
        &format!("{minus}, paired"),
        "seeds of that sign",
        "paper: loss",
        &format!("paper: {minus}"),
    ]
    .map(String::from);
    let row = |entry: &Entry| {
        let losses: Vec<f64> = entry.rows.iter().map(|row| row.loss).collect();
        let others = reference.filter(|reference| reference.name != entry.name);
        let paired = others.map_or(Vec::new(), |other| differences(&entry.rows, &other.rows));
        let paper = entry.figure.map(|figure| figure.loss);
        let other = others.and_then(|other| other.figure).map(|it| it.loss);
        [
            group.short(&entry.name),
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
    table(header, group, entries, row)
}

/// All groups side by side, where there are several: a row for each arm, a column for each group, and in it the
/// difference to the reference of that group, or the loss of the reference itself. None for a single group.
pub(super) fn overview(groups: &[Group], entries: &[Entry]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for group in groups {
        for index in &group.members {
            let name = group.short(&entries[*index].name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let cell = |group: &Group, name: &str| {
        let mut members = group.members.iter().map(|index| &entries[*index]);
        let entry = members.find(|entry| group.short(&entry.name) == name)?;
        let reference = &entries[group.reference?];
        if reference.name == entry.name {
            let losses: Vec<f64> = entry.rows.iter().map(|row| row.loss).collect();
            return Spread::of(&losses).map(|loss| loss.show(4));
        }
        let paired = differences(&entry.rows, &reference.rows);
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
    let header: Vec<String> = ["arm".to_owned()].into_iter().chain(points).collect();
    (groups.len() > 1 && !rows.is_empty()).then(|| markdown(&header, &rows))
}

/// The costs, and what growing saves against its last model from scratch on as many tokens.
pub(super) fn costs(group: &Group, entries: &[Entry]) -> String {
    let header = [
        "arm",
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
    let row = |entry: &Entry| {
        let first = entry.rows.first();
        let shown = |show: &dyn Fn(&crate::row::Row) -> String| first.map_or(NONE, show);
        let seconds: Vec<f64> = entry.rows.iter().filter_map(|row| row.wall_s).collect();
        let saved = |cost: f64, scratch: f64| percent(1.0 - cost / scratch);
        let both = first.zip(entry.scratch);
        [
            group.short(&entry.name),
            shown(&|row| row.steps.to_string()),
            shown(&|row| format!("{:.0}", row.active)),
            shown(&|row| format!("{:.3e}", row.flops)),
            shown(&|row| format!("{:.3e}", row.flops_counted)),
            both.map_or(NONE, |(row, scratch)| saved(row.flops, scratch.flops)),
            both.map_or(NONE, |(row, scratch)| {
                saved(row.flops_counted, scratch.counted)
            }),
            Spread::of(&head_starts(group, entries, entry))
                .map_or(NONE, |start| percent_spread(start, 0)),
            Spread::of(&seconds).map_or(NONE, |seconds| seconds.show(0)),
            Spread::of(&saved_seconds(group, entries, entry))
                .map_or(NONE, |saved| percent_spread(saved, 0)),
            entry
                .figure
                .and_then(|figure| figure.saved)
                .map_or(NONE, percent),
            entry
                .figure
                .and_then(|figure| figure.speed)
                .map_or(NONE, |speed| format!("{speed:.2}x")),
        ]
    };
    table(header, group, entries, row)
}

/// The fraction of the seconds that growing saves: against its last model from scratch, at the pace of an arm
/// of the group, for as many steps.
fn saved_seconds(group: &Group, entries: &[Entry], entry: &Entry) -> Vec<f64> {
    let Some(first) = entry.rows.first().filter(|_| entry.scratch.is_some()) else {
        return Vec::new();
    };
    let members = group.members.iter().map(|index| &entries[*index]);
    let comparable = members.flat_map(|scratch| {
        let same = scratch.wide && scratch.rows.iter().all(|row| row.active == first.active);
        let saved = paired(&entry.rows, &scratch.rows, |ours, theirs| {
            let pace = theirs.wall_s? / theirs.steps as f64;
            Some(1.0 - ours.wall_s? / (pace * ours.steps as f64))
        });
        let saved: Vec<f64> = saved.into_iter().flatten().collect();
        (same && !saved.is_empty()).then_some(saved)
    });
    // One arm's pace is enough: they are runs of the same model.
    comparable.into_iter().next().unwrap_or_default()
}

/// How often the next byte is right, in percent, what the last expansion did to the loss, and how much copies are
/// copies at the end.
pub(super) fn scores(group: &Group, entries: &[Entry]) -> String {
    let header = [
        "arm",
        "next byte",
        "identifier starts",
        "identifier ends",
        "closing brackets",
        "names again",
        "jump of the loss",
        "cosine of copies",
    ]
    .map(String::from);
    let row = |entry: &Entry| {
        let score = |of: fn(&Scores) -> Share| {
            let rows = entry.rows.iter();
            let values: Vec<f64> = rows.filter_map(|row| of(&row.scores).fraction()).collect();
            Spread::of(&values).map_or(NONE, |score| percent_spread(score, 2))
        };
        let expansions = entry.rows.iter().filter_map(|row| row.expansions.last());
        let jumps: Vec<f64> = expansions
            .map(|expansion| expansion.loss_after - expansion.loss_before)
            .collect();
        let cosines: Vec<f64> = entry.rows.iter().filter_map(|row| row.cosine).collect();
        [
            group.short(&entry.name),
            score(|scores| scores.next_byte),
            score(|scores| scores.identifier_start),
            score(|scores| scores.identifier_end),
            score(|scores| scores.closing),
            score(|scores| scores.copy),
            Spread::of(&jumps).map_or(NONE, |jump| jump.show_signed(4)),
            Spread::of(&cosines).map_or(NONE, |cosine| cosine.show(4)),
        ]
    };
    table(header, group, entries, row)
}

/// How many values have the sign of their mean, of how many.
pub(super) fn signs(values: &[f64]) -> String {
    match values.len() {
        0 => NONE,
        count => format!("{} of {count}", of_one_sign(values)),
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

/// A row for each arm of the group that has rows, without columns that are empty.
fn table<const N: usize>(
    header: [String; N],
    group: &Group,
    entries: &[Entry],
    row: impl Fn(&Entry) -> [String; N],
) -> String {
    let members = group.members.iter().map(|index| &entries[*index]);
    let rows: Vec<[String; N]> = members
        .filter(|entry| !entry.rows.is_empty())
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

pub(super) fn markdown(header: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(header.len()));
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(header) + &rule + &rows
}
