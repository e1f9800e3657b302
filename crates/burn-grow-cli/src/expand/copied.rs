//! The files of a folder that an expansion does not change: the tokenizer and whatever else.

use std::path::{Path, PathBuf};

use super::record::Record;
use crate::error::Error;
use crate::folder::{CONFIG, Folder, INDEX, SINGLE, is_weights};
use crate::model::Region;
use crate::state::State;

/// Copies them to `to`. Returns the names of files of weights that stay behind, because they would
/// no longer be those of the model. `state` is made anew.
pub(super) fn copy(
    folder: &Folder,
    state: Option<&State>,
    to: &Path,
) -> Result<Vec<String>, Error> {
    let mut behind = Vec::new();
    let state = state.and_then(|state| state.path().canonicalize().ok());
    copy_all(folder, state.as_deref(), &folder.path, to, &mut behind)?;
    behind.sort();
    Ok(behind)
}

fn copy_all(
    folder: &Folder,
    state: Option<&Path>,
    from: &Path,
    to: &Path,
    behind: &mut Vec<String>,
) -> Result<(), Error> {
    for entry in std::fs::read_dir(from).map_err(Error::io(from))? {
        let entry = entry.map_err(Error::io(from))?;
        let (path, name) = (entry.path(), entry.file_name());
        let text = name.to_string_lossy().into_owned();
        let link = entry.file_type().map_err(Error::io(&path))?;
        // A link to a folder may lead anywhere, and be a circle.
        if link.is_dir() && !text.starts_with('.') {
            let to = to.join(&name);
            std::fs::create_dir_all(&to).map_err(Error::io(&to))?;
            copy_all(folder, state, &path, &to, behind)?;
            continue;
        }
        if !path.is_file() || is_made(folder, &path, &text) {
            continue;
        }
        if is_weights(&path) || text.ends_with(".index.json") {
            let is_state = state.is_some() && path.canonicalize().ok().as_deref() == state;
            if !is_state {
                behind.push(text);
            }
            continue;
        }
        let to: PathBuf = to.join(&name);
        std::fs::copy(&path, &to).map_err(Error::io(&to))?;
    }
    Ok(())
}

/// Tells if the expanded folder has a file of this name that is made, or is not to have it.
fn is_made(folder: &Folder, path: &Path, name: &str) -> bool {
    let top = path.parent() == Some(folder.path.as_path());
    let ours = [CONFIG, INDEX, SINGLE, Record::FILE, Region::FILE].contains(&name);
    top && ours || folder.files.iter().any(|file| file == path)
}
