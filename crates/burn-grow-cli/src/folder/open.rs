//! Opening a folder: every tensor with its place, nothing read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::config::Config;
use super::dtype::Dtype;
use super::header::{self, Entry, Header};
use super::index::Index;
use super::{INDEX, SINGLE};
use crate::error::Error;

/// The endings of files of weights that are not read.
pub(crate) const WEIGHTS: [&str; 9] = [
    "bin",
    "pt",
    "pth",
    "ckpt",
    "gguf",
    "h5",
    "msgpack",
    "onnx",
    "safetensors",
];

/// A tensor of a folder, with its place in a file.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Index of the file.
    pub(crate) file: usize,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    pub(crate) at: u64,
    pub(crate) length: u64,
}

impl Stored {
    /// The tensor `entry` of file number `file`.
    pub(crate) fn new(file: usize, entry: Entry) -> Self {
        let Entry {
            dtype,
            shape,
            at,
            length,
        } = entry;
        Self {
            file,
            dtype,
            shape,
            at,
            length,
        }
    }

    /// Counts its bytes.
    pub fn num_bytes(&self) -> u64 {
        self.length
    }
}

/// A folder with the weights of a model.
#[derive(Debug)]
pub struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    /// The files of weights.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) tensors: BTreeMap<String, Stored>,
    /// What the first file says about itself.
    pub(crate) metadata: Map<String, Value>,
}

impl Folder {
    /// Opens the single file of the folder at `path`, or the shards that its index names, and
    /// checks every header.
    ///
    /// A single file beside an index of other files is an error: `transformers` takes the single
    /// file without a word, and which of the two is left over cannot be told. Numbers in the
    /// `metadata` of an index are not looked at, and a shard may hold more than the index names.
    ///
    /// # Errors
    ///
    /// Names the file and the tensor at fault. Nothing but headers is read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let config = Config::read(path)?;
        let (single, index) = (path.join(SINGLE), path.join(INDEX));
        let mut folder = Self {
            path: path.to_owned(),
            config,
            files: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: Map::new(),
        };
        match (single.exists(), index.exists()) {
            (_, true) => {
                let described = Index::read(&index)?;
                let others = described.files() != [SINGLE].into();
                if single.exists() && others {
                    return Err(Error::Ambiguous { single, index });
                }
                folder.add_shards(&index, &described)?;
            }
            (true, false) => folder.add(single)?,
            (false, false) => {
                return Err(Error::NoWeights {
                    found: other_weights(path)?,
                    folder: path.to_owned(),
                });
            }
        }
        if folder.tensors.is_empty() {
            return Err(Error::malformed(path, "its files hold no tensor"));
        }
        Ok(folder)
    }

    /// Returns the tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Stored> {
        &self.tensors
    }

    /// Returns the file that holds a tensor.
    pub(crate) fn file_of(&self, stored: &Stored) -> &Path {
        &self.files[stored.file]
    }

    /// Counts the bytes of all tensors.
    pub(crate) fn num_bytes(&self) -> u64 {
        self.tensors.values().map(|stored| stored.length).sum()
    }

    fn add_shards(&mut self, path: &Path, index: &Index) -> Result<(), Error> {
        for file in index.files() {
            let shard = self.path.join(file);
            if !shard.exists() {
                let index = path.to_owned();
                return Err(Error::MissingShard { index, path: shard });
            }
            self.add(shard)?;
        }
        for (tensor, file) in &index.weight_map {
            let at = self.path.join(file);
            let stored = self.tensors.get(tensor);
            if stored.is_none_or(|stored| self.files[stored.file] != at) {
                return Err(Error::Misplaced {
                    index: path.to_owned(),
                    tensor: tensor.clone(),
                    path: at,
                });
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf) -> Result<(), Error> {
        let Header { tensors, metadata } = header::read(&path)?;
        let file = self.files.len();
        if file == 0 {
            self.metadata = metadata;
        }
        for (tensor, entry) in tensors {
            let stored = Stored::new(file, entry);
            if let Some(first) = self.tensors.insert(tensor.clone(), stored) {
                let first = self.files[first.file].clone();
                let second = path;
                return Err(Error::Duplicate {
                    tensor,
                    first,
                    second,
                });
            }
        }
        self.files.push(path);
        Ok(())
    }
}

/// The files of a folder, opened to read tensors.
pub(crate) struct Reader<'a> {
    paths: &'a [PathBuf],
    files: Vec<File>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(folder: &'a Folder) -> Result<Self, Error> {
        Self::of(&folder.files)
    }

    pub(crate) fn of(paths: &'a [PathBuf]) -> Result<Self, Error> {
        let open = |path: &PathBuf| File::open(path).map_err(Error::io(path));
        Ok(Self {
            files: paths.iter().map(open).collect::<Result<_, _>>()?,
            paths,
        })
    }

    /// Returns the file that holds a tensor.
    pub(crate) fn file_of(&self, stored: &Stored) -> &Path {
        &self.paths[stored.file]
    }

    /// Reads the bytes of a tensor into `to`, which is made as long as they are.
    pub(crate) fn read(&self, stored: &Stored, to: &mut Vec<u8>) -> Result<(), Error> {
        to.resize(stored.length as usize, 0);
        self.read_stretch(stored, 0, to)
    }

    /// Reads the bytes of a tensor from number `from` on, as many as `to` has.
    pub(crate) fn read_stretch(
        &self,
        stored: &Stored,
        from: u64,
        to: &mut [u8],
    ) -> Result<(), Error> {
        let path = self.file_of(stored);
        read_at(&self.files[stored.file], to, stored.at + from).map_err(Error::io(path))
    }
}

#[cfg(unix)]
fn read_at(file: &File, to: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, to: &mut [u8], at: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(to)
}

/// The files of weights in a folder that are not the ones looked for.
fn other_weights(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if is_weights(&path)
            && let Some(name) = path.file_name()
        {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// Tells if a file holds weights, by the end of its name.
pub(crate) fn is_weights(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| WEIGHTS.contains(&ending))
}
