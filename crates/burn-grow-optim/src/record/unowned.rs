//! State of parameters that the model no longer has.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use super::RawRecord;
use crate::keys::{RecordKeys, owner};
use crate::policy::power;
use crate::region::Region;

/// State of a parameter that the model does not have, as when a head was replaced by a new one: it
/// is left behind, and the new parameter starts without a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnownedState {
    /// The identity of the parameter.
    pub id: u64,
    /// Its path, if the record tells it.
    pub path: Option<String>,
}

impl fmt::Display for UnownedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, path } = self;
        match path {
            Some(path) => write!(
                f,
                "the optimizer state of parameter {id}, once at `{path}`,"
            )?,
            None => write!(f, "the optimizer state of parameter {id}")?,
        }
        f.write_str(" belongs to no parameter of the model and is left out")
    }
}

impl RawRecord {
    /// The shapes of the parameters besides `shapes` whose state looks whole, by identity: it has a
    /// rank, and tensors or a region that tell a shape of that rank.
    pub(super) fn unowned(&self, shapes: &BTreeMap<u64, Vec<usize>>) -> BTreeMap<u64, Vec<usize>> {
        let ids: BTreeSet<u64> = self.scalars.keys().filter_map(|name| owner(name)).collect();
        let unowned = ids.into_iter().filter(|id| !shapes.contains_key(id));
        unowned
            .filter_map(|id| Some((id, self.shape_by_state(id)?)))
            .collect()
    }

    fn shape_by_state(&self, id: u64) -> Option<Vec<usize>> {
        let keys = RecordKeys::of(id);
        let rank = usize::try_from(*self.scalars.get(&keys.rank())?).ok()?;
        let of_it = |tensor: &&burn_pack::Tensor| tensor.param_id == Some(id);
        let mut shapes = self
            .tensors
            .iter()
            .filter(of_it)
            .filter(|tensor| power(&tensor.name).is_some() && tensor.shape.len() == rank);
        if let Some(first) = shapes.next() {
            // Some may be reduced along a dimension.
            let mut shape = first.shape.to_vec();
            for tensor in shapes {
                for (size, other) in shape.iter_mut().zip(tensor.shape.iter()) {
                    *size = (*size).max(*other);
                }
            }
            return Some(shape);
        }
        // A region has at least a scalar for each dimension.
        if rank > self.scalars.len() || keys.count_regions(&self.scalars) == 0 {
            return None;
        }
        let read = |field: &str| self.scalars.get(&keys.field(0, field)).copied();
        let region = Region::from_scalars(rank, read)?;
        region.extents.iter().map(|extent| extent.size()).collect()
    }

    /// Removes the state of parameter `id`.
    pub(super) fn remove(&mut self, id: u64) -> UnownedState {
        self.tensors.retain(|tensor| tensor.param_id != Some(id));
        self.scalars.retain(|name, _| owner(name) != Some(id));
        let path = self.paths.remove(&RecordKeys::of(id).path());
        UnownedState { id, path }
    }
}
