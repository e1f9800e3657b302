//! The corpus: a text cut into blocks to train on and blocks that are held out.

use std::fs;
use std::hash::Hasher;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::MetadataCommand;
use fnv::FnvHasher;

/// The bytes of a block, the unit in which text is held out.
pub const BLOCK: usize = 4096;

/// One block in so many is held out.
pub const HELD_OUT: usize = 20;

/// A text, cut into what is trained on and what is held out.
///
/// Held-out blocks are spread evenly: the end of a text is another distribution than its beginning,
/// and that difference would drown what is measured. No window crosses from one part into the
/// other.
#[derive(Debug)]
pub struct Corpus {
    bytes: Vec<u8>,
    files: usize,
    train: Vec<Range<usize>>,
    held_out: Vec<Range<usize>>,
}

impl Corpus {
    /// Reads the text at `path`, a file or a directory, or the sources of Burn without one, for
    /// windows of `window` bytes.
    ///
    /// # Errors
    ///
    /// When there is no text, not enough of it, or it cannot be read.
    pub fn load(path: Option<&Path>, window: usize) -> Result<Self> {
        let files = match path {
            Some(path) => user_files(path)?,
            None => burn_sources()?,
        };
        let mut bytes = Vec::new();
        for file in &files {
            bytes.extend(read(file)?);
        }
        if let (Some(path), true) = (path, bytes.is_empty()) {
            bail!("corpus {}: no text in it", path.display());
        }
        Self::split(bytes, files.len(), window)
    }

    /// Cuts a text that came from `files` files.
    ///
    /// # Errors
    ///
    /// When either part would hold no window.
    pub fn split(bytes: Vec<u8>, files: usize, window: usize) -> Result<Self> {
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for start in (0..bytes.len()).step_by(HELD_OUT * BLOCK) {
            // Everything but the last block of each twenty.
            let cut = bytes.len().min(start + (HELD_OUT - 1) * BLOCK);
            let end = bytes.len().min(start + HELD_OUT * BLOCK);
            train.push(start..cut);
            held_out.push(cut..end);
        }
        train.retain(|part| part.len() >= window);
        held_out.retain(|part| part.len() >= window);
        if train.is_empty() || held_out.is_empty() {
            bail!(
                "the corpus has {} bytes; with one block in twenty held out and windows of {window} \
                 bytes it needs at least {}",
                bytes.len(),
                (HELD_OUT - 1) * BLOCK.max(window) + window
            );
        }
        Ok(Self {
            bytes,
            files,
            train,
            held_out,
        })
    }

    /// Counts the bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether there are none; never, once loaded.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Counts the files.
    pub fn files(&self) -> usize {
        self.files
    }

    /// Gives a hash of the text (FNV-1a, 64 bits), in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hasher = FnvHasher::default();
        hasher.write(&self.bytes);
        format!("{:016x}", hasher.finish())
    }

    /// Gives the bytes of a window.
    pub fn window(&self, start: usize, length: usize) -> &[u8] {
        &self.bytes[start..start + length]
    }

    /// Counts the training windows of `length` bytes.
    pub fn train_windows(&self, length: usize) -> usize {
        self.train.iter().map(|part| part.len() - length + 1).sum()
    }

    /// Finds where training window `index` of `length` bytes begins.
    pub fn train_window(&self, mut index: usize, length: usize) -> usize {
        for part in &self.train {
            let windows = part.len() - length + 1;
            if index < windows {
                return part.start + index;
            }
            index -= windows;
        }
        // Past the last one: the first, so that an index from elsewhere stays within the text.
        self.train[0].start
    }

    /// Finds where up to `count` held-out windows of `length` bytes begin, without overlap and
    /// spread evenly over the text.
    pub fn held_out_windows(&self, count: usize, length: usize) -> Vec<usize> {
        let starts: Vec<usize> = self
            .held_out
            .iter()
            .flat_map(|part| {
                let windows = part.len() / length;
                (0..windows).map(|index| part.start + index * length)
            })
            .collect();
        let count = count.min(starts.len());
        (0..count)
            .map(|index| starts[index * starts.len() / count])
            .collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("corpus {}", path.display()))
}

/// Lists the files of a text of the user's own, sorted by path.
fn user_files(path: &Path) -> Result<Vec<PathBuf>> {
    ensure!(
        path.exists(),
        "corpus {}: no such file or directory",
        path.display()
    );
    if path.is_dir() {
        return walk(path, &|_| true);
    }
    Ok(vec![path.to_owned()])
}

/// Lists the Rust files of the `burn` packages that `Cargo.lock` pins, sorted by package and path:
/// the same bytes on every machine.
fn burn_sources() -> Result<Vec<PathBuf>> {
    let mut packages: Vec<_> = metadata()?
        .packages
        .into_iter()
        .filter(|package| {
            let registry = package
                .source
                .as_ref()
                .is_some_and(|source| source.is_crates_io());
            registry && (package.name.as_str() == "burn" || package.name.starts_with("burn-"))
        })
        .collect();
    packages.sort_by_key(|package| package.name.to_string());
    let mut files = Vec::new();
    for package in packages {
        if let Some(root) = package.manifest_path.parent() {
            let rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
            files.extend(walk(root.as_std_path(), &rust)?);
        }
    }
    Ok(files)
}

