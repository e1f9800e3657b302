use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cargo::workspace;

/// The variable that names an interpreter with what the tests need; empty, it asks for none.
pub(crate) const PYTHON: &str = "BURN_GROW_PYTHON";

/// How long installing may take: several gigabytes, on Linux.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The packages, with all that they need.
const PACKAGES: &str = "crates/burn-grow-moe/tests/hf/requirements.txt";

/// Packages that need more than the tests use of them: installed alone, as what they do use is among
/// the others.
const ALONE: &str = "tests/golden/requirements.txt";

/// An interpreter with torch, transformers and mup, or why there is none.
///
/// Without [`PYTHON`] it is that of `target/hf-venv`, which is made if it is not there yet and
/// installed anew when the required versions change.
pub(crate) fn find() -> anyhow::Result<Result<String, String>> {
    match std::env::var(PYTHON) {
        Ok(interpreter) if interpreter.is_empty() => return Ok(Err(format!("{PYTHON} is empty"))),
        Ok(interpreter) => return Ok(Ok(interpreter)),
        Err(_) => {}
    }
    let workspace = workspace()?;
    let requirements = [workspace.join(PACKAGES), workspace.join(ALONE)];
    let read =
        |file: &PathBuf| std::fs::read_to_string(file).with_context(|| file.display().to_string());
    let wanted = requirements
        .iter()
        .map(read)
        .collect::<Result<String, _>>()?;
    let target = workspace.join("target");
    let environment = target.join("hf-venv");
    let interpreter = if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    };
    let stamp = environment.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return text(&interpreter).map(Ok);
    }

    println!(
        "installing {PACKAGES} and {ALONE} in {}",
        environment.display()
    );
    std::fs::create_dir_all(&target)?;
    let made = make(&environment, &interpreter, &requirements);
    if made.is_ok() {
        std::fs::write(&stamp, wanted)?;
    } else if environment.exists() {
        std::fs::remove_dir_all(&environment)?; // half of it is of no use
    }
    let interpreter = text(&interpreter)?;
    Ok(made.map(|()| interpreter))
}

fn make(environment: &Path, interpreter: &Path, [all, alone]: &[PathBuf; 2]) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    let mut venv = Command::new(if cfg!(windows) { "python" } else { "python3" });
    venv.args(["-m", "venv", "--clear"]).arg(environment);
    finish(venv, until)?;

    for (requirements, needed) in [(all, [].as_slice()), (alone, &["--no-deps"])] {
        let mut install = Command::new(interpreter);
        install
            .args(["-m", "pip", "install", "--quiet", "--no-cache-dir"])
            .args([
                "--disable-pip-version-check",
                "--timeout",
                "30",
                "--retries",
                "1",
            ])
            .args(needed)
            .arg("--requirement")
            .arg(requirements);
        finish(install, until)?;
    }

    let mut import = Command::new(interpreter);
    import.args(["-c", "import torch, transformers, mup"]);
    finish(import, until)
}

/// Runs a command to its end, or ends it.
fn finish(mut command: Command, until: Instant) -> Result<(), String> {
    let outcome = wait(&mut command, until);
    match outcome {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("{command:?} failed: {status}")),
        Ok(None) => Err(format!("{command:?} took longer than {PATIENCE:?}")),
        Err(error) => Err(format!("cannot run {command:?}: {error}")),
    }
}

fn wait(command: &mut Command, until: Instant) -> io::Result<Option<ExitStatus>> {
    let mut child = command.stdin(Stdio::null()).spawn()?;
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let path: PathBuf = path.into();
    let text = path.into_os_string().into_string();
    text.map_err(|path| anyhow::anyhow!("{} is not UTF-8", path.display()))
}
