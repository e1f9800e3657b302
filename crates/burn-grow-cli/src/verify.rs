//! The check that a folder is an expansion of another one, or upcycled out of it, made again from the
//! two alone.

use std::collections::{BTreeMap, BTreeSet};

use burn_grow_core::Expansion;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::expand::{Progress, STRETCH, Stretches};
use crate::folder::{Folder, Reader, Stored};
use crate::model::{Model, NewFolder, Output, Region};
use crate::state::{GrownState, State};
use crate::upcycle::Kept;

/// What a folder has in common with an expansion.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verified {
    /// The tensors that are what they should be, byte by byte.
    pub equal: usize,
    /// Everything that is not.
    pub differences: Vec<Difference>,
    /// What of the function an upcycled folder keeps, if it is one without differences.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// Something that is not what the expansion makes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The tensor, or the key of `config.json`, or the tensor of `region.json`.
    pub name: String,
    /// What is different.
    pub what: String,
}

/// Guesses the expansion that leads from `model` to `folder`, from the widths alone: by the default
/// method.
///
/// # Errors
///
/// When `folder` cannot be described by the family of `model`.
pub fn expansion_to(model: &Model, folder: Folder) -> Result<Expansion, Error> {
    let old = model.blueprint()?;
    let wide = Model::of(folder, model.family().clone(), &[])?.blueprint()?;
    let widths = wide.widths().iter();
    let grown = widths.filter(|(axis, width)| old.widths().get(axis) != Some(width));
    Ok(
        grown.fold(Expansion::default(), |expansion, (axis, width)| {
            expansion.and_to(axis.as_str(), *width)
        }),
    )
}

/// Compares `folder` with the one that is `made`: tensors and `config.json`, the file of a state if
/// one is made, and `region.json` if there is one.
///
/// # Errors
///
/// When a file cannot be read. Differences are no errors.
pub fn verify(
    made: &NewFolder<'_>,
    folder: &Folder,
    progress: &mut impl Progress,
) -> Result<Verified, Error> {
    let wide = made.state.as_ref().map(|GrownState { state, .. }| {
        let path = folder.path.join(state.file_name());
        State::open(&path)
    });
    let wide = wide.transpose()?;
    progress.begin(made.all().map(|output| output.length).sum());
    let mut verified = Verified::default();
    verified.compare(
        &Reader::new(made.folder)?,
        &made.outputs,
        &folder.tensors,
        &Reader::new(folder)?,
        progress,
    )?;
    if let (Some(GrownState { state, outputs }), Some(wide)) = (&made.state, &wide) {
        verified.compare(
            &Reader::of(&state.files)?,
            outputs,
            &wide.tensors,
            &Reader::of(&wide.files)?,
            progress,
        )?;
    }
    let config = &made.config;
    let keys: BTreeSet<&String> = config.keys().chain(folder.config.values.keys()).collect();
    for key in keys {
        let (expected, found) = (config.get(key), folder.config.values.get(key));
        if expected != found {
            let text = |value: Option<&Value>| match value {
                Some(value) => value.to_string(),
                None => "missing".into(),
            };
            let what = format!("is {}, expected {}", text(found), text(expected));
            verified.add(&format!("config.json: {key}"), what);
        }
    }
    let region = folder.path.join(Region::FILE);
    if let Some(expected) = made.region.as_ref().filter(|_| region.exists()) {
        verified.compare_regions(expected, &Region::read(&region)?);
    }
    Ok(verified)
}

impl Verified {
    fn add(&mut self, name: &str, what: String) {
        let name = name.into();
        self.differences.push(Difference { name, what });
    }

    /// Compares the tensors of a file with what is made of those that `reader` reads.
    fn compare(
        &mut self,
        reader: &Reader<'_>,
        outputs: &[Output<'_>],
        tensors: &BTreeMap<String, Stored>,
        found: &Reader<'_>,
        progress: &mut impl Progress,
    ) -> Result<(), Error> {
        for output in outputs {
            match compare(reader, output, tensors, found)? {
                None => self.equal += 1,
                Some(what) => self.add(&output.name, what),
            }
            progress.advance(output.length);
        }
        let expected: BTreeSet<&str> = outputs.iter().map(|it| it.name.as_str()).collect();
        for name in tensors.keys() {
            if !expected.contains(name.as_str()) {
                self.add(name, "no such tensor is made".into());
            }
        }
        Ok(())
    }

    fn compare_regions(&mut self, expected: &Region, found: &Region) {
        let names = expected.tensors.keys().chain(found.tensors.keys());
        for name in names.collect::<BTreeSet<_>>() {
            if expected.tensors.get(name) != found.tensors.get(name) {
                let what = "other coordinates of it are new".into();
                self.add(&format!("{}: {name}", Region::FILE), what);
            }
        }
    }
}

/// What is different about a tensor, if anything.
fn compare(
    reader: &Reader<'_>,
    output: &Output<'_>,
    tensors: &BTreeMap<String, Stored>,
    found: &Reader<'_>,
) -> Result<Option<String>, Error> {
    let Some(stored) = tensors.get(&output.name) else {
        return Ok(Some("is missing".into()));
    };
    if stored.dtype != *output.dtype || stored.shape != output.shape {
        return Ok(Some(format!(
            "is {} of shape {:?}, expected {} of shape {:?}",
            stored.dtype, stored.shape, output.dtype, output.shape
        )));
    }
    let mut old = Vec::new();
    let made = Stretches::new(reader, output, &mut old)?;
    let (mut wanted, mut got) = (Vec::new(), Vec::new());
    let mut at = 0;
    let (mut count, mut first) = (0, None);
    let size = (stored.dtype.bits() / 8).max(1);
    while at < stored.length {
        let length = (stored.length - at).min(STRETCH as u64) as usize;
        wanted.resize(length, 0);
        got.resize(length, 0);
        made.write(at, &mut wanted)?;
        found.read_stretch(stored, at, &mut got)?;
        if wanted != got {
            let elements = wanted.chunks(size).zip(got.chunks(size)).enumerate();
            for (index, (wanted, got)) in elements {
                if wanted != got {
                    count += 1;
                    first.get_or_insert(at / size as u64 + index as u64);
                }
            }
        }
        at += length as u64;
    }
    Ok(first.map(|first| format!("{count} of its numbers differ, the first is number {first}")))
}
