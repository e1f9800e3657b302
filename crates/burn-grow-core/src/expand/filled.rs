//! New memory, written by all cores.

use rayon::prelude::*;

/// What one core writes at a time: a page of memory, which is mapped when it is written first.
const PAGE: usize = 4096;
/// Smaller memory is written by one core: telling the others would take longer.
const SMALL: usize = 64 * PAGE;
/// The fewest pages that are worth another core.
const PAGES: usize = 16;

/// Creates `length` bytes. `write` gets each stretch of them, in any order: where it begins, and
/// zeros to write over.
///
/// Memory that all cores write first costs half of what clearing it on one core and writing it
/// again does.
pub(super) fn filled(length: usize, write: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
    if length < SMALL {
        let mut bytes = vec![0; length];
        write(0, &mut bytes);
        return bytes;
    }
    // One page more, so that the rest fits without a copy.
    let mut pages: Vec<[u8; PAGE]> = Vec::with_capacity(length / PAGE + 1);
    (0..length / PAGE)
        .into_par_iter()
        .with_min_len(PAGES)
        .map(|page| {
            let mut bytes = [0; PAGE];
            write(page * PAGE, &mut bytes);
            bytes
        })
        .collect_into_vec(&mut pages);
    let mut bytes = pages.into_flattened();
    let start = bytes.len();
    let mut rest = [0; PAGE];
    let rest = &mut rest[..length - start];
    write(start, rest);
    bytes.extend_from_slice(rest);
    bytes
}
