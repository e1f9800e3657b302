//! Which runs there are to do, and what they share.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::DemoError;
use crate::store::Store;
use crate::unit::Unit;

/// A run of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The run.
    pub unit: Unit,
    /// The hash of what decides its numbers.
    pub id: String,
    /// The name of its directory.
    pub key: String,
    /// What it is called while it goes on.
    pub label: String,
}

/// A run to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The run.
    pub listed: Listed,
    /// Where it goes on from, if it has not begun: another run, at the end of an epoch.
    pub branch: Option<(String, usize)>,
    /// The epochs whose checkpoints are kept: other runs go on from them, or this one grew after it.
    pub keep: BTreeSet<usize>,
    /// The last epoch of a run that is there for others alone.
    pub until: Option<usize>,
}

impl Job {
    /// The optimizer steps it takes.
    pub fn steps(&self) -> usize {
        let unit = &self.listed.unit;
        let part = self.until.map(|epoch| epoch * unit.settings.epoch_steps());
        part.unwrap_or(unit.steps)
    }

    /// The epochs it takes.
    pub fn epochs(&self) -> usize {
        self.until.unwrap_or(self.listed.unit.epochs())
    }
}

/// What runs have in common before they grow.
struct Trunk {
    /// Its run.
    part: Listed,
    /// The epochs that any run goes on from.
    epochs: BTreeSet<usize>,
    /// Those that runs wait for which no listed run comes by: how many runs for each.
    missing: BTreeMap<usize, usize>,
}

/// The jobs for those of `all` that are `wanted`, in their order. The text has fingerprint `text`.
///
/// Runs with a common first part go on from the run that is nothing but this part, if it is listed. If not,
/// and it is worth it because there are several, it is a job of its own, up to where they part.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn jobs(
    store: &Store,
    text: &str,
    all: &[Listed],
    wanted: impl Fn(&Listed) -> bool,
) -> Result<Vec<Job>, DemoError> {
    let mut trunks: BTreeMap<String, Trunk> = BTreeMap::new();
    let mut branches = Vec::new();
    for listed in all {
        let Some((unit, epoch)) = listed.unit.trunk() else {
            branches.push(None);
            continue;
        };
        let id = unit.identity(text).id()?;
        let entry = trunks.entry(id.clone());
        let trunk = entry.or_insert_with(|| Trunk {
            part: Listed {
                label: format!("first part, seed {}", unit.settings.seed),
                key: format!("{id}-part"),
                id: id.clone(),
                unit,
            },
            epochs: BTreeSet::new(),
            missing: BTreeMap::new(),
        });
        trunk.epochs.insert(epoch);
        let whole = all.iter().find(|other| other.id == id);
        let from = match whole {
            Some(whole) if comes_by(store, whole, epoch, wanted(whole))? => &whole.key,
            // Of another list, in the same directory.
            None if store.reached(&id, epoch)? => &id,
            _ => {
                let there = store.reached(&trunk.part.key, epoch)?;
                if wanted(listed) && !there && store.rows(&listed.key)?.epochs.is_empty() {
                    *trunk.missing.entry(epoch).or_default() += 1;
                }
                &trunk.part.key
            }
        };
        branches.push(Some((from.clone(), epoch)));
    }
    let keep = |listed: &Listed, branch: &Option<(String, usize)>| {
        let trunk = trunks.get(&listed.id).map(|trunk| trunk.epochs.clone());
        let mut epochs = trunk.unwrap_or_default();
        // What a grown run was before it grew.
        epochs.extend(branch.as_ref().map(|(_, epoch)| *epoch));
        epochs
    };
    let mut jobs = Vec::new();
    let mut begun = BTreeSet::new();
    for (listed, branch) in all.iter().zip(branches) {
        if !wanted(listed) {
            continue;
        }
        let part = |trunk: &&Trunk| {
            branch
                .as_ref()
                .is_some_and(|(from, _)| *from == trunk.part.key)
        };
        if let Some(trunk) = trunks.values().find(part)
            && trunk.missing.values().sum::<usize>() > 1
            && begun.insert(trunk.part.key.clone())
        {
            jobs.push(first_part(store, trunk)?);
        }
        jobs.push(Job {
            keep: keep(listed, &branch),
            listed: listed.clone(),
            branch,
            until: None,
        });
    }
    Ok(jobs)
}

/// Whether the checkpoint of `epoch` of a listed run is there, or will be.
fn comes_by(store: &Store, run: &Listed, epoch: usize, wanted: bool) -> Result<bool, DemoError> {
    let last = store
        .rows(&run.key)?
        .epochs
        .last()
        .map_or(0, |row| row.epoch);
    Ok(store.reached(&run.key, epoch)? || wanted && last < epoch)
}

fn first_part(store: &Store, trunk: &Trunk) -> Result<Job, DemoError> {
    let key = &trunk.part.key;
    let last = store.rows(key)?.epochs.last().map_or(0, |row| row.epoch);
    // It went by where it was not asked to keep anything.
    if trunk.missing.keys().any(|epoch| *epoch <= last) {
        store.clear(key)?;
    }
    Ok(Job {
        listed: trunk.part.clone(),
        branch: None,
        keep: trunk.epochs.clone(),
        until: trunk.missing.keys().next_back().copied(),
    })
}
