//! `growth.jsonl`: the expansions of a run, a line each.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn_grow_optim::StateRules;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sync::lock;
use crate::{AxisReport, ExpansionReport, TrainError, atomic};

/// The name of the file.
const FILE: &str = "growth.jsonl";
/// The version of its lines.
const VERSION: u32 = 1;

/// Log of expansions, one JSON object a line.
///
/// A resumed run takes some of its expansions again, and may take others than the run it left. A
/// line that would differ in nothing but the seconds is written once, and the lines of expansions
/// that this run did not take are removed.
#[derive(Debug)]
pub(crate) struct GrowthLog {
    path: PathBuf,
    // Every replica expands, on a thread of its own.
    writing: Mutex<()>,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    stage: usize,
    step: usize,
    trigger: &'a str,
    axes: &'a [AxisReport],
    state: &'a StateRules,
    params: (usize, usize),
    active_params: (f64, f64),
    elapsed_s: f64,
}

/// Key of a line: all of it but the time that the expansion took.
#[derive(Deserialize, PartialEq)]
struct Key {
    stage: usize,
    step: usize,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl Key {
    fn of(line: &str) -> serde_json::Result<Self> {
        let mut key: Self = serde_json::from_str(line)?;
        key.rest.remove("elapsed_s");
        Ok(key)
    }
}

impl GrowthLog {
    /// Opens the log in `directory`, which is made if need be.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or is something else.
    pub(crate) fn new(directory: &Path) -> Result<Self, TrainError> {
        let path = directory.join(FILE);
        let opened = fs::create_dir_all(directory)
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path))
            .and_then(|_| lines(&fs::read_to_string(&path)?).map(drop));
        match opened {
            Ok(()) => Ok(Self {
                path,
                writing: Mutex::new(()),
            }),
            Err(source) => Err(TrainError::GrowthLog { path, source }),
        }
    }

    /// Writes the line of an expansion, after those at the steps `taken`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub(crate) fn write(
        &self,
        report: &ExpansionReport,
        taken: &[usize],
    ) -> Result<(), TrainError> {
        let _writing = lock(&self.writing);
        self.try_write(report, taken)
            .map_err(|source| TrainError::GrowthLog {
                path: self.path.clone(),
                source,
            })
    }

    fn try_write(&self, report: &ExpansionReport, taken: &[usize]) -> io::Result<()> {
        let line = serde_json::to_string(&Line {
            version: VERSION,
            stage: report.stage,
            step: report.step,
            trigger: &report.trigger,
            axes: &report.axes,
            state: &report.state,
            params: report.params,
            active_params: report.active_params,
            elapsed_s: report.elapsed.as_secs_f64(),
        })?;
        let new = Key::of(&line)?;
        let written = fs::read_to_string(&self.path)?;
        let mut kept = String::new();
        let mut found = false;
        for (old, key) in lines(&written)? {
            let again = key == new && !found;
            if again || taken.get(key.stage) == Some(&key.step) {
                kept.extend([old, "\n"]);
                found |= again;
            }
        }
        let line = if found { String::new() } else { line + "\n" };
        if kept == written {
            let mut file = OpenOptions::new().append(true).open(&self.path)?;
            file.write_all(line.as_bytes())?;
            return file.sync_data();
        }
        atomic::write(&self.path, |file| file.write_all((kept + &line).as_bytes()))
    }
}

/// The whole lines of a log. A line without its end is torn, and left out.
fn lines(written: &str) -> io::Result<Vec<(&str, Key)>> {
    written
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .map(|line| Ok((line, Key::of(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use burn_grow_optim::StatePolicy;

    use super::*;

    fn report(stage: usize, step: usize) -> ExpansionReport {
        ExpansionReport {
            stage,
            step,
            trigger: format!("step {step}"),
            axes: Vec::new(),
            state: StateRules::default(),
            params: (10, 20),
            active_params: (10.0, 20.0),
            locked: None,
            elapsed: Duration::from_millis(1500),
        }
    }

    #[test]
    fn lines_are_appended_once_and_follow_the_run_that_was_resumed() -> Result<(), TrainError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        let log = GrowthLog::new(directory.path())?;
        let read = || fs::read_to_string(&path).expect("readable");
        let steps = || -> Vec<usize> {
            let written = read();
            let lines = lines(&written).expect("lines");
            lines.into_iter().map(|(_, key)| key.step).collect()
        };
        log.write(&report(0, 10), &[])?;
        log.write(&report(1, 20), &[10])?;
        let whole = read();
        assert_eq!(
            whole.lines().next(),
            Some(
                r#"{"version":1,"stage":0,"step":10,"trigger":"step 10","axes":[],"state":"keep-and-zero","params":[10,20],"active_params":[10.0,20.0],"elapsed_s":1.5}"#
            )
        );
        // Taken again, by a resumed run or another replica.
        log.write(&report(1, 20), &[10])?;
        assert_eq!(read(), whole);
        // A crash while a line was written, then a run that decided otherwise.
        fs::write(&path, whole + "{\"stage\":2,").expect("writable");
        log.write(&report(1, 30), &[10])?;
        assert_eq!(steps(), [10, 30]);
        // The same step and widths, but another policy.
        let mut other = report(1, 30);
        other.state = StatePolicy::DropAll.into();
        log.write(&other, &[10])?;
        assert_eq!(steps(), [10, 30]);
        assert!(read().contains("drop-all"));
        // A run from the start.
        log.write(&report(0, 10), &[])?;
        assert_eq!(steps(), [10]);
        // What is no line of this log is not touched.
        fs::write(&path, "my notes\n").expect("writable");
        assert!(log.write(&report(0, 10), &[]).is_err());
        assert!(GrowthLog::new(directory.path()).is_err());
        assert_eq!(read(), "my notes\n");
        Ok(())
    }
}
