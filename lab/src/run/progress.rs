//! What is shown while a run goes on.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How much of a run is shown while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A bar for every arm, or lines where there is no terminal.
    Bars,
    /// Burn's terminal dashboard, one arm after the other.
    Dashboard,
    /// Nothing.
    Nothing,
}

/// Shows the arms of a run side by side.
pub struct Board {
    display: Display,
    terminal: bool,
    bars: MultiProgress,
    /// The length of the longest name.
    width: usize,
}

impl Board {
    /// A board on standard error, for arms with names of up to `width` letters.
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

    /// Adds an arm of `steps` steps.
    pub fn arm(&self, name: &str, steps: usize) -> Progress {
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
        }
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        match (self.display, self.terminal) {
            (Display::Dashboard | Display::Nothing, _) => {}
            // Drawing to the screen may fail when that is gone; nothing is lost then.
            (Display::Bars, true) => drop(self.bars.println(line)),
            (Display::Bars, false) => eprintln!("{line}"),
        }
    }
}

/// Shows how far one arm is.
pub struct Progress {
    name: String,
    steps: usize,
    lines: bool,
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Self {
        Self {
            name: String::new(),
            steps: 0,
            lines: false,
            bar: ProgressBar::hidden(),
        }
    }

    /// The arm begins, or goes on after `step` steps.
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

    /// So many steps are taken, with a training loss of late.
    pub fn stepped(&self, step: usize, loss: f64) {
        self.bar.set_position(step as u64);
        self.bar.set_message(format!("loss {loss:.3}"));
    }

    /// The arm ended.
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

    /// The part that was asked for is done.
    pub fn part(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_with_message("first part done");
        if self.lines {
            self.line("first part done");
        }
    }

    /// The arm was stopped.
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
