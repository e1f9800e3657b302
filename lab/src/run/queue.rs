//! Many runs side by side.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Error, Result, anyhow};

use crate::run::progress::{Board, Progress};
use crate::run::train::train;
use crate::run::{Context, Ended, Run};

/// More bars than that are shown one by one, as runs begin.
const BARS: usize = 12;

/// Does `runs` side by side, `workers` at once, and tells whether all of them ended.
///
/// Every worker has a thread pool of its own: Burn's kernels then stay on it, and runs neither
/// share threads nor wait for each other.
///
/// # Errors
///
/// The first failure of a run. The others are then stopped; what they have done is kept.
pub fn run_all(
    context: &Context,
    runs: Vec<Run>,
    workers: usize,
    board: &Board,
    ended: &Ended<'_>,
) -> Result<bool> {
    let mut open = BTreeMap::new();
    for run in &runs {
        let log = context.store.log(&run.key)?;
        let last = log.epochs.last().map_or(0, |end| end.epoch);
        open.insert(run.key.clone(), last);
    }
    let few = runs.len() <= BARS;
    let show = |run: &Run| Arc::new(board.run(&run.label, run.steps_to_do()));
    let waiting = runs.into_iter().map(|run| {
        let progress = few.then(|| show(&run));
        (run, progress)
    });
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            waiting: waiting.collect(),
            open,
            failure: None,
            unfinished: false,
        }),
        changed: Condvar::new(),
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut pools = Vec::new();
    for _ in 0..workers {
        let threads = (cores / workers).max(1);
        pools.push(
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("cannot start the workers")?,
        );
    }
    std::thread::scope(|scope| {
        for pool in &pools {
            let queue = &queue;
            scope.spawn(move || {
                pool.install(|| {
                    while let Some((run, progress)) = queue.next(context) {
                        let progress = progress.unwrap_or_else(|| show(&run));
                        work(context, queue, &run, progress, ended);
                    }
                    // Others may wait for what does not come any more.
                    queue.changed.notify_all();
                });
            });
        }
    });
    let mut state = queue.state();
    match state.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(!state.unfinished && state.waiting.is_empty()),
    }
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

type Waiting = (Run, Option<Arc<Progress>>);

struct State {
    waiting: Vec<Waiting>,
    /// The runs that have not ended, and the last epoch of each.
    open: BTreeMap<String, usize>,
    failure: Option<Error>,
    unfinished: bool,
}

impl State {
    /// Tells whether the checkpoint that a run continues from is certainly on disk, if it is still
    /// to come: saving is asynchronous, one checkpoint at a time, so that is one epoch later.
    fn is_ready(&self, run: &Run) -> bool {
        let Some((from, epoch)) = &run.share.from else {
            return true;
        };
        self.open.get(from).is_none_or(|last| last > epoch)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next run that can begin; waits for one.
    fn next(&self, context: &Context) -> Option<Waiting> {
        let mut state = self.state();
        loop {
            if context.stop.stopped() || state.waiting.is_empty() {
                return None;
            }
            let ready = state
                .waiting
                .iter()
                .position(|(run, _)| state.is_ready(run));
            if let Some(index) = ready {
                return Some(state.waiting.remove(index));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

fn work(
    context: &Context,
    queue: &Arc<Queue>,
    run: &Run,
    progress: Arc<Progress>,
    ended: &Ended<'_>,
) {
    let key = run.key.clone();
    let epoch_done = {
        let (queue, key) = (queue.clone(), key.clone());
        move |epoch| {
            queue.update(|state| {
                state.open.insert(key.clone(), epoch);
            });
        }
    };
    let shown = progress.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        train(context, run, shown, epoch_done, ended)
    }));
    let outcome = outcome.unwrap_or_else(|panic| {
        let message = device::message(panic.as_ref());
        Err(anyhow!("run `{}` failed: {message}", run.label))
    });
    if outcome.is_err() {
        context.stop.stop();
        progress.stop();
    }
    queue.update(|state| {
        match outcome {
            Ok(finished) => state.unfinished |= !finished,
            Err(error) => {
                state.failure.get_or_insert(error);
            }
        }
        state.open.remove(&key);
    });
}
