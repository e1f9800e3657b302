//! Work on several threads, where it pays.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// The number of multiplications from which waking other threads pays.
const WORTH_WAKING: usize = 1 << 20;

/// Calls `run` on every item, on all threads when there are several and `work` multiplications pay
/// for waking them.
pub(crate) fn for_each<T: Send>(
    items: impl Iterator<Item = T>,
    work: usize,
    run: impl Fn(T) + Send + Sync,
) {
    if work < WORTH_WAKING || rayon::current_num_threads() == 1 {
        items.for_each(run);
    } else {
        let items: Vec<T> = items.collect();
        items.into_par_iter().for_each(run);
    }
}
