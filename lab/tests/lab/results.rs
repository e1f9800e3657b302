//! The published evidence says what the results say.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use lab::campaign::{Asked, Campaign, Places};
use lab::page::{Evidence, renew, unfounded};
use lab::result::RunResult;
use lab::run::{Display, Identity};
use lab::spec::{Experiment, Length};

/// Set, the evidence is written instead of compared.
const WRITE: &str = "WRITE_DOCS";
const COMMAND: &str = "WRITE_DOCS=1 cargo test --workspace --test lab results";

#[test]
fn the_evidence_is_what_the_results_give() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if std::env::var_os(WRITE).is_some() {
        renew(&workspace).expect("written");
        return;
    }
    let written = Evidence::read(&workspace).expect("pages");
    let found = Evidence::renewed(&workspace).expect("pages");
    for (written, found) in [
        (&written.pages, &found.pages),
        (&written.data, &found.data),
        (&written.figures, &found.figures),
    ] {
        let names = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(written), names(found), "`{COMMAND}` writes them");
        for (name, text) in found {
            assert!(
                written[name] == *text,
                "{name} is out of date: `{COMMAND}` writes it"
            );
        }
    }
}

/// Losses have three decimals: one that no row stands behind is written by hand.
#[test]
fn numbers_of_the_pages_come_from_rows() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (page, text) in Evidence::read(&workspace).expect("pages").pages {
        let found = unfounded(&text);
        assert!(found.is_empty(), "{page}: {found:?} stand in no place");
    }
}

/// Two headings of one name would get anchors with a number: links to them would be unstable.
#[test]
fn headings_of_a_data_page_are_unique() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (page, text) in Evidence::read(&workspace).expect("pages").data {
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        let mut unique = headings.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), headings.len(), "{page}");
    }
}

/// A run is found by its id: who changes what is hashed has to run everything again.
#[test]
fn ids_of_finished_runs_stay_what_they_are() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let results = RunResult::read_all(&workspace.join("lab/results.jsonl")).expect("results");
    assert!(results.len() > 800);
    for result in results {
        let identity: Identity = serde_json::from_value(result.settings).expect("an identity");
        assert_eq!(identity.id().expect("an id"), result.id);
    }
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

[[runs]]
name = "from-scratch"
about = "wide from the start"
wide = true

[[runs]]
name = "sparkling"
about = "state zeroed and rate re-warmed where new"
growth = { rewarmup = {} }

[figures]
sparkling = { loss = 2.3153 }
"#;

#[test]
fn runs_are_published_with_what_they_scored_and_cost() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    for name in ["lab/experiments", "docs/src/evidence", "docs/src/guide"] {
        fs::create_dir_all(root.join(name)).expect("a directory");
    }
    let text: String = (0..9000)
        .map(|index| format!("let value_{} = {index};\n", index % 7))
        .collect();
    for page in ["README.md", "docs/src/guide/choose-when-and-how-much.md"] {
        fs::write(root.join(page), "# A page\n").expect("a file");
    }
    let corpus = root.join("text");
    fs::write(&corpus, text).expect("a file");
    let file = root.join("lab/experiments/toy.toml");
    let corpus = corpus.display().to_string().replace('\\', "/");
    fs::write(&file, TOY.replace("CORPUS", &corpus)).expect("a file");

    let experiment = Experiment::read(&file).expect("an experiment");
    let campaign = Campaign::of(&experiment, &Asked::default()).expect("a campaign");
    let places = Places::of(root, Length::Full);
    let run = campaign.run(&places, 2, Arc::default(), Display::Nothing);
    assert!(run.expect("a run"));
    let results = RunResult::read_all(&places.results).expect("results");
    for result in &results {
        assert_eq!(result.scores.next_byte.of, 16 * 16);
        assert!(result.scores.identifier_start.of > 0);
        assert!(result.flops_counted > 0.0);
    }

    renew(root).expect("pages");
    let evidence = Evidence::read(root).expect("pages");
    assert_eq!(evidence, Evidence::renewed(root).expect("the same"));
    let names: Vec<_> = evidence.figures.keys().map(String::as_str).collect();
    assert_eq!(names, ["toy-curves.svg", "toy-losses.svg"]);
    let page = &evidence.data["toy.md"];
    let page_words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "Seeds: 0, 1.",
        "minus sparkling, paired",
        "| sparkling | 2 |",
        "2.3153",
        "saved, counted",
        "identifier starts",
        "(../figures/toy-losses.svg)",
    ] {
        assert!(page_words.contains(text), "{text}: {page}");
    }
}
