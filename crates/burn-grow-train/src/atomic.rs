use std::fs::File;
use std::io;
use std::path::Path;

use burn_pack::AtomicFile;

/// Writes the file at `path` anew, so that it appears whole or stays as it was.
///
/// # Errors
///
/// What `write` returns, and when the file cannot be made or moved to its place.
pub(crate) fn write(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let (scratch, mut file) = AtomicFile::create(path).map_err(io::Error::other)?;
    write(&mut file)?;
    // An error of a disk is told to the handle that wrote.
    file.sync_data()?;
    drop(file);
    scratch.commit().map_err(io::Error::other)
}
