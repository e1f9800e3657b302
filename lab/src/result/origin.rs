//! Where numbers come from.

use std::process::Command;

use crate::device::Backend;

/// The commit of the working directory, if that is known.
pub(crate) fn commit() -> Option<String> {
    output("git", &["rev-parse", "HEAD"])
}

/// Where and from what a run is made.
pub(crate) struct Origin {
    /// The commit of the working directory; empty if that is not known.
    pub(crate) commit: String,
    /// The cores and the processor of the machine, and the backend.
    pub(crate) machine: String,
}

impl Origin {
    /// That of runs on `device` in this process.
    pub(crate) fn here(device: Backend) -> Self {
        Self {
            commit: commit().unwrap_or_default(),
            machine: machine(device),
        }
    }
}

/// The cores and the processor of this machine, and the backend of `device`.
pub(crate) fn machine(device: Backend) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} x {processor}, {}", device.name())
}

#[cfg(target_os = "macos")]
fn processor() -> Option<String> {
    output("sysctl", &["-n", "machdep.cpu.brand_string"])
}

#[cfg(target_os = "windows")]
fn processor() -> Option<String> {
    std::env::var("PROCESSOR_IDENTIFIER").ok()
}

/// Its name, and family and model where they are told: virtual machines give different processors one name.
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = |name: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.find_map(|(field, value)| (field.trim() == name).then(|| value.trim()))
    };
    let name = value("model name")?;
    match value("cpu family").zip(value("model")) {
        Some((family, model)) => Some(format!("{name} ({family}, {model})")),
        None => Some(name.to_owned()),
    }
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
