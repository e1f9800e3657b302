//! `docs/results.md` says what the rows say.

use std::path::Path;

use moe_lm::summary::{Page, RESULTS, renew, renewed};

/// Set, the page is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
const COMMAND: &str = "WRITE_DOCS=1 cargo nextest run --workspace -E 'binary(results)'";

#[test]
fn the_page_of_results_is_what_the_rows_give() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if std::env::var_os(WRITE).is_some() {
        renew(&workspace).expect("written");
        return;
    }
    let written = Page::read(&workspace.join("docs"), RESULTS).expect("a page");
    let found = renewed(&workspace).expect("a page");
    assert!(
        written == found,
        "docs/{RESULTS} is out of date: `{COMMAND}` writes it"
    );
}
