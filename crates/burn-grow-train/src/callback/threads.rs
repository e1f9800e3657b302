//! Replicas, which are stepped on threads of their own.

use std::thread::{self, ThreadId};

use burn_core::module::Module;

use super::run::Run;
use crate::{Position, TrainError};

/// The threads that last computed gradients, and stepped the optimizer.
#[derive(Default)]
pub(crate) struct Threads {
    stepped: Option<ThreadId>,
    optimized: Option<ThreadId>,
}

impl Threads {
    /// Says that this thread has computed gradients, and returns true unless it also is the one
    /// that steps the optimizer.
    fn stepped(&mut self) -> bool {
        let here = Some(thread::current().id());
        self.stepped = here;
        self.optimized != here
    }

    /// Says that this thread has stepped the optimizer, and returns true unless it also is the one
    /// that computes gradients.
    fn optimized(&mut self) -> bool {
        let here = Some(thread::current().id());
        self.optimized = here;
        self.stepped != here
    }
}

impl Run {
    /// Hands the gradients of `model` to the thread of the optimizer.
    pub(crate) fn stepped<M: Module>(&self, model: &M, position: Position) {
        let elsewhere = self.session().threads.stepped();
        self.hand_over(elsewhere, model, position);
    }

    /// Hands the updated `model` to the threads of its replicas.
    pub(crate) fn optimized<M: Module>(&self, model: &M, position: Position) {
        let elsewhere = self.session().threads.optimized();
        self.hand_over(elsewhere, model, position);
    }

    /// Waits for what this thread has the devices of `model` compute, if another thread goes on
    /// with it.
    ///
    /// In Burn 0.22.1 the operations of a thread wait in a queue of its own, and those of another
    /// thread overtake them: it then computes with what was in the memory before.
    fn hand_over<M: Module>(&self, elsewhere: bool, model: &M, position: Position) {
        if !elsewhere {
            return;
        }
        for device in model.devices() {
            if let Err(error) = device.sync() {
                self.fail(TrainError::Device {
                    step: position.step,
                    stage: position.stage,
                    reason: error.to_string(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_waits_once_and_replicas_always() {
        let mut threads = Threads::default();
        assert!(threads.stepped(), "no optimizer yet");
        for _ in 0..2 {
            assert!(!threads.optimized());
            assert!(!threads.stepped());
        }
        let mut threads = Threads::default();
        for _ in 0..2 {
            let stepped = thread::scope(|scope| scope.spawn(|| threads.stepped()).join());
            assert!(stepped.expect("no panic"));
            assert!(threads.optimized());
        }
    }
}
