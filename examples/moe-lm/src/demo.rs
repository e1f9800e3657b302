//! From a command line to a report.

use std::sync::Arc;

use crate::arm::Sizes;
use crate::campaign;
use crate::cli::Cli;
use crate::config::Settings;
use crate::corpus::Corpus;
use crate::error::DemoError;
use crate::progress::{Board, Display};
use crate::report::{self, Report};
use crate::run::{Context, Stop};
use crate::store::Store;

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
    listen(stop.clone())?;
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
    let board = Board::new(display);
    let sizes = Sizes::of(&settings)?;
    let corpus = Corpus::load(settings.corpus.as_deref(), settings.context + 1)?;
    let store = Store::open(&settings, resume)?;
    board.say(&introduction(&settings, &sizes, &corpus));
    let context = Context {
        settings,
        sizes,
        corpus: Arc::new(corpus),
        store,
        stop,
        dashboard: display == Display::Dashboard,
    };
    let outcome = campaign::run_all(&context, &board);
    // Whatever ended the run, what was done is reported.
    let report = report::write(&context)?;
    outcome?;
    board.say(&format!(
        "wrote {} and report.json beside it",
        context.store.root().join("report.html").display()
    ));
    Ok(report)
}

/// Lets Ctrl-C stop the arms, and a second one the program.
fn listen(stop: Arc<Stop>) -> Result<(), DemoError> {
    ctrlc::set_handler(move || {
        if stop.stopped() {
            std::process::exit(130);
        }
        eprintln!("\nstopping; the report will hold what is done, `--resume` goes on");
        stop.stop();
    })?;
    Ok(())
}

fn introduction(settings: &Settings, sizes: &Sizes, corpus: &Corpus) -> String {
    format!(
        "{:.1} MB of text in {} files; active parameters {} -> {} at step {} of {}\n\
         rho {}: so few steps after an expansion want a higher peak than the library's 1.3, which is \
         the paper's for 30,000 of them",
        corpus.len() as f64 / 1e6,
        corpus.files(),
        sizes.narrow.active,
        sizes.wide.active,
        settings.expand_at(),
        settings.steps,
        settings.rho,
    )
}
