//! The report as one page that needs nothing else.

use anyhow::Result;
use minijinja::{Environment, context};
use serde::Serialize;

use crate::chart::palette::{
    FROM_SCRATCH, Idea, Ink, LOCKED_CONTROL, NAIVE_COPY, SMALL, SMALL_LONGER, SPARKLING, hex,
};
use crate::chart::{Line, Lines, Mark, Row, Rows, inline, thousands};
use crate::report::json::{Report, RunReport};
use crate::report::{COLUMNS, cells, headline};

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("style.css");

const LOSS: &str = "held-out loss (nats per byte)";

/// The room for names.
const NAMES: u32 = 112;

/// A number to read first.
#[derive(Serialize)]
struct Tile {
    number: String,
    text: String,
}

/// A line of the table.
#[derive(Serialize)]
struct TableRow<'a> {
    name: &'a str,
    about: &'a str,
    colour: String,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Figure {
    title: &'static str,
    /// What there is to see.
    about: String,
    drawing: String,
}

/// Makes the page.
///
/// # Errors
///
/// When a figure cannot be drawn.
pub(super) fn page(report: &Report) -> Result<String> {
    let growing = match report.axis.as_str() {
        "both" => "hidden and inner width".to_owned(),
        axis => format!("{axis} width"),
    };
    let rows: Vec<_> = report.runs.iter().map(|run| row(report, run)).collect();
    let mut environment = Environment::new();
    environment.add_filter("thousands", |value: f64| thousands(value));
    environment.add_template("report.html", TEMPLATE)?;
    let page = environment.get_template("report.html")?.render(context! {
        style => STYLE,
        accent => hex(Idea::Sparkling.colour()),
        warning => hex(Idea::NaiveCopy.colour()),
        report,
        growing,
        narrow => report.model.narrow,
        wide => report.model.wide,
        headline => headline(report),
        tiles => tiles(report),
        columns => COLUMNS,
        rows,
        figures => figures(report)?,
    })?;
    Ok(page)
}

fn row<'a>(report: &Report, run: &'a RunReport) -> TableRow<'a> {
    let cells = cells(report, run).into_iter().skip(1);
    TableRow {
        name: &run.name,
        about: &run.about,
        colour: hex(ink(run).colour()),
        cells: cells.map(|cell| cell.replace('-', "\u{2212}")).collect(),
    }
}

/// Gives the numbers to read first.
fn tiles(report: &Report) -> Vec<Tile> {
    let loss = |name| report.run(name).and_then(|run| run.val_loss);
    let tile = |number: String, text: &str| Tile {
        number: number.replace('-', "\u{2212}"),
        text: text.to_owned(),
    };
    let mut tiles = Vec::new();
    if let Some(sparkling) = loss(SPARKLING) {
        tiles.push(tile(
            format!("{sparkling:.4}"),
            "held-out loss of the grown model",
        ));
        for (name, text) in [
            (NAIVE_COPY, "against naive growth"),
            (SMALL_LONGER, "against the small model at equal FLOPs"),
            (FROM_SCRATCH, "against from scratch at equal FLOPs"),
        ] {
            if let Some(other) = loss(name) {
                tiles.push(tile(format!("{:+.4}", sparkling - other), text));
            }
        }
    }
    let saved = &report.saved;
    let wall = saved.wall.map_or_else(String::new, |wall| {
        format!(" and {:.0} % of the time here", 100.0 * wall).replace('-', "\u{2212}")
    });
    let flops = 100.0 * saved.flops_vs_from_scratch_at_equal_tokens;
    tiles.push(tile(
        format!("{flops:.0} %"),
        &format!("of FLOPs{wall} saved, against from scratch at equal tokens"),
    ));
    tiles
}

