//! What one finished run has to show, a line of `experiments/results.jsonl`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::DemoError;
use crate::scores::Scores;

/// One finished run: an arm, under settings, with a seed. Losses are cross entropies in nats per byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What the run is known by: a hash of all that decides its numbers.
    pub id: String,
    /// The arm, as data.
    pub arm: Value,
    /// The settings that decide the numbers.
    pub settings: Value,
    /// The seed of the initial model and of the data order.
    pub seed: u64,
    /// The commit that the run was made at.
    pub commit: String,
    /// The machine that it was made on: cores, processor and backend. Another one rounds sums differently, and
    /// a run that begins a little differently ends elsewhere.
    pub machine: String,
    /// The optimizer steps.
    pub steps: usize,
    /// The tokens of these.
    pub tokens: u64,
    /// The parameters of the last model.
    pub params: usize,
    /// Those of them that take part in one token.
    pub active: f64,
    /// What training cost: `6 N D`, summed over the widths.
    pub flops: f64,
    /// The same from counted multiply-adds: six for each of a forward pass.
    pub flops_counted: f64,
    /// The loss on the larger set of held-out windows.
    pub loss: f64,
    /// How often the next byte was right there.
    pub scores: Scores,
    /// The seconds of training at its usual pace ([`Rows::steady_seconds`](crate::store::Rows::steady_seconds)),
    /// those of a shared first part included; none where they are not known.
    pub wall_s: Option<f64>,
    /// The expansions, in order.
    pub expansions: Vec<RowExpansion>,
    /// The mean cosine between old units and their copies at the end, where there are any.
    pub cosine: Option<f64>,
    /// The step and the held-out loss at the end of every epoch.
    pub curve: Vec<(usize, f64)>,
}

/// What an expansion did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowExpansion {
    /// The optimizer steps before it.
    pub step: usize,
    /// The held-out loss of the narrow model.
    pub loss_before: f64,
    /// The held-out loss of the wide one.
    pub loss_after: f64,
    /// The largest change of a logit, relative to the largest logit.
    pub max_logit_diff: f64,
    /// The mean cosine between old units and their copies, if there are copies.
    pub copy_cosine: Option<f64>,
}

impl Row {
    /// The rows of a file, in its order; none if it is not there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, when a line is no row or ends in its middle, as a crash leaves it,
    /// and when two lines are of the same run on the same machine.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, DemoError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(unusable(path, source)),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(torn(path, text.lines().count()));
        }
        let mut rows: Vec<Self> = Vec::new();
        let mut lines = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let row: Self = serde_json::from_str(text).map_err(|source| DemoError::Row {
                path: path.to_owned(),
                line,
                source,
            })?;
            let run = (row.id.clone(), row.machine.clone());
            if let Some(first) = lines.insert(run, line) {
                return Err(DemoError::RowTwice {
                    path: path.to_owned(),
                    line,
                    first,
                    id: row.id,
                });
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Adds the row to a file, which is made if it is not there. Others may be adding theirs at the time.
    ///
    /// # Errors
    ///
    /// When a number of the row is none, when the file's last line ends in its middle, and when it cannot
    /// be written. The file is then what it was.
    pub fn append(&self, path: &Path) -> Result<(), DemoError> {
        self.finite()?;
        let mut line = serde_json::to_vec(self).map_err(|source| DemoError::Json {
            path: path.to_owned(),
            source,
        })?;
        line.push(b'\n');
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| unusable(folder, source))?;
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).open(path);
        let mut file = file.map_err(|source| unusable(path, source))?;
        // Released with the file.
        file.lock().map_err(|source| unusable(path, source))?;
        let length = file.metadata().map_err(|source| unusable(path, source))?;
        let length = length.len();
        if !ends_a_line(&mut file, length).map_err(|source| unusable(path, source))? {
            let text = fs::read(path).map_err(|source| unusable(path, source))?;
            let ends = text.iter().filter(|byte| **byte == b'\n').count();
            return Err(torn(path, ends + 1));
        }
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        written.map_err(|source| {
            // If that fails, too, the next reader finds the line torn.
            let _ = file.set_len(length);
            unusable(path, source)
        })
    }

    /// JSON has no other numbers than finite ones.
    fn finite(&self) -> Result<(), DemoError> {
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
        match all.find(|(_, value)| !value.is_finite()) {
            Some((field, value)) => Err(DemoError::RowNumber {
                id: self.id.clone(),
                field,
                value,
            }),
            None => Ok(()),
        }
    }
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

fn torn(path: &Path, line: usize) -> DemoError {
    DemoError::RowTorn {
        path: path.to_owned(),
        line,
    }
}

fn unusable(path: &Path, source: io::Error) -> DemoError {
    DemoError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::scores::Share;

    pub(crate) fn row(id: &str) -> Row {
        let share = |right, of| Share { right, of };
        Row {
            id: id.into(),
            arm: json!({"name": "sparkling"}),
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
                next_byte: share(6, 10),
                identifier_start: share(1, 2),
                identifier_end: share(1, 3),
                closing: share(0, 0),
                copy: share(2, 2),
            },
            wall_s: Some(120.5),
            expansions: vec![RowExpansion {
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
    fn rows_are_read_as_they_were_added() {
        let (_folder, path) = file();
        assert_eq!(Row::read_all(&path).expect("no file, no rows"), []);
        let without = Row {
            expansions: Vec::new(),
            cosine: None,
            ..row("b")
        };
        row("a").append(&path).expect("written");
        without.append(&path).expect("written");
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(Row::read_all(&path).expect("rows"), [row("a"), without]);
    }

    #[test]
    fn rows_added_side_by_side_are_all_there() {
        let (_folder, path) = file();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for index in 0..25 {
                        let row = row(&format!("{worker}-{index}"));
                        row.append(path).expect("written");
                    }
                });
            }
        });
        assert_eq!(Row::read_all(&path).expect("rows").len(), 100);
    }

    #[test]
    fn a_torn_last_line_is_named_and_nothing_is_added_to_it() {
        let (_folder, path) = file();
        for id in ["a", "b"] {
            row(id).append(&path).expect("written");
        }
        let whole = fs::read(&path).expect("a file");
        for cut in [1, 40] {
            let torn = &whole[..whole.len() - cut];
            fs::write(&path, torn).expect("written");
            let read = Row::read_all(&path).expect_err("torn").to_string();
            let added = row("c").append(&path).expect_err("torn").to_string();
            assert!(read.contains("results.jsonl, line 2"), "{read}");
            assert_eq!(read, added);
            assert_eq!(fs::read(&path).expect("a file"), torn);
        }
    }

    #[test]
    fn what_is_no_row_is_named_by_its_line() {
        let (_folder, path) = file();
        row("a").append(&path).expect("written");
        let first = fs::read_to_string(&path).expect("a file");
        let cases = [
            ("{\"id\": \"b\"}".to_owned(), "line 2"),
            (first.trim().replace("\"seed\"", "\"sed\""), "sed"),
            (first.trim().to_owned(), "line 2: run a is that of line 1"),
        ];
        for (second, message) in cases {
            fs::write(&path, format!("{first}{second}\n")).expect("written");
            let error = Row::read_all(&path).expect_err("no row").to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused_and_nothing_written() {
        let (_folder, path) = file();
        let cases = [
            (
                Row {
                    loss: f64::NAN,
                    ..row("a")
                },
                "`loss` is NaN",
            ),
            (
                Row {
                    curve: vec![(1, f64::INFINITY)],
                    ..row("a")
                },
                "`curve` is inf",
            ),
            (
                Row {
                    cosine: Some(f64::NAN),
                    ..row("a")
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
