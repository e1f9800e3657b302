//! What is shown on the terminal while runs go on.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How much of a run is shown while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A bar for every run, or lines where there is no terminal.
    Bars,
    /// Burn's terminal dashboard, one run after the other.
    Dashboard,
    /// Nothing.
    Nothing,
}

/// Shows runs side by side.
pub struct Board {
    display: Display,
    terminal: bool,
    bars: MultiProgress,
    /// The length of the longest name.
    width: usize,
}

impl Board {
    /// Makes a board on standard error, for runs with names of up to `width` letters.
    pub fn new(display: Display, width: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bars = MultiProgress::new();
        if display != Display::Bars || !terminal {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self {
            display,
            terminal,
            bars,
            width,
        }
    }

    /// Adds a run of `steps` steps.
    pub fn run(&self, name: &str, steps: usize) -> Progress {
        let bar = self.bars.add(ProgressBar::new(steps as u64));
        bar.set_style(style("{prefix} {bar:28.cyan/blue} {pos:>6}/{len:6} {msg}"));
        let name = format!("{name:>width$}", width = self.width);
        bar.set_prefix(name.clone());
        bar.set_message("waiting");
        bar.tick();
        Progress {
            name,
            steps,
            lines: self.display == Display::Bars && !self.terminal,
            bar,
            losses: AtomicBool::new(false),
        }
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        if self.display != Display::Bars {
            return;
        }
        if self.terminal {
            // Drawing to the screen may fail when that is gone; nothing is lost then.
            drop(self.bars.println(line));
        } else {
            eprintln!("{line}");
        }
    }
}

/// Shows how far one run is.
pub struct Progress {
    name: String,
    steps: usize,
    lines: bool,
    bar: ProgressBar,
    /// A held-out loss was shown since it began.
    losses: AtomicBool,
}

impl Progress {
    /// Makes one that shows nothing.
    pub fn silent() -> Self {
        Self {
            name: String::new(),
            steps: 0,
            lines: false,
            bar: ProgressBar::hidden(),
            losses: AtomicBool::new(false),
        }
    }

    /// Shows that the run begins, or goes on after `step` steps.
    pub fn begin(&self, step: usize) {
        self.bar.set_style(style(
            "{prefix} {bar:28.cyan/blue} {pos:>6}/{len:6} {msg} {eta:>4} left",
        ));
        self.bar.set_position(step as u64);
        self.bar.reset_eta();
        self.bar.enable_steady_tick(Duration::from_millis(500));
        self.bar.set_message("");
        if self.lines {
            let from = match step {
                0 => String::new(),
                step => format!(" from step {step}"),
            };
            self.line(&format!("begins{from}, {} steps", self.steps));
        }
    }

    /// Shows that so many steps are taken, with the recent training loss.
    pub fn stepped(&self, step: usize, loss: f64) {
        self.bar.set_position(step as u64);
        self.bar.set_message(format!("loss {loss:.3}"));
    }

    /// Shows the first held-out loss since the run began: the first result there is.
    pub fn epoch(&self, step: usize, val_loss: f64, wall_s: f64) {
        if self.lines && !self.losses.swap(true, Ordering::Relaxed) {
            let text = format!("held-out loss {val_loss:.4} at step {step} after {wall_s:.1} s");
            self.line(&text);
        }
    }

    /// Shows that the run ended.
    pub fn end(&self, val_loss: f64, wall_s: f64) {
        self.bar.disable_steady_tick();
        self.bar
            .set_style(style("{prefix} {bar:28.green} {pos:>6}/{len:6} {msg}"));
        self.bar.set_position(self.steps as u64);
        self.bar
            .finish_with_message(format!("held-out loss {val_loss:.4}, {wall_s:.0} s"));
        if self.lines {
            self.line(&format!("held-out loss {val_loss:.4} after {wall_s:.1} s"));
        }
    }

    /// Shows that the part that was asked for is done.
    pub fn part(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_with_message("first part done");
        if self.lines {
            self.line("first part done");
        }
    }

    /// Shows that the run was stopped.
    pub fn stop(&self) {
        self.bar.disable_steady_tick();
        self.bar.abandon_with_message("stopped");
        if self.lines {
            self.line("stopped");
        }
    }

    fn line(&self, text: &str) {
        eprintln!("{}: {text}", self.name);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
