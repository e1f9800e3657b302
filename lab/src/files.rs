//! Files, with their path in every error.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a text file.
///
/// # Errors
///
/// When the file cannot be read.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Reads a JSON file; `None` if it does not exist.
///
/// # Errors
///
/// When the file cannot be read or does not hold a `T`.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let place = || path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(place),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(place),
    }
}

/// Reads a TOML file.
///
/// # Errors
///
/// When the file cannot be read or does not hold a `T`.
pub fn toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse_toml(path, &text(path)?)
}

/// Parses the text of the TOML file at `path`.
///
/// # Errors
///
/// When the text does not hold a `T`.
pub fn parse_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).with_context(|| format!("settings file {}", path.display()))
}

/// Writes a file in one go: afterwards either the old or the new one is there.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| folder != &Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let replace = || {
        fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; these are ordinary ones.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok::<_, std::io::Error>(())
    };
    replace().with_context(|| path.display().to_string())
}

/// Writes a JSON file in one go.
///
/// # Errors
///
/// When the value has no form in JSON or the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).with_context(|| path.display().to_string())?;
    write(path, &text)
}

/// Removes a folder if it is there.
///
/// # Errors
///
/// When the folder cannot be removed.
pub fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Lists the names of the files in a folder that have this extension; empty if it is not there.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn names(folder: &Path, extension: &str) -> Result<BTreeSet<String>> {
    let place = || folder.display().to_string();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(place),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let path = entry.with_context(place)?.path();
        let fits = path.extension().is_some_and(|found| found == extension);
        if let Some(name) = path.file_name().filter(|_| fits) {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
