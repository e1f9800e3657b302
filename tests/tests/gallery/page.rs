//! The tables of `docs/src/reference/gallery.md`: what the checks and the mutations found.

use std::fs;

use crate::mutations::{Moment, rows};
use crate::{Enrolled, gallery};

const DOCS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/src/reference/gallery.md"
);
/// Set, the tables are written instead of compared.
const WRITE: &str = "WRITE_DOCS";
const COMMAND: &str =
    "WRITE_DOCS=1 cargo test --workspace --test gallery tables_of_the_documentation";
/// The longest message in a cell.
const LONGEST: usize = 240;

/// Kinds of models that public code was counted for: the lines by hand that they needed before
/// attributes could name blocks used on several axes, stacks whose ends differ and products in
/// constants; and the most that they may need now.
const COUNTED: [(&str, usize, usize); 6] = [
    ("cnn_classifier", 15, 0),
    ("lstm_stack", 28, 2),
    ("resnet_basic", 86, 4),
    ("resnet_bottleneck", 86, 4),
    ("llama_decoder", 5, 0),
    ("dqn_policy", 11, 2),
];

/// Counts the lines between `// by hand` and `// end`, without empty ones.
pub(crate) fn by_hand(source: &str) -> usize {
    let mut inside = false;
    let mut count = 0;
    for line in source.lines().map(str::trim) {
        match line {
            "// by hand" => inside = true,
            "// end" => inside = false,
            "" => {}
            _ => count += usize::from(inside),
        }
    }
    assert!(!inside, "`// by hand` without `// end`");
    count
}

fn models() -> String {
    let mut rows = vec!["| model | axes | lines by hand | checks passed |\n".to_owned()];
    rows.push("| --- | --- | --- | --- |\n".into());
    rows.extend(gallery().iter().map(model));
    rows.concat()
}

fn model(enrolled: &Enrolled) -> String {
    let Enrolled {
        name,
        kind,
        axes,
        by_hand,
        checks,
    } = enrolled;
    let failed: Vec<_> = checks.iter().filter_map(|check| check().err()).collect();
    let passed = match failed.len() {
        0 => format!("all {}", checks.len()),
        _ => panic!("{name}: {}", failed.join("\n")),
    };
    let axes: Vec<_> = axes.iter().map(|axis| format!("`{axis}`")).collect();
    let counted = COUNTED.iter().find(|(counted, ..)| counted == name);
    let before = counted.map_or_else(String::new, |(_, before, _)| format!("{before} -> "));
    format!(
        "| {kind} | {} | {before}{by_hand} | {passed} |\n",
        axes.join(", ")
    )
}

fn mutations() -> String {
    let mut lines = vec!["| mistake | caught by | what is said |\n".to_owned()];
    lines.push("| --- | --- | --- |\n".into());
    lines.extend(rows().iter().map(|row| {
        let moment = row.moment.name();
        format!(
            "| {} | {moment} | {} |\n",
            row.name,
            cell(&row.message, row.moment)
        )
    }));
    lines.concat()
}

/// The message in one cell of a table: its first line, and how many there are more.
fn cell(message: &str, moment: Moment) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default().replace('|', "\\|");
    let more = lines.count();
    let mut text = first;
    if text.len() > LONGEST && !matches!(moment, Moment::Nothing(_)) {
        let end = text.floor_char_boundary(LONGEST);
        let stops = [". ", "; "].into_iter();
        let stop = stops.filter_map(|stop| text[..end].rfind(stop)).max();
        text.truncate(stop.unwrap_or(end));
        text.push_str(" ..");
    }
    match more {
        0 => text,
        1 => format!("{text} (and 1 line more)"),
        _ => format!("{text} (and {more} lines more)"),
    }
}

/// The text around the table between `<!-- name -->` and `<!-- end of name -->`.
fn renewed(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    [before, &begin, table, &end, after].concat()
}

#[test]
fn the_tables_of_the_documentation_are_what_the_checks_found() {
    let written = fs::read_to_string(DOCS).unwrap();
    let found = renewed(&written, "models", &models());
    let found = renewed(&found, "mistakes", &mutations());
    if std::env::var_os(WRITE).is_some() {
        fs::write(DOCS, found).unwrap();
        return;
    }
    assert_eq!(
        written, found,
        "docs/src/reference/gallery.md is out of date: `{COMMAND}` writes it"
    );
}

#[test]
fn attributes_say_what_took_lines_by_hand() {
    let gallery = gallery();
    for (name, before, most) in COUNTED {
        let enrolled = gallery.iter().find(|enrolled| enrolled.name == name);
        let now = enrolled.unwrap().by_hand;
        assert!(now <= most, "{name}: {now} lines by hand, {before} before");
    }
}

#[test]
fn lines_by_hand_are_those_between_the_marks() {
    let source = "a\n    // by hand\nb\n\nc\n// end\nd\n// by hand\n// end\n";
    assert_eq!(by_hand(source), 2);
}
