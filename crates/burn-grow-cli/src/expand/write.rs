//! Writing a new folder.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::thread;

use super::copied;
use super::journal::{self, Heading, Journal};
use super::record::Record;
use super::shards::{self, Shard};
use super::stretch::{STRETCH, Stretches};
use crate::error::Error;
use crate::folder::{CONFIG, INDEX, Reader};
use crate::model::{NewFolder, Region};
use crate::state::{GrownState, State};

/// Bytes that are written before the journal says so.
const NOTED: u64 = 256 << 20;
/// How many times as much may wait for the disk.
const AHEAD: usize = 2;

/// A new folder that is to be written.
pub struct Job<'a> {
    /// What it will hold.
    pub made: &'a NewFolder<'a>,
    /// Its place, where nothing may be.
    pub out: &'a Path,
    /// The largest file of weights, in bytes.
    pub shard_bytes: u64,
    /// Goes on with what was left by one that was interrupted.
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
    /// The bytes of all tensors of the model.
    pub bytes: u64,
    /// The tensors of the model.
    pub tensors: usize,
    /// The file with the state of the optimizer, if there is one.
    pub state: Option<String>,
    /// The file that says which coordinates are new, if there is one.
    pub region: Option<String>,
    /// Tensors that were whole already, those of the state included.
    pub resumed: usize,
    /// Files of weights in other formats, which were not copied.
    pub behind: Vec<String>,
}

impl<'a> Job<'a> {
    /// Begins a folder at `out`, with one file of weights.
    pub fn new(made: &'a NewFolder<'a>, out: &'a Path) -> Self {
        Self {
            made,
            out,
            shard_bytes: u64::MAX,
            resume: false,
        }
    }

    /// Writes the folder.
    ///
    /// Bytes go into a folder beside it with `.partial` at the end of its name, which becomes the
    /// folder once everything in it is whole and has reached the disk.
    ///
    /// # Errors
    ///
    /// When the folder exists, when an unfinished one is in the way or is made otherwise, and on
    /// errors of the file system. No folder of that name exists afterwards.
    pub fn write(&self, progress: &mut impl Progress) -> Result<Written, Error> {
        let partial = self.partial();
        let folder = self.made.folder;
        let grown = self.made.state.as_ref();
        let state = grown.map(|grown| grown.state);
        let heading = Heading::new(folder, state, self.made.record.clone(), self.shard_bytes)?;
        if self.out.exists() {
            return Err(Error::Exists {
                path: self.out.to_owned(),
            });
        }
        if self.is_inside()? {
            return Err(Error::Inside {
                path: self.out.to_owned(),
                folder: folder.path.clone(),
            });
        }
        let journal = match (partial.join(journal::FILE).exists(), self.resume) {
            (true, true) => Journal::resume(&partial, &heading)?,
            (true, false) => return Err(Error::Interrupted { path: partial }),
            // Interrupted before it began, an expansion leaves an empty folder.
            (false, _) if partial.exists() && !is_empty(&partial)? => {
                return Err(Error::Exists { path: partial });
            }
            (false, _) => {
                std::fs::create_dir_all(&partial).map_err(Error::io(&partial))?;
                Journal::begin(&partial, &heading)?
            }
        };
        let outputs = &self.made.outputs;
        let shards = shards::deal(outputs, self.shard_bytes, &folder.metadata);
        let of_state = grown.map(|GrownState { state, outputs }| {
            let tensors = outputs.iter().collect();
            (
                *state,
                [Shard::new(state.file_name(), tensors, &state.metadata)],
            )
        });
        progress.begin(self.made.all().map(|output| output.length).sum());
        let whole = journal.whole.clone();
        let resumed = whole.len();
        thread::scope(|scope| {
            let (to_disk, batches) = sync_channel(AHEAD);
            let on_disk = scope.spawn(move || note(journal, batches));
            let all = Shards {
                partial: &partial,
                whole,
                to_disk,
            };
            let mut written = all.write(&Reader::new(folder)?, &shards, progress);
            if let (Ok(()), Some((state, shard))) = (&written, &of_state) {
                written = all.write(&Reader::of(&state.files)?, shard, progress);
            }
            // Ends the thread, which may know why nothing more could be written.
            drop(all);
            let noted = on_disk.join().unwrap_or_else(|panic| resume_unwind(panic));
            noted.and(written)
        })?;
        if let Some(index) = shards::index(&shards) {
            write_json(&partial.join(INDEX), &index)?;
        }
        let behind = copied::copy(folder, state, &partial)?;
        write_json(&partial.join(CONFIG), &self.made.config)?;
        let path = partial.join(Record::FILE);
        write_text(&path, &self.made.record)?;
        if let Some(region) = &self.made.region {
            let path = partial.join(Region::FILE);
            let text = serde_json::to_string(region).map_err(Error::json(&path))?;
            write_text(&path, &(text + "\n"))?;
        }
        let journal = partial.join(journal::FILE);
        std::fs::remove_file(&journal).map_err(Error::io(&journal))?;
        std::fs::rename(&partial, self.out).map_err(Error::io(self.out))?;
        Ok(Written {
            files: shards.iter().map(|shard| shard.name.clone()).collect(),
            bytes: outputs.iter().map(|output| output.length).sum(),
            tensors: outputs.len(),
            state: state.map(State::file_name),
            region: self.made.region.as_ref().map(|_| Region::FILE.into()),
            resumed,
            behind,
        })
    }