/// Lists the locked packages, off line if what is downloaded suffices.
fn metadata() -> Result<cargo_metadata::Metadata> {
    let run = |options: &[&str]| {
        let mut command = MetadataCommand::new();
        command.manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        command.other_options(options.iter().map(|o| o.to_string()).collect::<Vec<_>>());
        command.exec()
    };
    // Packages for other platforms need not be there.
    let host = ["--locked", "--filter-platform", "host-tuple"];
    run(&[host.as_slice(), &["--offline"]].concat())
        .or_else(|_| run(&host))
        .context(
            "cannot list the locked packages: `cargo fetch --locked` brings what is missing, and \
             `--corpus` takes a text of your own",
        )
}

/// The files under `root` that `keep` keeps, sorted by path.
fn walk(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let place = |path: &Path| format!("corpus {}", path.display());
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| place(&folder))? {
            let path = entry.with_context(|| place(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if keep(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 129;

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn every_twentieth_block_is_held_out_and_no_window_crosses() {
        let corpus = Corpus::split(text(100 * BLOCK + 1000), 1, WINDOW).expect("long enough");
        let block = |start: usize| start / BLOCK % HELD_OUT == HELD_OUT - 1;
        let held_out = corpus.held_out_windows(usize::MAX, WINDOW);
        assert_eq!(held_out.len(), 5 * (BLOCK / WINDOW));
        for start in held_out {
            assert!(block(start) && block(start + WINDOW - 1), "{start}");
        }
        let windows = corpus.train_windows(WINDOW);
        assert_eq!(windows, 5 * (19 * BLOCK - WINDOW + 1) + 1000 - WINDOW + 1);
        for index in (0..windows).step_by(97).chain([windows - 1]) {
            let start = corpus.train_window(index, WINDOW);
            assert!(!block(start) && !block(start + WINDOW - 1), "{start}");
            assert!(start + WINDOW <= corpus.len());
        }
    }

    #[test]
    fn held_out_windows_are_spread_over_the_text() {
        let corpus = Corpus::split(text(100 * BLOCK), 1, WINDOW).expect("long enough");
        let windows = corpus.held_out_windows(5, WINDOW);
        let twenties: Vec<_> = windows
            .iter()
            .map(|start| start / BLOCK / HELD_OUT)
            .collect();
        assert_eq!(twenties, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_text_is_long_enough_from_where_the_error_says() {
        let error = Corpus::split(text(1000), 1, WINDOW).expect_err("too short");
        let error = error.to_string();
        let numbers = error.split(' ').filter_map(|word| word.parse().ok());
        let [found, window, needed] = numbers.collect::<Vec<usize>>()[..] else {
            panic!("{error}");
        };
        assert_eq!((found, window), (1000, WINDOW));
        assert!(Corpus::split(text(needed - 1), 1, WINDOW).is_err());
        assert!(Corpus::split(text(needed), 1, WINDOW).is_ok());
    }

    #[test]
    fn a_directory_is_read_in_the_order_of_its_paths() {
        let folder = tempfile::tempdir().expect("a directory");
        let write = |name: &str, byte: u8| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, vec![byte; 50_000]).expect("a file");
        };
        write("b.txt", b'b');
        write("a/z.txt", b'a');
        let corpus = Corpus::load(Some(folder.path()), WINDOW).expect("long enough");
        assert_eq!((corpus.len(), corpus.files()), (100_000, 2));
        assert_eq!(corpus.window(0, 2), b"aa");
        assert_eq!(corpus.window(50_000, 2), b"bb");
    }

    #[test]
    fn a_wrong_corpus_is_named() {
        let folder = tempfile::tempdir().expect("a directory");
        let load = |path: &Path| {
            let error = Corpus::load(Some(path), WINDOW).expect_err("wrong");
            format!("{error:#}")
        };
        let named = |path: &Path, problem: &str| format!("corpus {}: {problem}", path.display());
        let missing = folder.path().join("missing");
        assert_eq!(load(&missing), named(&missing, "no such file or directory"));
        assert_eq!(load(folder.path()), named(folder.path(), "no text in it"));
        let empty = folder.path().join("empty");
        fs::write(&empty, "").expect("a file");
        assert_eq!(load(&empty), named(&empty, "no text in it"));
        // A link to itself is there to be listed, and cannot be opened by anyone.
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&link, &link).expect("a link");
            let error = load(folder.path());
            assert!(error.starts_with(&named(&link, "")), "{error}");
        }
    }

    #[test]
    fn the_default_text_is_the_locked_sources_of_burn() {
        let files = burn_sources().expect("the packages are there");
        let packages = |name: &str| {
            files
                .iter()
                .any(|file| file.to_string_lossy().contains(name))
        };
        assert!(packages("burn-core-0.") && packages("burn-0.") && !packages("burn-grow"));
        assert!(
            files
                .iter()
                .all(|file| file.extension().is_some_and(|e| e == "rs"))
        );
    }
}
