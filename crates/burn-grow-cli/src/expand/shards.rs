//! Which file of the expanded folder holds which tensor, and where: known before anything is made.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::folder::index::Index;
use crate::folder::{SINGLE, header};
use crate::model::Output;

/// A file of weights that is to be written.
pub(super) struct Shard<'a> {
    pub(super) name: String,
    pub(super) header: Vec<u8>,
    /// Its tensors in their order, each with where it begins.
    pub(super) tensors: Vec<(&'a Output<'a>, u64)>,
    /// Bytes of the whole file.
    pub(super) length: u64,
}

/// Deals tensors out to files of at most `limit` bytes each. A tensor that is larger has a file of
/// its own.
pub(super) fn deal<'a>(
    outputs: &'a [Output<'a>],
    limit: u64,
    metadata: &Map<String, Value>,
) -> Vec<Shard<'a>> {
    let mut dealt: Vec<Vec<&Output<'_>>> = Vec::new();
    let mut bytes = 0_u64;
    for output in outputs {
        match dealt.last_mut() {
            Some(last) if bytes.saturating_add(output.length) <= limit => last.push(output),
            _ => {
                bytes = 0;
                dealt.push(vec![output]);
            }
        }
        bytes += output.length;
    }
    let count = dealt.len();
    let shards = dealt.into_iter().enumerate().map(|(index, outputs)| {
        let name = match count {
            1 => SINGLE.into(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        Shard::new(name, outputs, metadata)
    });
    shards.collect()
}

impl<'a> Shard<'a> {
    /// The file `name` with these tensors.
    pub(super) fn new(
        name: String,
        outputs: Vec<&'a Output<'a>>,
        metadata: &Map<String, Value>,
    ) -> Self {
        let entries = outputs.iter().map(|output| {
            let shape = output.shape.as_slice();
            (output.name.as_str(), output.dtype, shape, output.length)
        });
        let (header, places) = header::write(entries, metadata);
        let bytes: u64 = outputs.iter().map(|output| output.length).sum();
        Self {
            name,
            length: header.len() as u64 + bytes,
            header,
            tensors: outputs.into_iter().zip(places).collect(),
        }
    }
}

/// The index of the shards; `None` if there is one file only.
pub(super) fn index(shards: &[Shard<'_>]) -> Option<Index> {
    if shards.len() == 1 {
        return None;
    }
    let mut bytes = 0;
    let mut files = BTreeMap::new();
    for shard in shards {
        for (output, _) in &shard.tensors {
            bytes += output.length;
            files.insert(output.name.clone(), shard.name.clone());
        }
    }
    Some(Index::new(bytes, files))
}
