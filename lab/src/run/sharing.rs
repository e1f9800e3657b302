//! What runs of a list share: those that grow continue from a common prefix instead of training it
//! again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::log::Store;
use crate::run::Run;

/// What a run shares with other runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sharing {
    /// Key of the run it continues from if it has not begun, and the epoch at whose end.
    pub from: Option<(String, usize)>,
    /// Epochs whose checkpoints are kept: other runs continue from them, or this one grew after
    /// them.
    pub keep: BTreeSet<usize>,
    /// The last epoch of a run that exists only as a shared prefix.
    pub until: Option<usize>,
}

impl Run {
    /// Gives the optimizer steps it takes, as far as it goes.
    pub fn steps_to_do(&self) -> usize {
        let epoch_steps = self.settings.epoch_steps();
        let part = self.share.until.map(|epoch| epoch * epoch_steps);
        part.unwrap_or(self.steps)
    }

    /// Gives the epochs it takes, as far as it goes.
    pub fn epochs_to_do(&self) -> usize {
        self.share.until.unwrap_or(self.epochs())
    }
}

/// A prefix of several runs.
struct Prefix {
    run: Run,
    /// Epochs that runs continue from.
    epochs: BTreeSet<usize>,
    /// Epochs that runs wait for and no listed run reaches: how many runs for each.
    missing: BTreeMap<usize, usize>,
}

/// Gives the runs to do for those of `all` that are `wanted`, in their order, with what they share.
///
/// Runs with a common prefix continue from the run that is nothing but this prefix, if it is
/// listed. If not, and several runs wait for it, the prefix becomes a run of its own, up to where
/// they part.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn shared(store: &Store, all: &[Run], wanted: impl Fn(&Run) -> bool) -> Result<Vec<Run>> {
    let ids = all.iter().map(Run::id).collect::<Result<Vec<_>>>()?;
    let mut prefixes: BTreeMap<String, Prefix> = BTreeMap::new();
    let mut branches = Vec::new();
    for run in all {
        let Some((prefix, epoch)) = run.prefix()? else {
            branches.push(None);
            continue;
        };
        let id = prefix.id()?;
        let entry = prefixes.entry(id.clone());
        let prefix = entry.or_insert_with(|| Prefix {
            run: prefix,
            epochs: BTreeSet::new(),
            missing: BTreeMap::new(),
        });
        prefix.epochs.insert(epoch);
        let whole = ids.iter().position(|other| *other == id);
        let from = match whole.map(|index| &all[index]) {
            Some(whole) if reaches(store, whole, epoch, wanted(whole))? => &whole.key,
            // Of another list, in the same directory.
            None if store.reached(&id, epoch)? => &id,
            _ => {
                let there = store.reached(&prefix.run.key, epoch)?;
                if wanted(run) && !there && store.log(&run.key)?.epochs.is_empty() {
                    *prefix.missing.entry(epoch).or_default() += 1;
                }
                &prefix.run.key
            }
        };
        branches.push(Some((from.clone(), epoch)));
    }
    let keep = |id: &String, from: &Option<(String, usize)>| {
        let prefix = prefixes.get(id).map(|prefix| prefix.epochs.clone());
        let mut epochs = prefix.unwrap_or_default();
        // What a grown run was before it grew.
        epochs.extend(from.as_ref().map(|(_, epoch)| *epoch));
        epochs
    };
    let mut runs = Vec::new();
    let mut begun = BTreeSet::new();
    for ((run, id), from) in all.iter().zip(&ids).zip(branches) {
        if !wanted(run) {
            continue;
        }
        let starts_with = |prefix: &&Prefix| {
            from.as_ref()
                .is_some_and(|(from, _)| *from == prefix.run.key)
        };
        if let Some(prefix) = prefixes.values().find(starts_with)
            && prefix.missing.values().sum::<usize>() > 1
            && begun.insert(prefix.run.key.clone())
        {
            runs.push(first_part(store, prefix)?);
        }
        let share = Sharing {
            keep: keep(id, &from),
            from,
            until: None,
        };
        runs.push(Run {
            share,
            ..run.clone()
        });
    }
    Ok(runs)
}

/// Tells whether the checkpoint of `epoch` of a listed run is there, or will be.
fn reaches(store: &Store, run: &Run, epoch: usize, wanted: bool) -> Result<bool> {
    let last = store
        .log(&run.key)?
        .epochs
        .last()
        .map_or(0, |end| end.epoch);
    Ok(store.reached(&run.key, epoch)? || wanted && last < epoch)
}

fn first_part(store: &Store, prefix: &Prefix) -> Result<Run> {
    let key = &prefix.run.key;
    let last = store.log(key)?.epochs.last().map_or(0, |end| end.epoch);
    // It passed an epoch whose checkpoint it was not asked to keep.
    if prefix.missing.keys().any(|epoch| *epoch <= last) {
        store.clear(key)?;
    }
    let share = Sharing {
        from: None,
        keep: prefix.epochs.clone(),
        until: prefix.missing.keys().next_back().copied(),
    };
    Ok(Run {
        share,
        ..prefix.run.clone()
    })
}
