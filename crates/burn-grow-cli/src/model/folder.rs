//! A folder that is made out of another one: its tensors, its configuration, and what it says about
//! how it was made.

use core::fmt;
use std::collections::BTreeMap;

use burn_grow_core::Plan;
use burn_grow_core::plan::ParamPlan;
use serde_json::{Map, Value};

use super::grow::Made;
use super::region::Region;
use crate::folder::config::Config;
use crate::folder::{Dtype, Folder, Stored};
use crate::state::GrownState;
use crate::upcycle::{Cut, DrawnRouter};

/// A folder that is made out of another one.
pub struct NewFolder<'a> {
    /// The other one.
    pub(crate) folder: &'a Folder,
    /// Its tensors, in the order of its files.
    pub outputs: Vec<Output<'a>>,
    /// Its `config.json`.
    pub config: Map<String, Value>,
    /// Its `burn-grow.json`.
    pub(crate) record: String,
    /// The state of an optimizer that it gets, if it gets one.
    pub state: Option<GrownState<'a>>,
    /// Its `region.json`, if it gets one.
    pub region: Option<Region>,
}

impl NewFolder<'_> {
    /// Lists its tensors, and behind them those of the state.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Output<'_>> {
        let state = self.state.iter().flat_map(|state| &state.outputs);
        self.outputs.iter().chain(state)
    }
}

/// A tensor of a new folder.
pub struct Output<'a> {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Type of its numbers: that of the tensor it comes from.
    pub dtype: &'a Dtype,
    /// Bytes that it has.
    pub length: u64,
    /// The tensor that it comes from.
    pub(crate) source: &'a Stored,
    /// How it comes from it, if not by copying its bytes.
    pub(crate) made: Option<Making<'a>>,
}

/// How a tensor is made of another one.
pub(crate) enum Making<'a> {
    /// By a plan.
    Grown(&'a Plan, Made),
    /// A part of it, of an expert.
    Cut(Cut),
    /// Drawn: nothing but the type comes from it.
    Router(DrawnRouter),
    /// As the state of an optimizer that belongs to this parameter: zero in new coordinates.
    State(&'a Plan, ParamPlan),
}

impl fmt::Debug for Making<'_> {
    /// Without the plan, which a record hashes by itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grown(_, made) => made.fmt(f),
            Self::Cut(cut) => cut.fmt(f),
            Self::Router(router) => router.fmt(f),
            Self::State(_, param) => param.fmt(f),
        }
    }
}

/// A key of `config.json` that gets another value.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Change {
    /// Name of the key.
    pub key: String,
    /// Its value before; `null` if it was missing.
    pub old: Value,
    /// Its value after; `null` if it goes.
    pub new: Value,
}

impl Change {
    /// Lists what of `new` is new; `null` stands for a key that goes.
    pub(crate) fn all(config: &Config, new: BTreeMap<String, Value>) -> Vec<Self> {
        let changes = new.into_iter().map(|(key, new)| Self {
            old: config.values.get(&key).cloned().unwrap_or_default(),
            key,
            new,
        });
        changes.filter(|change| change.old != change.new).collect()
    }
}

/// The keys that no new folder keeps, as its numbers are floats.
pub(crate) fn outdated(config: &Config) -> impl Iterator<Item = (String, Value)> {
    let keys = ["quantization_config", "compression_config"].into_iter();
    let found = keys.filter(|key| config.values.contains_key(*key));
    found.map(|key| (key.into(), Value::Null))
}

/// The keys of `config` after `changes`.
pub(crate) fn changed(config: &Config, changes: &[Change]) -> Map<String, Value> {
    let mut values = config.values.clone();
    for change in changes {
        match &change.new {
            Value::Null => values.remove(&change.key),
            new => values.insert(change.key.clone(), new.clone()),
        };
    }
    values
}
