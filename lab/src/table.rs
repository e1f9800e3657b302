//! Text tables: for a terminal, and for Markdown.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// Renders a table for a terminal: names on the left, numbers flush right.
pub fn terminal<S: ToString>(header: &[S], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().map(ToString::to_string))
        .add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}

/// Renders a Markdown table.
pub fn markdown<S: ToString>(header: &[S], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().map(ToString::to_string))
        .add_rows(rows);
    table.trim_fmt() + "\n"
}
