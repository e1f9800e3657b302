//! What one finished run has to show: a line of `lab/results.jsonl`.

mod finished;
mod kin;
mod origin;
pub mod statistics;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use finished::finished;
pub use kin::Kin;
pub use origin::{Origin, commit};

use crate::measure::Scores;

/// One finished run: a specification under settings, with a seed. Losses are cross entropies in
/// nats per byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// Hash of all that decides the numbers of the run.
    pub id: String,
    /// The specification, as data.
    #[serde(rename = "arm")]
    pub spec: Value,
    /// The identity of the run: what decides its numbers.
    pub settings: Value,
    /// Seed of the initial model and of the data order.
    pub seed: u64,
    /// Commit that the run was made at.
    pub commit: String,
    /// Machine that it was made on: cores, processor and backend. Another one rounds sums
    /// differently, and a run that begins a little differently ends elsewhere.
    pub machine: String,
    /// Optimizer steps.
    pub steps: usize,
    /// Tokens of these steps.
    pub tokens: u64,
    /// Parameters of the last model.
    pub params: usize,
    /// Parameters of it that take part in one token.
    pub active: f64,
    /// FLOPs of training: `6 N D`, summed over the widths.
    pub flops: f64,
    /// The same from counted multiply-adds: six for each of a forward pass.
    pub flops_counted: f64,
    /// Loss on the larger set of held-out windows.
    pub loss: f64,
    /// How often the next byte was right there.
    pub scores: Scores,
    /// Seconds of training at its usual pace
    /// ([`Log::steady_seconds`](crate::log::Log::steady_seconds)), those of a shared prefix
    /// included; `None` if they are not known.
    pub wall_s: Option<f64>,
    /// The expansions, in order.
    pub expansions: Vec<Expanded>,
    /// Mean cosine between old units and their copies at the end, if there are any.
    pub cosine: Option<f64>,
    /// Step and held-out loss at the end of every epoch.
    pub curve: Vec<(usize, f64)>,
}

/// What an expansion did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expanded {
    /// Optimizer steps before it.
    pub step: usize,
    /// Held-out loss of the narrow model.
    pub loss_before: f64,
    /// Held-out loss of the wide one.
    pub loss_after: f64,
    /// Largest change of a logit, relative to the largest logit.
    pub max_logit_diff: f64,
    /// Mean cosine between old units and their copies, if there are copies.
    pub copy_cosine: Option<f64>,
}

impl RunResult {
    /// Reads the results of a file, in its order; none if it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, when a line is not a result or ends in its middle, as a crash
    /// leaves it, and when two lines are of the same run on the same machine.
    pub fn read_all(path: &Path) -> Result<Vec<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(torn(path, text.lines().count()));
        }
        let mut results: Vec<Self> = Vec::new();
        let mut lines = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let parsed = serde_json::from_str(text);
            let result: Self = parsed.with_context(|| place(path, line))?;
            let run = (result.id.clone(), result.machine.clone());
            if let Some(first) = lines.insert(run, line) {
                let (place, id) = (place(path, line), result.id);
                bail!("{place}: run {id} is that of line {first}: remove one of them");
            }
            results.push(result);
        }
        Ok(results)
    }

    /// Adds the result to a file, which is made if it is not there. Others may be adding theirs at
    /// the time.
    ///
    /// # Errors
    ///
    /// When a number is not finite, when the last line of the file ends in its middle, and when the
    /// file cannot be written. It is then what it was.
    pub fn append(&self, path: &Path) -> Result<()> {
        self.finite()?;
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        let written = append(path, &line).with_context(|| path.display().to_string())?;
        if !written {
            let ends = fs::read(path)?
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            return Err(torn(path, ends + 1));
        }
        Ok(())
    }

    /// Checks that all numbers are finite: JSON has no others.
    fn finite(&self) -> Result<()> {
        let own = [
            ("active", self.active),
            ("flops", self.flops),
            ("flops_counted", self.flops_counted),
            ("loss", self.loss),
            ("wall_s", self.wall_s.unwrap_or_default()),
            ("cosine", self.cosine.unwrap_or_default()),
        ];
        let curve = self.curve.iter().map(|(_, loss)| ("curve", *loss));
        let expansions = self.expansions.iter().flat_map(|expansion| {
            [
                ("expansions.loss_before", expansion.loss_before),
                ("expansions.loss_after", expansion.loss_after),
                ("expansions.max_logit_diff", expansion.max_logit_diff),
                (
                    "expansions.copy_cosine",
                    expansion.copy_cosine.unwrap_or_default(),
                ),
            ]
        });
        let mut all = own.into_iter().chain(curve).chain(expansions);
        if let Some((field, value)) = all.find(|(_, value)| !value.is_finite()) {
            let id = &self.id;
            bail!("run {id}: `{field}` is {value}: expected a finite number");
        }
        Ok(())
    }
}

