//! The text: read from files, and cut into windows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Windows that are held out: one block in so many.
const HELD_OUT: usize = 20;

/// Windows side by side that form a block.
const BLOCK: usize = 32;

/// Reads a file, all files of a folder, or the Rust sources of this workspace.
pub(crate) fn read(path: Option<&str>) -> Result<Vec<u8>> {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates");
    let root = Path::new(path.unwrap_or(sources));
    let mut files = Vec::new();
    walk(root, &mut files).with_context(|| root.display().to_string())?;
    if path.is_none() {
        files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    }
    files.sort();
    let mut text = Vec::new();
    for file in files {
        text.extend(fs::read(&file).with_context(|| file.display().to_string())?);
    }
    Ok(text)
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        walk(&entry?.path(), files)?;
    }
    Ok(())
}

/// Cuts a text into windows of `length` bytes: those to train on, and those that are held out.
///
/// Every twentieth block is held out, not the end: that would be another kind of text.
pub(crate) fn split(text: &[u8], length: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let windows = text.chunks_exact(length).map(<[u8]>::to_vec).enumerate();
    let (valid, train): (Vec<_>, Vec<_>) =
        windows.partition(|(index, _)| index / BLOCK % HELD_OUT == HELD_OUT - 1);
    let windows = |numbered: Vec<(usize, Vec<u8>)>| {
        let windows = numbered.into_iter().map(|(_, window)| window);
        windows.collect()
    };
    (windows(train), windows(valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_twentieth_block_is_held_out() {
        let text: Vec<u8> = (0..=255).cycle().take(10 * BLOCK * HELD_OUT).collect();
        let (train, valid) = split(&text, 10);
        assert_eq!(valid.len(), BLOCK);
        assert_eq!(train.len(), BLOCK * (HELD_OUT - 1));
        assert_eq!(valid[0], text[10 * train.len()..][..10]);
    }

    #[test]
    fn the_sources_of_the_workspace_are_text_enough() {
        let text = read(None).expect("sources");
        assert!(text.len() > 100_000);
        assert!(read(Some("no such file")).is_err());
    }
}
