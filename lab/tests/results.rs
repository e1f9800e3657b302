//! `docs/results.md` says what the rows say.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use moe_lm::experiment::{Experiment, Length};
use moe_lm::experiments::{Campaign, ExperimentCli, Places};
use moe_lm::progress::Display;
use moe_lm::row::Row;
use moe_lm::summary::{Page, RESULTS, renew, renewed};

/// Set, the page is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
const COMMAND: &str = "WRITE_DOCS=1 cargo test --workspace --test results";

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

const TOY: &str = r#"
about = "a toy"
seeds = [0, 1]
reference = "sparkling"

[settings]
corpus = "CORPUS"
steps = 48
epochs = 8
context = 16
batch = 4
valid_windows = 8
final_windows = 16
model = { n_layers = 1, hidden = 8, inner = 4, n_heads = 2, n_kv_heads = 1, head_dim = 4, n_experts = 4 }

[[arms]]
name = "from-scratch"
about = "wide from the start"
wide = true

[[arms]]
name = "sparkling"
about = "state zeroed and rate re-warmed where new"
growth = { rewarmup = {} }

[figures]
sparkling = { loss = 2.3153 }
"#;

#[test]
fn runs_are_found_on_the_page_with_what_they_scored_and_cost() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    for name in ["experiments", "docs"] {
        fs::create_dir(root.join(name)).expect("a directory");
    }
    let text: String = (0..9000)
        .map(|index| format!("let value_{} = {index};\n", index % 7))
        .collect();
    let corpus = root.join("text");
    fs::write(&corpus, text).expect("a file");
    let file = root.join("experiments/toy.toml");
    let corpus = corpus.display().to_string().replace('\\', "/");
    fs::write(&file, TOY.replace("CORPUS", &corpus)).expect("a file");
    let page = "# Page\n\n<!-- experiment: toy -->\n<!-- end -->\n";
    fs::write(root.join("docs").join(RESULTS), page).expect("a file");

    let experiment = Experiment::read(&file).expect("an experiment");
    let campaign = Campaign::of(&experiment, &ExperimentCli::default()).expect("a campaign");
    let places = Places::of(root, Length::Full);
    let run = campaign.run(&places, 2, Arc::default(), Display::Nothing);
    assert!(run.expect("a run"));
    let rows = Row::read_all(&places.results).expect("rows");
    for row in &rows {
        assert_eq!(row.scores.next_byte.of, 16 * 16);
        assert!(row.scores.identifier_start.of > 0);
        assert!(row.flops_counted > 0.0);
    }

    renew(root).expect("a page");
    let page = Page::read(&root.join("docs"), RESULTS).expect("a page");
    assert_eq!(page, renewed(root).expect("the same"));
    let names: Vec<_> = page.figures.keys().map(String::as_str).collect();
    assert_eq!(names, ["toy-curves.svg", "toy-losses.svg"]);
    for text in [
        "4 of 4 runs are done, seeds 0, 1,",
        "minus sparkling, paired",
        "| sparkling | 2 |",
        "2.3153",
        "saved, counted",
        "identifier starts",
        "(results/toy-losses.svg)",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}
