//! When what is read from a device is copied.

use burn_std::{RuntimeKind, set_runtime_kind};

/// Has this process copy what it reads from a device at once.
///
/// Burn 0.22.1 copies when somebody looks at the bytes. burn-train saves a checkpoint on a thread of
/// its own, which looks at them while the run goes on: until then the optimizer has overwritten
/// parameters and state in place, and the file holds something else. In a program with an
/// asynchronous runtime Burn copies at once, and that is all that the kind of runtime decides.
pub(super) fn read_at_once() {
    set_runtime_kind(RuntimeKind::Async);
}
