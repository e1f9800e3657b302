//! Names of the entries in optimizer records.
//!
//! Burn names every entry of a parameter `{id}.{field}`. The regions of a grown parameter are
//! scalars beside them, `{id}.grow.{n}.{field}`, the oldest region first.

use core::ops::Bound;
use std::collections::BTreeMap;

use burn_pack::Scalar;

/// The copy of a parameter that [`MixedPrecision`](crate::MixedPrecision) keeps.
pub(crate) const MASTER: &str = "master";

/// The most steps that an optimizer counts: burn-optim does so in 32 bits.
pub(crate) const MAX_STEPS: usize = i32::MAX as usize;

/// What burn-optim calls the number of dimensions of a parameter.
pub(crate) const RANK: &str = "__rank";

/// What burn-optim calls the step count of a parameter.
const COUNT: &str = ".time";

/// The names of all entries of one parameter.
pub(crate) struct RecordKeys {
    /// The identity of the parameter.
    prefix: String,
}

impl RecordKeys {
    /// The names of the entries of the parameter `id`.
    pub(crate) fn of(id: u64) -> Self {
        Self {
            prefix: id.to_string(),
        }
    }

    /// The names of the entries of the parameter whose record Burn reads or writes under `prefix`.
    pub(crate) fn under(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// The name under which the record holds the path of the parameter.
    pub(crate) fn path(&self) -> String {
        self.prefix.clone()
    }

    /// What the name of every entry begins with.
    pub(crate) fn entries(&self) -> String {
        format!("{}.", self.prefix)
    }

    /// The number of dimensions of the parameter.
    pub(crate) fn rank(&self) -> String {
        format!("{}.{RANK}", self.prefix)
    }

    /// All regions of the parameter.
    pub(crate) fn regions(&self) -> String {
        format!("{}.grow", self.prefix)
    }

    /// What the name of every field of a region begins with.
    pub(crate) fn region_entries(&self) -> String {
        format!("{}.", self.regions())
    }

    /// One region, the oldest being number 0.
    pub(crate) fn region(&self, index: usize) -> String {
        format!("{}.{index}", self.regions())
    }

    /// One field of a region. Without a name, what all its fields begin with.
    pub(crate) fn field(&self, index: usize, field: &str) -> String {
        format!("{}.{field}", self.region(index))
    }

    /// The number of regions that `scalars` holds.
    pub(crate) fn count_regions(&self, scalars: &BTreeMap<String, Scalar>) -> usize {
        let begun = |index: &usize| entries(scalars, self.field(*index, "")).next();
        (0..).take_while(|index| begun(index).is_some()).count()
    }
}

/// The identity of the parameter that an entry belongs to, if its name has one.
pub(crate) fn owner(name: &str) -> Option<u64> {
    let (id, _) = name.split_once('.')?;
    // Burn would also take `+1` or `01` for the identity 1.
    id.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == id)
}

/// Tells if an entry is the step count of its parameter.
pub(crate) fn is_count(name: &str) -> bool {
    name.ends_with(COUNT)
}

/// The scalars whose name begins with `prefix`, which stand side by side.
pub(crate) fn entries(
    scalars: &BTreeMap<String, Scalar>,
    prefix: String,
) -> impl Iterator<Item = (&String, &Scalar)> {
    scalars
        .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
        .take_while(move |(name, _)| name.starts_with(&prefix))
}
