//! All arms, side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::arm::ArmName;
use crate::error::DemoError;
use crate::progress::{Board, Progress};
use crate::run::{Context, run};

/// Runs the arms of a run side by side, and says whether all of them ended.
///
/// Every worker has a thread pool of its own: Burn's kernels then stay on it, and arms neither share
/// threads nor wait for each other.
///
/// # Errors
///
/// The first failure of an arm. The others are then stopped; what they have done is kept.
pub fn run_all(context: &Context, board: &Board) -> Result<bool, DemoError> {
    let mut waiting = Vec::new();
    for arm in order(context) {
        let steps = arm.arm().steps(&context.settings, &context.sizes);
        let progress = Arc::new(board.arm(arm, steps));
        match context.store.rows(arm)?.end {
            Some(end) => progress.end(end.val_loss, end.wall_s),
            None => waiting.push((arm, progress)),
        }
    }
    // Grown arms wait for the small one, unless it is far enough or no part of this.
    let small_runs = waiting.iter().any(|(arm, _)| *arm == ArmName::Small);
    let small = context.store.rows(ArmName::Small)?;
    let branch = small
        .epochs
        .iter()
        .any(|row| row.epoch >= branched(context));
    let queue = Arc::new(Queue {
        state: Mutex::new(State {
            waiting,
            branch: branch || !small_runs,
            failure: None,
            unfinished: false,
        }),
        changed: Condvar::new(),
    });
    let workers = match context.dashboard {
        true => 1,
        false => context.settings.workers(),
    };
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
            scope.spawn(move || pool.install(|| work(context, queue)));
        }
    });
    let mut state = queue.state();
    match state.failure.take() {
        Some(failure) => Err(failure),
        None => Ok(!state.unfinished && state.waiting.is_empty()),
    }
}

/// The order in which arms begin: the small one, which others wait for, then the longest first.
fn order(context: &Context) -> Vec<ArmName> {
    let mut arms: Vec<ArmName> = Vec::new();
    for arm in &context.settings.arms {
        if !arms.contains(arm) {
            arms.push(*arm);
        }
    }
    arms.sort_by_key(|name| match name {
        ArmName::Small => 0,
        ArmName::SmallLonger => 1,
        ArmName::FromScratch => 2,
        _ => 3,
    });
    arms
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<(ArmName, Arc<Progress>)>,
    /// Whether the checkpoint that grown arms go on from is there.
    branch: bool,
    failure: Option<DemoError>,
    unfinished: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next arm that can begin; waits for one.
    fn next(&self, context: &Context) -> Option<(ArmName, Arc<Progress>)> {
        let mut state = self.state();
        loop {
            if context.stop.stopped() || state.waiting.is_empty() {
                return None;
            }
            let branch = state.branch;
            let ready = |arm: ArmName| branch || arm.arm().growth.is_none();
            if let Some(index) = state.waiting.iter().position(|(arm, _)| ready(*arm)) {
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

fn work(context: &Context, queue: &Arc<Queue>) {
    while let Some((name, progress)) = queue.next(context) {
        let branch = branched(context);
        let epoch_done = {
            let queue = queue.clone();
            move |epoch| {
                if name == ArmName::Small && epoch == branch {
                    queue.update(|state| state.branch = true);
                }
            }
        };
        let shown = progress.clone();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run(context, name.arm(), shown, epoch_done)
        }));
        let outcome = outcome.unwrap_or_else(|panic| {
            Err(DemoError::Arm {
                arm: name,
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
            if name == ArmName::Small {
                state.branch = true;
            }
        });
    }
    // Others may wait for what does not come any more.
    queue.changed.notify_all();
}

/// The epoch after which the checkpoint to branch from is certainly on disk: saving is asynchronous, one
/// checkpoint at a time, so that is one epoch later.
fn branched(context: &Context) -> usize {
    context.settings.shared_epochs() + 1
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked".into())
}
