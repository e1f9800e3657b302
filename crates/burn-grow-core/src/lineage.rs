//! Identities of parameters in new blocks, the same on every replica and after every resumption.

use crate::describe::axis::Axis;
use crate::hash::fnv1a;

/// The identity of the parameter in block `block`, a new one, of a stack that grows from `old_blocks`
/// along `axis`, whose source has the identity `id`.
///
/// A stack never has the same number of blocks twice, so no two expansions give the same.
pub(crate) fn descendant(id: u64, axis: &Axis, old_blocks: usize, block: usize) -> u64 {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(axis.as_str().as_bytes());
    for number in [old_blocks, block] {
        bytes.extend((number as u64).to_le_bytes());
    }
    fnv1a(&bytes)
}
