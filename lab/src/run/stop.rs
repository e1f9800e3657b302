//! Stopping in such a way that runs can be resumed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use burn::train::Interrupter;

/// Stops all runs.
#[derive(Default)]
pub struct Stop {
    stopped: AtomicBool,
    running: Mutex<Vec<Interrupter>>,
}

impl Stop {
    /// Stops what runs, and what would begin.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for interrupter in self.running().iter() {
            interrupter.stop(Some("stopped by the user"));
        }
    }

    /// Tells whether runs were stopped.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Lets Ctrl-C stop the runs, and a second one the program. `note` says how to go on.
    ///
    /// # Errors
    ///
    /// When something else listens already.
    pub fn listen(self: &Arc<Self>, note: &'static str) -> Result<()> {
        let stop = self.clone();
        ctrlc::set_handler(move || {
            if stop.stopped() {
                std::process::exit(130);
            }
            eprintln!("\nstopping; {note}");
            stop.stop();
        })
        .context("cannot listen for Ctrl-C")
    }

    /// Stops after a while, if the program still runs then.
    pub fn after(self: &Arc<Self>, time: Duration) {
        let stop = Arc::downgrade(self);
        std::thread::spawn(move || {
            std::thread::sleep(time);
            if let Some(stop) = stop.upgrade() {
                stop.stop();
            }
        });
    }

    pub(super) fn watch(&self, interrupter: Interrupter) {
        if self.stopped() {
            interrupter.stop(Some("stopped by the user"));
        }
        self.running().push(interrupter);
    }

    fn running(&self) -> MutexGuard<'_, Vec<Interrupter>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
