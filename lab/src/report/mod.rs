//! What the demonstration shows: `report.json`, `report.html`, and the table on the terminal.

mod html;
mod json;

use anyhow::Result;

pub use json::{CorpusReport, ExpansionReport, ModelReport, Report, RunReport, Saved};

use crate::chart::palette::NAIVE_COPY;
use crate::files;
use crate::run::{Context, Run};
use crate::spec::Settings;
use crate::table;

/// What is reported.
pub struct Subject<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    /// The run that shows how models grow here.
    pub grown: &'a Run,
    /// The runs that were asked for.
    pub runs: Vec<&'a Run>,
}

/// Writes the report of what is done so far.
///
/// # Errors
///
/// When a log cannot be read, or a file cannot be written.
pub fn write(subject: &Subject<'_>) -> Result<Report> {
    let report = Report::of(subject)?;
    let root = subject.context.store.root();
    files::write_json(&root.join("report.json"), &report)?;
    files::write(&root.join("report.html"), html::page(&report)?.as_bytes())?;
    Ok(report)
}

/// Gives the final table, for a terminal.
pub fn table(report: &Report) -> String {
    let rows = report.runs.iter().map(|run| cells(report, run).to_vec());
    table::terminal(&COLUMNS, &rows.collect::<Vec<_>>())
}

const COLUMNS: [&str; 7] = [
    "run",
    "steps",
    "held-out loss",
    "to naive copy",
    "FLOPs (6ND)",
    "wall s",
    "FLOPs saved",
];

/// Gives the line of a run in the table.
fn cells(report: &Report, run: &RunReport) -> [String; 7] {
    let naive = report.run(NAIVE_COPY).and_then(|naive| naive.val_loss);
    let loss = match run.val_loss {
        Some(loss) => format!("{loss:.4}"),
        None if run.steps == 0 => "not begun".into(),
        None => "stopped".into(),
    };
    let difference = match (run.val_loss, naive) {
        (Some(loss), Some(naive)) if run.name != NAIVE_COPY => format!("{:+.4}", loss - naive),
        _ => String::new(),
    };
    let saved = run.expansion.as_ref().map_or_else(String::new, |_| {
        let saved = report.saved.flops_vs_from_scratch_at_equal_tokens;
        format!("{:.0} %", 100.0 * saved)
    });
    [
        run.name.clone(),
        run.steps.to_string(),
        loss,
        difference,
        format!("{:.2e}", run.flops),
        format!("{:.0}", run.wall_s),
        saved,
    ]
}