/// Adds a line to a file, and tells whether it could: not to a line that ends in its middle.
fn append(path: &Path, line: &[u8]) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.create(true).read(true).append(true).open(path)?;
    // Released with the file.
    file.lock()?;
    let length = file.metadata()?.len();
    if !ends_a_line(&mut file, length)? {
        return Ok(false);
    }
    let written = file.write_all(line).and_then(|()| file.sync_data());
    if written.is_err() {
        // If that fails, too, the next reader finds the line torn.
        let _ = file.set_len(length);
    }
    written.map(|()| true)
}

fn ends_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn torn(path: &Path, line: usize) -> anyhow::Error {
    anyhow!(
        "{}: the line ends in its middle, as a crash leaves it: remove it, and its run is made again",
        place(path, line)
    )
}

fn place(path: &Path, line: usize) -> String {
    format!("{}, line {line}", path.display())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::measure::Hits;

    pub(crate) fn result(id: &str) -> RunResult {
        let hits = |right, of| Hits { right, of };
        RunResult {
            id: id.into(),
            spec: json!({"name": "sparkling"}),
            settings: json!({"steps": 8000}),
            seed: 1,
            commit: "eca6e38".into(),
            machine: "2 x a processor, flex".into(),
            steps: 8000,
            tokens: 8_192_000,
            params: 200_000,
            active: 75_136.0,
            flops: 2.5e12,
            flops_counted: 2.75e12,
            loss: 1.125,
            scores: Scores {
                next_byte: hits(6, 10),
                identifier_start: hits(1, 2),
                identifier_end: hits(1, 3),
                closing: hits(0, 0),
                copy: hits(2, 2),
            },
            wall_s: Some(120.5),
            expansions: vec![Expanded {
                step: 4000,
                loss_before: 1.25,
                loss_after: 1.25,
                max_logit_diff: 1e-6,
                copy_cosine: Some(1.0),
            }],
            cosine: Some(0.28125),
            curve: vec![(200, 2.5), (8000, 1.125)],
        }
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("experiments").join("results.jsonl");
        (folder, path)
    }

    #[test]
    fn results_are_read_as_they_were_added() {
        let (_folder, path) = file();
        assert_eq!(RunResult::read_all(&path).expect("no file, no rows"), []);
        let without = RunResult {
            expansions: Vec::new(),
            cosine: None,
            ..result("b")
        };
        result("a").append(&path).expect("written");
        without.append(&path).expect("written");
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(
            RunResult::read_all(&path).expect("results"),
            [result("a"), without]
        );
    }

    #[test]
    fn results_added_side_by_side_are_all_there() {
        let (_folder, path) = file();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for index in 0..25 {
                        let row = result(&format!("{worker}-{index}"));
                        row.append(path).expect("written");
                    }
                });
            }
        });
        assert_eq!(RunResult::read_all(&path).expect("results").len(), 100);
    }

    #[test]
    fn a_torn_last_line_is_named_and_nothing_is_added_to_it() {
        let (_folder, path) = file();
        for id in ["a", "b"] {
            result(id).append(&path).expect("written");
        }
        let whole = fs::read(&path).expect("a file");
        for cut in [1, 40] {
            let torn = &whole[..whole.len() - cut];
            fs::write(&path, torn).expect("written");
            let read = format!("{:#}", RunResult::read_all(&path).expect_err("torn"));
            let added = format!("{:#}", result("c").append(&path).expect_err("torn"));
            assert!(read.contains("results.jsonl, line 2"), "{read}");
            assert_eq!(read, added);
            assert_eq!(fs::read(&path).expect("a file"), torn);
        }
    }

    #[test]
    fn a_line_that_is_not_a_result_is_named() {
        let (_folder, path) = file();
        result("a").append(&path).expect("written");
        let first = fs::read_to_string(&path).expect("a file");
        let cases = [
            ("{\"id\": \"b\"}".to_owned(), "line 2"),
            (first.trim().replace("\"seed\"", "\"sed\""), "sed"),
            (first.trim().to_owned(), "line 2: run a is that of line 1"),
        ];
        for (second, message) in cases {
            fs::write(&path, format!("{first}{second}\n")).expect("written");
            let error = RunResult::read_all(&path)
                .map_err(|e| format!("{e:#}"))
                .expect_err("no result");
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_rejected_and_nothing_written() {
        let (_folder, path) = file();
        let cases = [
            (
                RunResult {
                    loss: f64::NAN,
                    ..result("a")
                },
                "`loss` is NaN",
            ),
            (
                RunResult {
                    curve: vec![(1, f64::INFINITY)],
                    ..result("a")
                },
                "`curve` is inf",
            ),
            (
                RunResult {
                    cosine: Some(f64::NAN),
                    ..result("a")
                },
                "`cosine` is NaN",
            ),
        ];
        for (row, message) in cases {
            let error = row.append(&path).expect_err("no number").to_string();
            assert!(error.contains(message), "{error}");
            assert!(!path.exists());
        }
    }
}
