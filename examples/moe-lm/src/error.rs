//! What can go wrong.

use std::io;
use std::path::PathBuf;

use burn_grow::moe::MoeConfigError;
use burn_grow::{GrowError, TrainError};

/// Why the demonstration cannot run, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A setting out of its range.
    #[error("setting `{name}` is {value}: expected {expected}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: String,
    },
    /// A settings file that is not one.
    #[error("settings file {path}: {source}", path = path.display())]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<toml::de::Error>,
    },
    /// Settings that cannot be laid over others.
    #[error("settings of {place}: {source}")]
    Overlay {
        /// Whose they are.
        place: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A setting where it has no place.
    #[error("settings of {place}: `{name}` is none of its own")]
    ForeignSetting {
        /// Whose it is said to be.
        place: String,
        /// Its name.
        name: String,
    },
    /// A setting of a machine that the experiment sets itself.
    #[error("settings of {place}: `{setting}` is what the experiment compares or fixes")]
    SettingTwice {
        /// Where it is said.
        place: String,
        /// The setting.
        setting: String,
    },
    /// A point of a grid that no arm can be at.
    #[error("arm `{arm}`: {source}")]
    ArmData {
        /// The arm at that point.
        arm: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A grid without a point.
    #[error("{place}: `{path}` lists no value")]
    EmptyGrid {
        /// The arm, or the grid of all arms.
        place: String,
        /// What the values are for.
        path: String,
    },
    /// An arm that is not there.
    #[error("there is no arm `{name}`: the arms are {known}")]
    UnknownArm {
        /// The name asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// An arm that shares its points of grids with no reference.
    #[error(
        "arm `{arm}` is compared with none: no arm called like the reference `{reference}` is at its point"
    )]
    NotCompared {
        /// The arm.
        arm: String,
        /// The reference, as the experiment names it.
        reference: String,
    },
    /// Two arms of one name.
    #[error("two arms are called `{arm}`")]
    ArmTwice {
        /// The name.
        arm: String,
    },
    /// An arm that grows and trains for as much compute as another.
    #[error("arm `{arm}`: one that grows trains for all steps, and has no other budget")]
    GrownBudget {
        /// The arm.
        arm: String,
    },
    /// A budget that leads to another one.
    #[error("arm `{arm}` is to cost what `{other}` costs, which has such a budget itself")]
    BudgetOfBudget {
        /// The arm.
        arm: String,
        /// The one it refers to.
        other: String,
    },
    /// An experiment that is not there.
    #[error("there is no experiment `{name}` in {folder}: there are {known}", folder = folder.display())]
    UnknownExperiment {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// Those there are.
        known: String,
    },
    /// A directory that another process works in.
    #[error("{directory}: another process runs experiments there", directory = directory.display())]
    Busy {
        /// The directory.
        directory: PathBuf,
    },
    /// What a run is known by, which cannot be written.
    #[error("a run's identity: {0}")]
    Identity(serde_json::Error),
    /// A directory of another run.
    #[error(
        "{directory} holds a run with {field} = {stored}, not {given}: resume with the settings it \
         was started with, or start afresh without `--resume`",
        directory = directory.display()
    )]
    OtherRun {
        /// The directory.
        directory: PathBuf,
        /// The first setting that differs.
        field: String,
        /// Its value in the directory.
        stored: String,
        /// Its value now.
        given: String,
    },
    /// A corpus that is not there.
    #[error("corpus {path}: no such file or directory", path = path.display())]
    CorpusMissing {
        /// The path asked for.
        path: PathBuf,
    },
    /// A corpus that cannot be read.
    #[error("corpus {path}: {source}", path = path.display())]
    CorpusUnreadable {
        /// The file or directory at fault.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A corpus without a byte in it.
    #[error("corpus {path}: no text in it", path = path.display())]
    CorpusEmpty {
        /// The path asked for.
        path: PathBuf,
    },
    /// A corpus too short to train on and to hold something out of.
    #[error(
        "the corpus has {found} bytes; with one block in twenty held out and windows of {window} \
         bytes it needs at least {needed}"
    )]
    CorpusShort {
        /// The bytes found.
        found: usize,
        /// The bytes needed.
        needed: usize,
        /// The bytes of one window.
        window: usize,
    },
    /// The packages that make up the default corpus could not be listed.
    #[error(
        "cannot list the locked packages ({source}): `cargo fetch --locked` brings what is missing, \
         and `--corpus` takes a text of your own"
    )]
    Packages {
        /// The reason.
        source: Box<cargo_metadata::Error>,
    },
    /// A device that was not compiled in.
    #[error("device `{device}` is not compiled in: build with `--features {feature}`")]
    Device {
        /// The device asked for.
        device: &'static str,
        /// The feature that enables it.
        feature: &'static str,
    },
    /// A dashboard that was not compiled in.
    #[error("the terminal dashboard is not compiled in: build with `--features tui`")]
    Dashboard,
    /// A model that cannot be built.
    #[error("model: {0}")]
    Model(#[from] MoeConfigError),
    /// A model that cannot grow.
    #[error(transparent)]
    Grow(#[from] GrowError),
    /// A run that cannot be set up, or whose expansion failed.
    #[error("arm `{arm}`: {source}")]
    Train {
        /// The arm.
        arm: String,
        /// The reason.
        source: Box<TrainError>,
    },
    /// A run that failed on its way.
    #[error("arm `{arm}` failed: {message}")]
    Arm {
        /// The arm.
        arm: String,
        /// What it said.
        message: String,
    },
    /// A directory of no run.
    #[error("{path}: no such file, so no run", path = path.display())]
    NoRun {
        /// The file of its settings.
        path: PathBuf,
    },
    /// A checkpoint that was not kept.
    #[error(
        "{directory}: no checkpoint{which}; there are those of the epochs {saved:?}",
        directory = directory.display(),
        which = epoch.map_or_else(String::new, |epoch| format!(" of epoch {epoch}"))
    )]
    NoCheckpoint {
        /// The directory of the arm.
        directory: PathBuf,
        /// The epoch asked for, if one was.
        epoch: Option<usize>,
        /// The epochs there are, newest first.
        saved: Vec<usize>,
    },
    /// A file of the run that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file of the run that does not hold what it should.
    #[error("{path}: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
    /// A line of a file of results that is no row.
    #[error("{path}, line {line}: {source}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The reason.
        source: serde_json::Error,
    },
    /// A last line that ends in its middle.
    #[error(
        "{path}, line {line}: the line ends in its middle, as a crash leaves it: remove it, and its run \
         is made again",
        path = path.display()
    )]
    RowTorn {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Two lines of the same run.
    #[error("{path}, line {line}: run {id} is that of line {first}: remove one of them", path = path.display())]
    RowTwice {
        /// The file.
        path: PathBuf,
        /// The later line, from 1.
        line: usize,
        /// The earlier one.
        first: usize,
        /// The run.
        id: String,
    },
    /// A result that is no number.
    #[error("run {id}: `{field}` is {value}: expected a finite number")]
    RowNumber {
        /// The run.
        id: String,
        /// What is no number.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A place of a page that cannot be filled.
    #[error("`{place}` {problem}")]
    Place {
        /// The line that it begins with.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A figure that could not be drawn.
    #[error("figure: {0}")]
    Figure(String),
    /// The hook for Ctrl-C could not be set.
    #[error("cannot listen for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
    /// The worker threads could not be started.
    #[error("cannot start the workers: {0}")]
    Workers(#[from] rayon::ThreadPoolBuildError),
}
