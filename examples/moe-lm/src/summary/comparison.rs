use crate::error::DemoError;
use crate::experiment::Experiment;
use crate::row::Row;
use crate::summary::gather::{Entry, entries};
use crate::summary::groups::{Group, groups};

/// An experiment as its rows have it.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    /// The name of the experiment.
    pub(super) name: String,
    /// Its arms.
    pub(super) entries: Vec<Entry>,
    /// Which of them are compared with each other.
    pub(super) groups: Vec<Group>,
}

impl Comparison {
    /// The arms of `experiment`, each with those of `rows` that are its runs.
    ///
    /// # Errors
    ///
    /// When an arm of the experiment cannot be, or is compared with none.
    pub(super) fn of(name: &str, experiment: &Experiment, rows: &[Row]) -> Result<Self, DemoError> {
        let entries = entries(experiment, rows)?;
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        Ok(Self {
            name: name.to_owned(),
            groups: groups(experiment.reference.as_deref(), &names)?,
            entries,
        })
    }
}
