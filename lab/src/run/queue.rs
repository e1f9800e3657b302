//! Many runs, side by side.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burn_grow::moe::MoeTransformer;

use crate::error::DemoError;
use crate::job::Job;
use crate::progress::{Board, Progress};
use crate::run::{Context, run};
use crate::store::Rows;

/// Hears of every run that ended: its last model, and its rows.
pub type Ended<'a> = dyn Fn(&Job, &MoeTransformer, &Rows) -> Result<(), DemoError> + Sync + 'a;

/// More bars than that are shown one by one, as runs begin.
const BARS: usize = 12;

/// Runs `jobs` side by side, `workers` at once, and says whether all of them ended.
///
/// Every worker has a thread pool of its own: Burn's kernels then stay on it, and runs neither share
/// threads nor wait for each other.
///
/// # Errors
///
/// The first failure of a run. The others are then stopped; what they have done is kept.
pub fn run_all(
    context: &Context,
    jobs: Vec<Job>,
    workers: usize,
    board: &Board,
    ended: &Ended<'_>,
) -> Result<bool, DemoError> {
    let mut open = BTreeMap::new();
    for job in &jobs {
        let rows = context.store.rows(&job.listed.key)?;
        let last = rows.epochs.last().map_or(0, |row| row.epoch);
        open.insert(job.listed.key.clone(), last);
    }
    let few = jobs.len() <= BARS;
    let show = |job: &Job| Arc::new(board.arm(&job.listed.label, job.steps()));
    let waiting = jobs.into_iter().map(|job| {
        let progress = few.then(|| show(&job));
        (job, progress)
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
                .build()?,
        );
    }
    std::thread::scope(|scope| {
        for pool in &pools {
            let queue = &queue;
            scope.spawn(move || {
                pool.install(|| {
                    while let Some((job, progress)) = queue.next(context) {
                        let progress = progress.unwrap_or_else(|| show(&job));
                        work(context, queue, job, progress, ended);
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

type Waiting = (Job, Option<Arc<Progress>>);

struct State {
    waiting: Vec<Waiting>,
    /// The runs that have not ended, and the last epoch of each.
    open: BTreeMap<String, usize>,
    failure: Option<DemoError>,
    unfinished: bool,
}

impl State {
    /// Whether the checkpoint that a run goes on from is certainly on disk, if it is still to come: saving
    /// is asynchronous, one checkpoint at a time, so that is one epoch later.
    fn is_ready(&self, job: &Job) -> bool {
        let Some((from, epoch)) = &job.branch else {
            return true;
        };
        self.open.get(from).is_none_or(|last| last > epoch)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next run that can begin; waits for one.
    fn next(&self, context: &Context) -> Option<Waiting> {
        let mut state = self.state();
        loop {
            if context.stop.stopped() || state.waiting.is_empty() {
                return None;
            }
            let ready = state
                .waiting
                .iter()
                .position(|(job, _)| state.is_ready(job));
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
    job: Job,
    progress: Arc<Progress>,
    ended: &Ended<'_>,
) {
    let key = job.listed.key.clone();
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
        run(context, &job, shown, epoch_done, ended)
    }));
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(DemoError::Arm {
            arm: job.listed.label.clone(),
            message: message(panic.as_ref()),
        })
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

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".into())
}
