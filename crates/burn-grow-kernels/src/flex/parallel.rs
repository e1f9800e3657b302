//! Work on several threads, where it pays.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// The number of multiplications from which waking other threads pays.
const WORTH_WAKING: usize = 1 << 20;

/// True if there are several threads, and `work` multiplications pay for waking them.
pub(crate) fn pays(work: usize) -> bool {
    work >= WORTH_WAKING && rayon::current_num_threads() > 1
}

/// Calls `run` on every item, on all threads if `work` multiplications [pay](pays) for it.
pub(crate) fn for_each<T: Send>(
    items: impl Iterator<Item = T>,
    work: usize,
    run: impl Fn(T) + Send + Sync,
) {
    if pays(work) {
        let items: Vec<T> = items.collect();
        items.into_par_iter().for_each(run);
    } else {
        items.for_each(run);
    }
}
