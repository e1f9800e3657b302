//! Writing an expanded folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn_grow_core::Expansion;
use serde_json::Value;

use super::copied;
use super::journal::{self, Heading, Journal};
use super::record::Record;
use super::shards::{self, Shard};
use super::stretch::{STRETCH, Stretches};
use crate::error::Error;
use crate::folder::{CONFIG, INDEX, Reader};
use crate::model::Growth;

/// Bytes that are written before the journal says so.
const NOTED: u64 = 256 << 20;

/// An expanded folder that is to be written.
pub struct Job<'a> {
    /// The planned expansion.
    pub growth: &'a Growth<'a>,
    /// The expansion.
    pub expansion: &'a Expansion,
    /// The folder, which must not exist.
    pub out: &'a Path,
    /// The largest file of weights, in bytes.
    pub shard_bytes: u64,
    /// Goes on with what an interrupted expansion has left.
    pub resume: bool,
}

/// Who is told how far an expansion is.
pub trait Progress {
    /// Begins: so many bytes are to be written.
    fn begin(&mut self, bytes: u64);
    /// More bytes have been written.
    fn advance(&mut self, bytes: u64);
}

impl Progress for () {
    fn begin(&mut self, _bytes: u64) {}
    fn advance(&mut self, _bytes: u64) {}
}

/// What was written.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Written {
    /// The files of weights.
    pub files: Vec<String>,
    /// The bytes of all tensors.
    pub bytes: u64,
    /// The tensors.
    pub tensors: usize,
    /// Those that were whole already.
    pub resumed: usize,
    /// Files of weights in other formats, which were not copied.
    pub behind: Vec<String>,
}

impl Job<'_> {
    /// Writes the folder.
    ///
    /// Bytes go into a folder beside it with `.partial` at the end of its name, which becomes the
    /// folder once everything in it is whole and has reached the disk.
    ///
    /// # Errors
    ///
    /// When the folder exists, when an unfinished one is in the way or is of another expansion, and
    /// on errors of the file system. No folder of that name exists afterwards.
    pub fn write(&self, progress: &mut impl Progress) -> Result<Written, Error> {
        let partial = self.partial();
        let record = Record::of(self.growth, self.expansion);
        let folder = &self.growth.model.folder;
        let heading = Heading::new(folder, record, self.shard_bytes)?;
        if self.out.exists() {
            return Err(Error::Exists {
                path: self.out.to_owned(),
            });
        }
        let mut journal = match (partial.join(journal::FILE).exists(), self.resume) {
            (true, true) => Journal::resume(&partial, &heading)?,
            (true, false) => return Err(Error::Interrupted { path: partial }),
            (false, _) if partial.exists() => return Err(Error::Exists { path: partial }),
            (false, _) => {
                std::fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
                Journal::begin(&partial, &heading)?
            }
        };
        let outputs = self.growth.outputs();
        let shards = shards::deal(&outputs, self.shard_bytes, &folder.metadata);
        progress.begin(outputs.iter().map(|output| output.length).sum());
        let reader = Reader::new(folder)?;
        let resumed = journal.whole.len();
        for shard in &shards {
            self.write_shard(&partial, shard, &reader, &mut journal, progress)?;
        }
        if let Some(index) = shards::index(&shards) {
            write_json(&partial.join(INDEX), &index)?;
        }
        let behind = copied::copy(folder, &partial)?;
        write_json(&partial.join(CONFIG), &Value::Object(self.growth.config()))?;
        let path = partial.join(Record::FILE);
        write_text(&path, &heading.record.text())?;
        let journal = partial.join(journal::FILE);
        std::fs::remove_file(&journal).map_err(Error::io(&journal))?;
        std::fs::rename(&partial, self.out).map_err(Error::io(self.out))?;
        Ok(Written {
            files: shards.iter().map(|shard| shard.name.clone()).collect(),
            bytes: outputs.iter().map(|output| output.length).sum(),
            tensors: outputs.len(),
            resumed,
            behind,
        })
    }

    /// The folder that is written into.
    fn partial(&self) -> PathBuf {
        let mut name = self.out.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        self.out.with_file_name(name)
    }

    fn write_shard(
        &self,
        partial: &Path,
        shard: &Shard<'_>,
        reader: &Reader<'_>,
        journal: &mut Journal,
        progress: &mut impl Progress,
    ) -> Result<(), Error> {
        let path = partial.join(&shard.name);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io(&path))?;
        let sized = file.set_len(shard.length);
        let headed = sized.and_then(|()| file.write_all(&shard.header));
        headed.map_err(Error::io(&path))?;
        let (mut noted, mut bytes) = (Vec::new(), 0);
        let (mut old, mut stretch) = (Vec::new(), Vec::new());
        for (output, at) in &shard.tensors {
            if journal.whole.contains(&output.name) {
                progress.advance(output.length);
                continue;
            }
            file.seek(SeekFrom::Start(*at)).map_err(Error::io(&path))?;
            let made = Stretches::new(self.growth, reader, output, &mut old)?;
            let mut from = 0;
            while from < output.length {
                let length = (STRETCH as u64).min(output.length - from);
                stretch.resize(length as usize, 0);
                made.write(from, &mut stretch)?;
                file.write_all(&stretch).map_err(Error::io(&path))?;
                progress.advance(length);
                from += length;
            }
            noted.push(output.name.as_str());
            bytes += output.length;
            if bytes >= NOTED {
                file.sync_data().map_err(Error::io(&path))?;
                journal.add(&noted)?;
                noted.clear();
                bytes = 0;
            }
        }
        file.sync_all().map_err(Error::io(&path))?;
        journal.add(&noted)
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(Error::json(path))?;
    write_text(path, &(text + "\n"))
}

fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(Error::io(path))
}