fn figures(report: &Report) -> Result<Vec<Figure>> {
    let rise = format!(
        "New coordinates start at the present learning rate, climb to {} times it in {} steps, and end with \
         the old ones. The locked control moves all coordinates on that line.",
        report.rho, report.tau_steps
    );
    let figures = [
        (
            "Held-out loss against FLOPs",
            "Where lines end at the same place, they cost the same. The last loss of the table is on more \
             windows: compare lines, not the two."
                .to_owned(),
            Some(losses(report, true)),
        ),
        (
            "Held-out loss against steps",
            "At the end of every epoch, on fewer windows than the table's.".to_owned(),
            Some(losses(report, false)),
        ),
        (
            "Training loss around the expansion",
            "Growing by a whole factor keeps the function, so nothing jumps at the step itself. What rises \
             after it is how the wide model takes its learning rate, re-warmed or not."
                .to_owned(),
            around(report),
        ),
        ("Learning rates", rise, rates(report)),
        (
            "Cosine between old units and their copies",
            "At 1 the copies still are copies: the symmetry lock, in which a wider model can do no more \
             than the small one."
                .to_owned(),
            cosines(report),
        ),
    ];
    let mut drawn = Vec::new();
    for (title, about, lines) in figures {
        if let Some(lines) = lines {
            drawn.push(Figure {
                title,
                about,
                drawing: inline(&lines.svg()?),
            });
        }
    }
    if let Some((rows, step)) = activations(report) {
        drawn.push(Figure {
            title: "Activations across the expansion",
            about: format!(
                "Root mean square at step {}, before (ring) and after (dot) the expansion.",
                thousands(step as f64)
            ),
            drawing: inline(&rows.svg()?),
        });
    }
    Ok(drawn)
}

fn ink(run: &RunReport) -> Ink {
    Ink::of(Idea::of(&run.name).unwrap_or(Idea::Small))
}

fn line(run: &RunReport, points: Vec<(f64, f64)>) -> Line {
    Line {
        name: run.name.clone(),
        ink: ink(run),
        bold: run.name == SPARKLING,
        points,
    }
}

/// Lists the runs, the method last: it is drawn over the others.
fn runs(report: &Report) -> impl Iterator<Item = &RunReport> {
    let last = |run: &&RunReport| run.name == SPARKLING;
    let others = report.runs.iter().filter(move |run| !last(run));
    others.chain(report.runs.iter().filter(last))
}

fn points(points: &[(usize, f64)]) -> Vec<(f64, f64)> {
    let points = points.iter();
    points.map(|(step, value)| (*step as f64, *value)).collect()
}

/// Shows the losses, from where they have fallen most of the way.
fn losses(report: &Report, by_flops: bool) -> Lines {
    let mut lines = Vec::new();
    let (mut low, mut high) = (f64::MAX, f64::MIN);
    let mut mark = report.expand_at as f64;
    for run in runs(report) {
        for (step, loss) in &run.val_curve {
            low = low.min(*loss);
            if *step * 8 >= report.steps {
                high = high.max(*loss);
            }
        }
        let mut curve = points(&run.val_curve);
        if by_flops {
            for point in &mut curve {
                point.0 = report.flops(run, point.0) / 1e12;
            }
            if run.expansion.is_some() {
                mark = report.flops(run, report.expand_at as f64) / 1e12;
            }
        }
        lines.push(line(run, curve));
    }
    let steps = report.runs.iter().map(|run| run.steps).max();
    let steps = steps.unwrap_or(0).max(report.steps) as f64;
    let grown = report.runs.iter().any(|run| run.expansion.is_some());
    let margin = 0.03 * (high - low);
    Lines {
        x: if by_flops {
            "training FLOPs, 6ND (10\u{b9}\u{b2})".into()
        } else {
            "step".into()
        },
        y: LOSS.into(),
        lines,
        mark: grown.then_some((mark, "expansion")),
        x_range: (!by_flops).then_some((0.0, steps)),
        y_range: (high > low).then_some((low - margin, high)),
        names: NAMES,
        ..Lines::default()
    }
}

