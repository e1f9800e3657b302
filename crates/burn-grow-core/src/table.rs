//! Tables of text, laid out alike wherever the library prints one.

use comfy_table::{Cell, Table};

/// Lines up `rows` in columns two spaces apart, without trailing spaces; every line ends.
pub fn table(rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_two_spaces_apart() {
        let rows = [
            vec!["parameter", "old", "", "factor"],
            vec!["up", "[8, 16]", "new", ""],
            vec!["", "12345678901", "", "x"],
            vec!["é x", "1"],
        ];
        let rows = rows.map(|row| row.into_iter().map(String::from).collect::<Vec<_>>());
        let expected = [
            "parameter  old               factor",
            "up         [8, 16]      new",
            "           12345678901       x",
            "é x        1",
            "",
        ];
        assert_eq!(table(&rows), expected.join("\n"));
    }
}
