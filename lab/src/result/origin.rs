//! Where and from what a run is made: commit and machine.

use std::process::Command;

use crate::spec::Backend;

/// Gives the commit of the working directory, if it is known.
pub fn commit() -> Option<String> {
    output("git", &["rev-parse", "HEAD"])
}

/// Where and from what a run is made.
pub struct Origin {
    /// Commit of the working directory; empty if it is not known.
    pub commit: String,
    /// Cores and processor of the machine, and the backend.
    pub machine: String,
}

impl Origin {
    /// Finds the origin of runs on `device` in this process.
    pub fn here(device: Backend) -> Self {
        Self {
            commit: commit().unwrap_or_default(),
            machine: machine(device),
        }
    }
}

/// Describes this machine and the backend of `device`.
fn machine(device: Backend) -> String {
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

/// Gives its name, and family and model if they are known: virtual machines give different
/// processors one name.
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