/// Shows the training losses of the grown runs and the small one near the expansion, smoothed.
fn around(report: &Report) -> Option<Lines> {
    let at = report.expand_at as f64;
    let reach = 0.06 * report.steps as f64;
    let range = (at - reach, at + 2.0 * reach);
    let mut lines = Vec::new();
    for run in runs(report) {
        if run.expansion.is_none() && run.name != SMALL {
            continue;
        }
        let curve = smoothed(&points(&run.train_loss));
        let near = |point: &(f64, f64)| (range.0..=range.1).contains(&point.0);
        lines.push(line(run, curve.into_iter().filter(near).collect()));
    }
    let enough = lines.iter().any(|line| line.points.len() > 4);
    enough.then(|| Lines {
        x: "step".into(),
        y: "training loss (nats per byte)".into(),
        lines,
        mark: Some((at, "expansion")),
        x_range: Some(range),
        names: NAMES,
        ..Lines::default()
    })
}

/// Smooths by an exponential mean that reaches back about eight points.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut mean = None;
    let smooth = |(x, y): &(f64, f64)| {
        let next = mean.map_or(*y, |mean| 0.875 * mean + 0.125 * y);
        mean = Some(next);
        (*x, next)
    };
    points.iter().map(smooth).collect()
}

/// Shows the learning rates of old and new units, and of the wide model from scratch.
fn rates(report: &Report) -> Option<Lines> {
    let grown = report
        .run(SPARKLING)
        .or_else(|| report.run(LOCKED_CONTROL))?;
    let mut lines = Vec::new();
    if let Some(run) = report.run(FROM_SCRATCH) {
        let curve = run.lr.iter().map(|(step, rate, _)| (*step as f64, *rate));
        lines.push(line(run, curve.collect()));
    }
    let old = grown.lr.iter().map(|(step, rate, _)| (*step as f64, *rate));
    let new = grown.lr.iter();
    let new = new.filter_map(|(step, _, rate)| rate.map(|rate| (*step as f64, rate)));
    for (name, idea, points) in [
        ("old units", Idea::Small, old.collect::<Vec<_>>()),
        ("new units", Idea::Sparkling, new.collect()),
    ] {
        lines.push(Line {
            name: name.into(),
            ink: Ink::of(idea),
            bold: idea == Idea::Sparkling,
            points,
        });
    }
    let highest = lines.iter().flat_map(|line| &line.points);
    let highest = highest.fold(0.0, |highest: f64, point| highest.max(point.1));
    Some(Lines {
        x: "step".into(),
        y: "learning rate".into(),
        lines,
        mark: Some((report.expand_at as f64, "expansion")),
        x_range: Some((0.0, report.steps as f64)),
        y_range: Some((0.0, 1.12 * highest)),
        names: NAMES,
        ..Lines::default()
    })
}

/// Shows how far copies still are copies.
fn cosines(report: &Report) -> Option<Lines> {
    let mut lines = Vec::new();
    let mut low: f64 = 0.9;
    for run in runs(report) {
        if let Some(cosine) = run.cosine.as_ref().filter(|cosine| !cosine.is_empty()) {
            low = cosine.iter().fold(low, |low, point| low.min(point.1));
            lines.push(line(run, points(cosine)));
        }
    }
    (!lines.is_empty()).then(|| Lines {
        x: "step".into(),
        y: "mean cosine".into(),
        lines,
        x_range: Some((report.expand_at as f64, report.steps as f64)),
        y_range: Some((if low < 0.0 { -1.0 } else { 0.0 }, 1.04)),
        names: NAMES,
        ..Lines::default()
    })
}

/// Shows the activations across the expansion, and gives its step.
fn activations(report: &Report) -> Option<(Rows, usize)> {
    let run = runs(report).filter(|run| run.expansion.is_some()).last()?;
    let expansion = run.expansion.as_ref()?;
    let short = |value: f64| crate::chart::number(value);
    let rows: Vec<_> = expansion
        .rms
        .iter()
        .map(|rms| Row {
            name: rms.site.clone(),
            ink: Ink::of(Idea::Sparkling),
            marks: vec![(rms.before, Mark::Ring), (rms.after, Mark::Dot)],
            joined: true,
            note: format!("{} \u{2192} {}", short(rms.before), short(rms.after)),
        })
        .collect();
    let chart = Rows {
        x: "RMS of the activation".into(),
        rows,
        log: true,
        names: 136,
        notes: 118,
        ..Rows::default()
    };
    (!chart.rows.is_empty()).then_some((chart, expansion.step))
}
