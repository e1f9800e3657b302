//! The demonstration: its runs side by side, and a report of them.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::chart::palette::SPARKLING;
use crate::log::Store;
use crate::report::{self, Report, Subject};
use crate::run::{Board, Context, Display, Run, Stop, run_all, shared};
use crate::spec::{Experiment, Length, Settings, Spec};
use crate::text::Corpus;

/// Does every run of `settings` and writes the report.
///
/// # Errors
///
/// When a setting, the corpus or the directory is wrong, or a run fails.
pub fn perform(
    settings: Settings,
    resume: bool,
    stop: Arc<Stop>,
    display: Display,
) -> Result<Report> {
    ensure!(
        settings.targets.is_empty(),
        "setting `targets`: expected none, as the report is about `axis` and `factor`"
    );
    let demo = Experiment::demo()?;
    let every: Vec<&Spec> = demo.specs.iter().collect();
    let asked = match &settings.runs {
        Some(names) => demo.select(names)?,
        None => every.clone(),
    };
    let length = Length::Full;
    let corpus = Corpus::load(settings.corpus.as_deref(), settings.context + 1)?;
    let text = corpus.fingerprint();
    let grown = Run::of(&demo, demo.spec(SPARKLING)?, &settings, &text, length)?;
    let mut all = Run::all(&demo, &every, &settings, &[settings.seed], &text, length)?;
    for run in &mut all {
        // There is one run of each name: its directory can be called so.
        run.key = run.spec.name.clone();
        run.label = run.spec.name.clone();
    }
    let asked = |run: &Run| asked.contains(&&run.spec);

    let store = Store::open(&settings, resume)?;
    let width = all.iter().map(|run| run.label.len()).max();
    let board = Board::new(display, width.unwrap_or_default());
    board.say(&introduction(&settings, &grown, &corpus));
    let dashboard = display == Display::Dashboard;
    let context = Context {
        corpus: Arc::new(corpus),
        store,
        stop,
        dashboard,
    };
    let mut waiting = Vec::new();
    for run in all.iter().filter(|run| asked(run)) {
        match context.store.log(&run.key)?.end {
            Some(end) => board
                .run(&run.label, run.steps)
                .end(end.val_loss, end.wall_s),
            None => waiting.push(&run.key),
        }
    }
    let runs = shared(&context.store, &all, |run| waiting.contains(&&run.key))?;
    let workers = if dashboard { 1 } else { settings.workers() };
    let outcome = run_all(&context, runs, workers, &board, &|_, _, _| Ok(()));
    // Whatever ended the runs, what was done is reported.
    let report = report::write(&Subject {
        context: &context,
        settings: &settings,
        grown: &grown,
        runs: all.iter().filter(|run| asked(run)).collect(),
    })?;
    outcome?;
    board.say(&format!(
        "wrote {} and report.json beside it",
        context.store.root().join("report.html").display()
    ));
    Ok(report)
}

fn introduction(settings: &Settings, grown: &Run, corpus: &Corpus) -> String {
    format!(
        "{:.1} MB of text in {} files; active parameters {} -> {} at step {} of {}\n\
         rho {}: so few steps after an expansion need a higher peak than the paper's 1.3, which is for \
         30,000 of them",
        corpus.len() as f64 / 1e6,
        corpus.files(),
        grown.phases[0].size.active,
        grown.phase(grown.steps).size.active,
        grown.phase(grown.steps).begins,
        settings.steps,
        settings.rho,
    )
}