    /// Tells if the new folder would lie in the one that it is made of.
    fn is_inside(&self) -> Result<bool, Error> {
        let real = |path: &Path| path.canonicalize().map_err(Error::io(path));
        let folder = real(&self.made.folder.path)?;
        // Folders that do not exist yet have no other name.
        let mut above = self.out.ancestors().skip(1);
        let above = above.find(|path| path.exists() || path.as_os_str().is_empty());
        let above = above.filter(|path| !path.as_os_str().is_empty());
        Ok(real(above.unwrap_or(Path::new(".")))?.starts_with(folder))
    }

    /// The folder that is written into.
    fn partial(&self) -> PathBuf {
        let mut name = self.out.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        self.out.with_file_name(name)
    }
}

/// Tensors whose bytes have been written to a file, and not yet reached the disk.
struct Batch {
    path: PathBuf,
    file: File,
    tensors: Vec<String>,
}

/// Waits for the disk, and notes what it has.
fn note(mut journal: Journal, batches: Receiver<Batch>) -> Result<(), Error> {
    for batch in batches {
        batch.file.sync_data().map_err(Error::io(&batch.path))?;
        journal.add(&batch.tensors)?;
    }
    Ok(())
}

/// The files of tensors, while they are written.
struct Shards<'a> {
    partial: &'a Path,
    /// The tensors that are whole already.
    whole: BTreeSet<String>,
    to_disk: SyncSender<Batch>,
}

impl Shards<'_> {
    fn write(
        &self,
        reader: &Reader<'_>,
        shards: &[Shard<'_>],
        progress: &mut impl Progress,
    ) -> Result<(), Error> {
        let (mut old, mut stretch) = (Vec::new(), Vec::new());
        for shard in shards {
            let path = self.partial.join(&shard.name);
            let failed = || Error::io(&path);
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(failed())?;
            file.set_len(shard.length).map_err(failed())?;
            file.write_all(&shard.header).map_err(failed())?;
            let (mut tensors, mut bytes) = (Vec::new(), 0);
            for (output, at) in &shard.tensors {
                if self.whole.contains(&output.name) {
                    progress.advance(output.length);
                    continue;
                }
                file.seek(SeekFrom::Start(*at)).map_err(failed())?;
                let made = Stretches::new(reader, output, &mut old)?;
                let mut from = 0;
                while from < output.length {
                    let length = (STRETCH as u64).min(output.length - from);
                    stretch.resize(length as usize, 0);
                    made.write(from, &mut stretch)?;
                    file.write_all(&stretch).map_err(failed())?;
                    progress.advance(length);
                    from += length;
                }
                tensors.push(output.name.clone());
                bytes += output.length;
                if bytes >= NOTED {
                    self.send(&path, &file, core::mem::take(&mut tensors))?;
                    bytes = 0;
                }
            }
            self.send(&path, &file, tensors)?;
        }
        Ok(())
    }

    /// Hands written tensors to the thread that waits for the disk.
    fn send(&self, path: &Path, file: &File, tensors: Vec<String>) -> Result<(), Error> {
        let file = file.try_clone().map_err(Error::io(path))?;
        let path = path.to_owned();
        let batch = Batch {
            path,
            file,
            tensors,
        };
        // It ends early with an error of its own, which is the one to report.
        let ended = |SendError(Batch { path, .. })| Error::Io {
            path,
            source: io::ErrorKind::BrokenPipe.into(),
        };
        self.to_disk.send(batch).map_err(ended)
    }
}

fn is_empty(folder: &Path) -> Result<bool, Error> {
    let mut entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    Ok(entries.next().is_none())
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
