//! What the demonstration shows: `report.json`, `report.html`, and the table on the terminal.

mod html;
mod json;

use anyhow::Result;
use burn_grow::cost::training_flops;

pub use json::{CorpusReport, ExpansionReport, ModelReport, Report, RunReport, Saved};

use crate::chart::palette::{
    DEEP_FROM_SCRATCH, DEEPER, FROM_SCRATCH, NAIVE_COPY, SMALL_LONGER, SPARKLING,
};
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

/// Gives the final table and what it comes to, for a terminal.
pub fn table(report: &Report) -> String {
    let rows = report.runs.iter().map(|run| cells(report, run).to_vec());
    let table = table::terminal(&COLUMNS, &rows.collect::<Vec<_>>());
    match headline(report) {
        Some(headline) => format!("{table}\n{headline}\n"),
        None => table,
    }
}

/// Says in a sentence or two what growing won, and against what; `None` before its runs have ended.
fn headline(report: &Report) -> Option<String> {
    let loss = |name: &str| report.run(name).and_then(|run| run.val_loss);
    let against = |ours: f64, name: &str| {
        let apart = ours - loss(name)?;
        let side = if apart < 0.0 { "below" } else { "above" };
        Some(format!("{:.3} {side}", apart.abs()))
    };
    let wider = loss(SPARKLING)?;
    let mut said = format!(
        "Grown wider midway, the model ends {} the one that grew naively, {} the small one and {} the \
         wide one, these two trained on as many FLOPs.",
        against(wider, NAIVE_COPY)?,
        against(wider, SMALL_LONGER)?,
        against(wider, FROM_SCRATCH)?,
    );
    let deeper = loss(DEEPER);
    let rivals = deeper.and_then(|deeper| {
        let deep = against(deeper, DEEP_FROM_SCRATCH)?;
        Some((deep, against(deeper, SMALL_LONGER)?))
    });
    if let Some((deep, small)) = rivals {
        said += &format!(
            " Grown deeper after a quarter, it ends {deep} the deep one trained on as many FLOPs, and \
             {small} that small one."
        );
    }
    Some(said)
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
        let tokens = run.steps as f64 * report.step_tokens as f64;
        let saved = 1.0 - run.flops / training_flops(run.active_params, tokens);
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
