//! Which coordinates of an expanded folder are new: `region.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::grow::{Growth, Piece};
use crate::error::Error;

/// The coordinates that an expansion adds, tensor by tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The parameters with new coordinates, by name.
    pub tensors: BTreeMap<String, NewCoordinates>,
}

/// The new coordinates of a tensor: an element is new if it is so along any dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCoordinates {
    /// Its shape after the expansion.
    pub shape: Vec<usize>,
    /// For every dimension, the runs of new coordinates: where each begins, and where the old ones
    /// go on. A tensor that was not there before is new along its first dimension.
    pub new: Vec<Vec<(usize, usize)>>,
}

impl Region {
    /// The name of the file in an expanded folder.
    pub const FILE: &str = "region.json";

    /// Reads a region.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        serde_json::from_str(&text).map_err(Error::json(path))
    }
}

impl Growth<'_> {
    /// Tells which coordinates are new. Buffers, which no optimizer steps, are left out.
    pub fn region(&self) -> Region {
        let kept = &self.model.family.kept;
        let is_buffer = |piece: &Piece<'_>| kept.iter().any(|it| it.find(piece.source).is_some());
        let pieces = self.pieces().into_iter();
        let tensors = pieces
            .filter(|piece| !is_buffer(piece))
            .filter_map(|piece| {
                let new = self.new_coordinates(&piece);
                let any = new.iter().any(|runs| !runs.is_empty());
                let shape = piece.param.new_shape;
                any.then_some((piece.param.path, NewCoordinates { shape, new }))
            });
        Region {
            tensors: tensors.collect(),
        }
    }

    fn new_coordinates(&self, piece: &Piece<'_>) -> Vec<Vec<(usize, usize)>> {
        let sizes = piece.param.new_shape.iter().enumerate();
        let runs = sizes.map(|(dim, size)| match (piece.is_new, dim) {
            (true, 0) => vec![(0, *size)],
            (true, _) => Vec::new(),
            _ => runs(self.plan.kept(&piece.param, dim).unwrap_or_default()),
        });
        runs.collect()
    }
}

/// Where runs of coordinates that are not `kept` begin and end.
fn runs(kept: Vec<bool>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, _) in kept.iter().enumerate().filter(|(_, kept)| !**kept) {
        match runs.last_mut() {
            Some((_, end)) if *end == index => *end += 1,
            _ => runs.push((index, index + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_what_is_not_kept() {
        assert_eq!(runs(vec![]), []);
        assert_eq!(runs(vec![true, true]), []);
        assert_eq!(
            runs(vec![false, true, false, false, true]),
            [(0, 1), (2, 4)]
        );
    }
}
