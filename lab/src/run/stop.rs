//! Stopping so that a run can go on another time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burn::train::Interrupter;

use crate::error::DemoError;

/// Stops every arm of a run.
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

    /// Whether it was called.
    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Lets Ctrl-C stop the arms, and a second one the program. `note` says what becomes of them.
    ///
    /// # Errors
    ///
    /// When something else listens already.
    pub fn listen(self: &Arc<Self>, note: &'static str) -> Result<(), DemoError> {
        let stop = self.clone();
        ctrlc::set_handler(move || {
            if stop.stopped() {
                std::process::exit(130);
            }
            eprintln!("\nstopping; {note}");
            stop.stop();
        })?;
        Ok(())
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

    pub(crate) fn watch(&self, interrupter: Interrupter) {
        if self.stopped() {
            interrupter.stop(Some("stopped by the user"));
        }
        self.running().push(interrupter);
    }

    fn running(&self) -> MutexGuard<'_, Vec<Interrupter>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
