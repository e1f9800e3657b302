//! What a run has to show: `report.json`, `report.html`, and the table on the terminal.

mod dumbbell;
mod html;
mod json;
pub(crate) mod plot;

pub use json::{ArmReport, CorpusReport, ExpansionReport, ModelReport, Report, Saved};

use crate::config::Settings;
use crate::error::DemoError;
use crate::job::Listed;
use crate::run::Context;
use crate::store;
use crate::unit::Unit;

/// The arms of the demonstration that its report compares.
pub const SMALL: &str = "small";
/// See [`SMALL`].
pub const SMALL_LONGER: &str = "small-longer";
/// See [`SMALL`].
pub const FROM_SCRATCH: &str = "from-scratch";
/// See [`SMALL`].
pub const NAIVE_COPY: &str = "naive-copy";
/// See [`SMALL`].
pub const LOCKED_CONTROL: &str = "locked-control";
/// See [`SMALL`].
pub const SPARKLING: &str = "sparkling";

/// What is reported.
pub struct Subject<'a> {
    /// Text and directory.
    pub context: &'a Context,
    /// The settings.
    pub settings: &'a Settings,
    /// The run that shows how models grow here.
    pub grown: &'a Unit,
    /// The arms that were asked for.
    pub arms: Vec<&'a Listed>,
}

/// Writes the report of what is done so far.
///
/// # Errors
///
/// When rows cannot be read, or a file cannot be written.
pub fn write(subject: &Subject<'_>) -> Result<Report, DemoError> {
    let report = Report::of(subject)?;
    let store = &subject.context.store;
    let root = store.root();
    store.write(&root.join("report.json"), &report)?;
    store::write(&root.join("report.html"), html::page(&report).as_bytes())?;
    Ok(report)
}

/// The final table, for a terminal.
pub fn table(report: &Report) -> String {
    let rows = rows(report);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => table += &format!("{cell:<width$}"),
                _ => table += &format!("  {cell:>width$}"),
            }
        }
        table = table.trim_end().to_owned() + "\n";
    }
    table
}

const COLUMNS: [&str; 7] = [
    "arm",
    "steps",
    "held-out loss",
    "to naive copy",
    "FLOPs (6ND)",
    "wall s",
    "FLOPs saved",
];

/// The table: a head, then a row for each arm.
fn rows(report: &Report) -> Vec<[String; 7]> {
    let naive = report.arms.iter().find(|arm| arm.name == NAIVE_COPY);
    let naive = naive.and_then(|arm| arm.val_loss);
    let mut rows = vec![COLUMNS.map(String::from)];
    for arm in &report.arms {
        let blank = String::new;
        let loss = match arm.val_loss {
            Some(loss) => format!("{loss:.4}"),
            None if arm.steps == 0 => "not begun".into(),
            None => "stopped".into(),
        };
        let difference = match (arm.val_loss, naive) {
            (Some(loss), Some(naive)) if arm.name != NAIVE_COPY => {
                format!("{:+.4}", loss - naive)
            }
            _ => blank(),
        };
        let saved = match arm.expansion {
            Some(_) => format!(
                "{:.0} %",
                100.0 * report.saved.flops_vs_from_scratch_at_equal_tokens
            ),
            None => blank(),
        };
        rows.push([
            arm.name.clone(),
            arm.steps.to_string(),
            loss,
            difference,
            format!("{:.2e}", arm.flops),
            format!("{:.0}", arm.wall_s),
            saved,
        ]);
    }
    rows
}
