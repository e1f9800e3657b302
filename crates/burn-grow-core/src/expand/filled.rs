//! New memory, written by all cores.

use burn_core::tensor::Bytes;
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
/// again does. It is made of words, as Burn copies memory that is aligned to bytes.
pub(super) fn filled(length: usize, write: impl Fn(usize, &mut [u8]) + Sync) -> Bytes {
    if length >= SMALL && length.is_multiple_of(8) {
        return Bytes::from_elems(pages::<8, { PAGE / 8 }, u64>(
            length,
            write,
            u64::from_ne_bytes,
        ));
    }
    if length >= SMALL && length.is_multiple_of(4) {
        return Bytes::from_elems(pages::<4, { PAGE / 4 }, u32>(
            length,
            write,
            u32::from_ne_bytes,
        ));
    }
    let mut bytes = vec![0; length];
    write(0, &mut bytes);
    Bytes::from_bytes_vec(bytes)
}

/// Creates `length` bytes as words of `W` bytes, `N` of which are a page.
fn pages<const W: usize, const N: usize, T: Send>(
    length: usize,
    write: impl Fn(usize, &mut [u8]) + Sync,
    word: impl Fn([u8; W]) -> T + Sync,
) -> Vec<T> {
    let page = |index: usize, length: usize| {
        let mut bytes = [[0; W]; N];
        write(index * PAGE, &mut bytes.as_flattened_mut()[..length]);
        bytes.map(&word)
    };
    let whole = length / PAGE;
    // One page more, so that the rest fits without a copy.
    let mut pages: Vec<[T; N]> = Vec::with_capacity(whole + 1);
    (0..whole)
        .into_par_iter()
        .with_min_len(PAGES)
        .map(|index| page(index, PAGE))
        .collect_into_vec(&mut pages);
    let mut words = pages.into_flattened();
    let rest = length - whole * PAGE;
    words.extend(page(whole, rest).into_iter().take(rest / W));
    words
}
