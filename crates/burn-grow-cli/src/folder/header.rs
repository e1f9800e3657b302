//! The header of a safetensors file: read and checked, and written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::dtype::Dtype;
use crate::error::Error;

/// The largest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// The key of a header that is no tensor.
const METADATA: &str = "__metadata__";

/// A tensor in the header of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Where its bytes begin in the file, and how many there are.
    pub(crate) at: u64,
    pub(crate) length: u64,
}

/// A header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) tensors: BTreeMap<String, Entry>,
    /// What the file says about itself.
    pub(crate) metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Reads the header of the file at `path` and checks it against the file's length.
///
/// Every tensor has to have the bytes that its type and shape ask for, and together they have to be
/// the file, without holes: what `transformers` checks, too.
pub(crate) fn read(path: &Path) -> Result<Header, Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let metadata = file.metadata().map_err(Error::io(path))?;
    if !metadata.is_file() {
        return Err(Error::malformed(path, "it is no file"));
    }
    parse(file, metadata.len(), path)
}

/// Reads a header from the beginning of a file of `length` bytes. `path` is for messages.
pub(crate) fn parse(mut file: impl Read, length: u64, path: &Path) -> Result<Header, Error> {
    let malformed = |message: String| Error::malformed(path, message);
    let truncated = |part: &str, expected: u64| Error::Truncated {
        path: path.to_owned(),
        part: part.into(),
        expected,
        found: length,
    };
    if length < 8 {
        return Err(truncated("its header", 8));
    }
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(Error::io(path))?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        let message = format!("its header says that it has {size} bytes, at most {MAX_HEADER} are");
        return Err(malformed(format!(
            "{message} allowed: this is no safetensors file"
        )));
    }
    let start = 8 + size;
    if length < start {
        return Err(truncated("its header", start));
    }
    let mut text = Vec::new();
    file.take(size)
        .read_to_end(&mut text)
        .map_err(Error::io(path))?;
    let mut entries: BTreeMap<String, Value> =
        serde_json::from_slice(&text).map_err(|error| malformed(format!("its header: {error}")))?;
    let metadata = match entries.remove(METADATA) {
        Some(Value::Object(metadata)) => metadata,
        // Some writers leave it empty.
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(malformed(format!("`{METADATA}` is no object"))),
    };
    let mut tensors = BTreeMap::new();
    for (tensor, value) in entries {
        let entry = entry(value, start).map_err(|message| Error::Tensor {
            path: path.to_owned(),
            tensor: tensor.clone(),
            message,
        })?;
        tensors.insert(tensor, entry);
    }
    check_places(&tensors, start, length, path)?;
    Ok(Header { tensors, metadata })
}

fn entry(value: Value, start: u64) -> Result<Entry, String> {
    let info: Info = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let Some(dtype) = Dtype::named(&info.dtype) else {
        return Err(format!("its type `{}` is unknown", info.dtype));
    };
    let (begin, end) = info.data_offsets;
    let Some(length) = end.checked_sub(begin) else {
        return Err(format!("it ends at {end}, before it begins at {begin}"));
    };
    let mut sizes = info.shape.iter();
    let elements = sizes.try_fold(1_u64, |product, size| product.checked_mul(*size as u64));
    let bits = elements.and_then(|elements| elements.checked_mul(dtype.bits() as u64));
    let expected = bits
        .filter(|bits| bits.is_multiple_of(8))
        .map(|bits| bits / 8);
    if expected != Some(length) {
        return Err(format!(
            "shape {:?} of {dtype} does not have the {length} bytes that its place has",
            info.shape
        ));
    }
    let at = start.checked_add(begin);
    Ok(Entry {
        dtype,
        shape: info.shape,
        at: at.ok_or_else(|| format!("it begins at {begin}, beyond any file"))?,
        length,
    })
}

/// Checks that the tensors follow one another and end where the file ends.
fn check_places(
    tensors: &BTreeMap<String, Entry>,
    start: u64,
    length: u64,
    path: &Path,
) -> Result<(), Error> {
    let mut places: Vec<_> = tensors.iter().collect();
    places.sort_by_key(|(_, entry)| (entry.at, entry.length));
    let mut end = start;
    for (tensor, entry) in places {
        if entry.at != end {
            let what = match entry.at < end {
                true => "it overlaps the one before it",
                false => "there is a hole before it",
            };
            return Err(Error::Tensor {
                path: path.to_owned(),
                tensor: tensor.clone(),
                message: format!("{what}: it begins at {}, expected {end}", entry.at),
            });
        }
        end = entry.at.saturating_add(entry.length);
        if end > length {
            return Err(Error::Truncated {
                path: path.to_owned(),
                part: format!("tensor `{tensor}`"),
                expected: end,
                found: length,
            });
        }
    }
    if end < length {
        let message = format!("its tensors end at {end}, and the file at {length}");
        return Err(Error::malformed(path, message));
    }
    Ok(())
}

/// Writes a header for `tensors` in this order. Returns its bytes, with their number in front, and
/// where every tensor begins in the file.
pub(crate) fn write<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Dtype, &'a [usize], u64)>,
    metadata: &Map<String, Value>,
) -> (Vec<u8>, Vec<u64>) {
    let mut entries = Map::new();
    if !metadata.is_empty() {
        entries.insert(METADATA.into(), Value::Object(metadata.clone()));
    }
    let mut places = Vec::new();
    let mut end = 0;
    for (tensor, dtype, shape, length) in tensors {
        places.push(end);
        let offsets = [end, end + length];
        end += length;
        let entry = json!({"dtype": dtype.to_string(), "shape": shape, "data_offsets": offsets});
        entries.insert(tensor.into(), entry);
    }
    let mut text = Value::Object(entries).to_string().into_bytes();
    // The first tensor begins at a multiple of eight.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    let start = header.len() as u64;
    (header, places.iter().map(|place| start + place).collect())
}
