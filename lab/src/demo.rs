//! From a command line to a report.

use std::sync::Arc;

use crate::arm::Arm;
use crate::cli::Cli;
use crate::config::Settings;
use crate::corpus::Corpus;
use crate::error::DemoError;
use crate::experiment::{Experiment, Length};
use crate::job::{self, Listed};
use crate::progress::{Board, Display};
use crate::queue;
use crate::report::{self, Report, Subject};
use crate::run::Context;
use crate::stop::Stop;
use crate::store::Store;
use crate::unit::Unit;

/// Runs the demonstration from its command line to its report, and says whether every arm ended.
///
/// # Errors
///
/// When a setting, the corpus or the directory is wrong, or an arm fails.
pub fn demo(cli: &Cli) -> Result<bool, DemoError> {
    let settings = cli.settings()?;
    if cli.print_config {
        print!("{}", toml::to_string(&settings).unwrap_or_default());
        return Ok(true);
    }
    let stop = Arc::new(Stop::default());
    stop.listen("the report will hold what is done, `--resume` goes on")?;
    let display = match cli.tui {
        true => Display::Dashboard,
        false => Display::Bars,
    };
    let report = perform(settings, cli.resume, stop, display)?;
    println!("{}", report::table(&report));
    Ok(report.finished)
}

/// Runs every arm of `settings` and writes the report.
///
/// # Errors
///
/// As [`demo`].
pub fn perform(
    settings: Settings,
    resume: bool,
    stop: Arc<Stop>,
    display: Display,
) -> Result<Report, DemoError> {
    let demo = Experiment::demo()?;
    let grown = demo.unit(demo.arm(report::SPARKLING)?, &settings, Length::Full)?;
    let every: Vec<&Arm> = demo.arms.iter().collect();
    let asked = match &settings.arms {
        Some(names) => demo.select(names)?,
        None => every.clone(),
    };
    let corpus = Corpus::load(settings.corpus.as_deref(), settings.context + 1)?;
    let text = corpus.fingerprint();
    let units = demo.units(&every, &settings, &[settings.seed], Length::Full)?;
    let all = units.into_iter().map(|unit| {
        Ok(Listed {
            id: unit.identity(&text).id()?,
            key: unit.arm.name.clone(),
            label: unit.arm.name.clone(),
            unit,
        })
    });
    let all = all.collect::<Result<Vec<_>, DemoError>>()?;
    let asked = |listed: &Listed| asked.contains(&&listed.unit.arm);

    let store = Store::open(&settings, resume)?;
    let width = all.iter().map(|listed| listed.label.len()).max();
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
    for listed in all.iter().filter(|listed| asked(listed)) {
        match context.store.rows(&listed.key)?.end {
            Some(end) => {
                let progress = board.arm(&listed.label, listed.unit.steps);
                progress.end(end.val_loss, end.wall_s);
            }
            None => waiting.push(&listed.key),
        }
    }
    let jobs = job::jobs(&context.store, &text, &all, |listed| {
        waiting.contains(&&listed.key)
    })?;
    let workers = match dashboard {
        true => 1,
        false => settings.workers(),
    };
    let outcome = queue::run_all(&context, jobs, workers, &board, &|_, _, _| Ok(()));
    // Whatever ended the run, what was done is reported.
    let report = report::write(&Subject {
        context: &context,
        settings: &settings,
        grown: &grown,
        arms: all.iter().filter(|listed| asked(listed)).collect(),
    })?;
    outcome?;
    board.say(&format!(
        "wrote {} and report.json beside it",
        context.store.root().join("report.html").display()
    ));
    Ok(report)
}

fn introduction(settings: &Settings, grown: &Unit, corpus: &Corpus) -> String {
    format!(
        "{:.1} MB of text in {} files; active parameters {} -> {} at step {} of {}\n\
         rho {}: so few steps after an expansion want a higher peak than the library's 1.3, which is \
         the paper's for 30,000 of them",
        corpus.len() as f64 / 1e6,
        corpus.files(),
        grown.phases[0].size.active,
        grown.phase(grown.steps).size.active,
        grown.phase(grown.steps).begins,
        settings.steps,
        settings.rho,
    )
}
