//! A run that is killed again and again, at any moment, ends as the one that never was.
//!
//! The test starts this binary anew to have something to kill. `BURN_GROW_KILLS` sets how often, ten
//! times if unset: `cargo xtask kill-loop 200`.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::harness::{EPOCHS, Net, Strategy, adamw, checkpoint_by_path, learner, training};
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn_grow::plan::Blocks;
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};

/// The directory of the run to take up, for the process to be killed.
const DIRECTORY: &str = "BURN_GROW_CRASH_DIRECTORY";
const KILLS: &str = "BURN_GROW_KILLS";
/// There while an expansion is under way.
const EXPANDING: &str = "expanding";
/// The epochs that each process resumed from.
const RESUMED: &str = "resumed";

fn narrow() -> Net {
    Net::new(4, 4, 0.0, &Device::flex().autodiff())
}

fn grow(expansion: Expansion) -> Growth {
    Growth::new(expansion).with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2))
}

fn callback(directory: &Path) -> WidthExpansionCallback {
    let steps = Strategy::Single.steps_per_epoch();
    let marker = directory.join(EXPANDING);
    // Widths and depth, the latter from no block on.
    let first = Expansion::by("inner", 2.0).and_to("layers", 2);
    let first = first.with_blocks("layers", Blocks::fresh());
    let second = Expansion::by("hidden", 1.5).and_by("layers", 2.0);
    WidthExpansionCallback::builder(Strategy::Single.total_steps())
        .expand(At::step(steps), grow(first))
        .expand(At::step(2 * steps + 1), grow(second))
        // Called in the middle of an expansion: the wide model is there, but not in its place.
        .on_expand(move |_, _| {
            fs::write(&marker, "").unwrap();
            sleep(Duration::from_millis(15));
            fs::remove_file(&marker).unwrap();
        })
        .build(&narrow())
        .unwrap()
}

/// The process that is killed: takes up the run where it can, and goes on to the end.
#[test]
fn worker() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let callback = callback(directory);
    let good = callback.last_good_epoch(directory, &narrow()).unwrap();
    let epoch = good.map_or(0, |good| good.epoch);
    let mut resumed = fs::read_to_string(directory.join(RESUMED)).unwrap_or_default();
    resumed.push_str(&format!("{epoch}\n"));
    fs::write(directory.join(RESUMED), resumed).unwrap();
    let strategy = Strategy::Single;
    let training = training(directory, strategy, EPOCHS)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2));
    let mut training = callback.attach(training);
    if epoch > 0 {
        training = training.checkpoint(epoch);
    }
    let model = callback.wrap(narrow());
    let result = training.launch(learner(model, adamw(), strategy));
    assert!(result.error.is_none(), "{:?}", result.error);
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::worker", "--exact"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.join("checkpoint")) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.collect()
}

/// Whether the process is writing a file of a checkpoint.
fn saving(directory: &Path, process: u32) -> bool {
    let scratch = format!(".bpk.{process}-");
    files(directory).iter().any(|name| name.contains(&scratch))
}

/// The newest epoch of which all three files are there, and whether a newer one lacks some.
fn newest(directory: &Path) -> (usize, bool) {
    let files = files(directory);
    let has = |name: &str, epoch: usize| files.contains(&format!("{name}-{epoch}.bpk"));
    let count = |epoch| {
        let names = ["model", "optim", "scheduler"];
        names.iter().filter(|name| has(name, epoch)).count()
    };
    let whole = (1..=EPOCHS).rev().find(|epoch| count(*epoch) == 3);
    let whole = whole.unwrap_or(0);
    (whole, (whole + 1..=EPOCHS).any(|epoch| count(epoch) > 0))
}

/// Small draws from the clock: the moments are random whatever the seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Kills the process at a moment of the kind asked for; false when it ended before.
fn kill(mut child: Child, directory: &Path, kind: u64, whole: Duration, draw: &mut Draw) -> bool {
    let started = Instant::now();
    let delay = Duration::from_micros(draw.below(whole.as_micros() as u64));
    let skip = draw.below(6);
    let within = Duration::from_micros(draw.below(15_000));
    let (mut seen, mut before) = (0, false);
    loop {
        if child.try_wait().unwrap().is_some_and(|status| {
            assert!(status.success(), "the process failed by itself");
            true
        }) {
            return false;
        }
        let due = match kind {
            0 => started.elapsed() >= delay,
            1 => directory.join(EXPANDING).exists(),
            _ => {
                let now = saving(directory, child.id());
                seen += u64::from(now && !before);
                before = now;
                seen > skip
            }
        };
        if due {
            break;
        }
        sleep(Duration::from_micros(50));
    }
    if kind == 1 {
        sleep(within);
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn a_run_killed_at_any_moment_ends_as_the_one_that_never_was() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let kills = std::env::var(KILLS).map_or(10, |kills| kills.parse().unwrap());
    let never = tempfile::tempdir().unwrap();
    let started = Instant::now();
    assert!(start(never.path()).wait().unwrap().success());
    let whole = started.elapsed();
    let expected = checkpoint_by_path(never.path(), EPOCHS);

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut draw = Draw(now.unwrap().as_nanos() as u64 | 1);
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        let run = tempfile::tempdir().unwrap();
        let run = run.path();
        runs += 1;
        let mut resumed = Vec::new();
        loop {
            let _ = fs::remove_file(run.join(EXPANDING));
            let (newest_whole, _) = newest(run);
            let callback = callback(run);
            // Whatever lies there as a whole can be resumed from.
            let good = callback.last_good_epoch(run, &narrow()).unwrap();
            assert_eq!(good.map_or(0, |good| good.epoch), newest_whole);

            let child = start(run);
            let process = child.id();
            let kind = match killed < kills {
                // Half of them at any moment.
                true => draw.below(4).saturating_sub(1),
                // Never comes.
                false => u64::MAX,
            };
            let killed_it = match kind {
                u64::MAX => {
                    let mut child = child;
                    assert!(child.wait().unwrap().success());
                    false
                }
                kind => kill(child, run, kind, whole, &mut draw),
            };
            let log = fs::read_to_string(run.join(RESUMED)).unwrap_or_default();
            let log: Vec<usize> = log.lines().map(|line| line.parse().unwrap()).collect();
            if log.len() > resumed.len() {
                assert_eq!(log.last(), Some(&newest_whole));
            }
            let began = log.len() > resumed.len();
            resumed = log;
            if !killed_it {
                break;
            }
            killed += 1;
            let moment = if run.join(EXPANDING).exists() {
                "expanding"
            } else if saving(run, process) {
                "writing a file of a checkpoint"
            } else if newest(run).1 {
                "between the files of a checkpoint"
            } else if began {
                "training"
            } else {
                "starting"
            };
            *tally.entry(moment).or_default() += 1;
        }
        assert_eq!(checkpoint_by_path(run, EPOCHS), expected);
    }
    println!(
        "{killed} kills in {runs} runs: {tally:?}, {:?}",
        started.elapsed()
    );
}
