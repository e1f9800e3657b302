//! The check that a folder is an expansion of another one, or upcycled out of it, made again from the
//! two alone.

use std::collections::BTreeSet;

use burn_grow_core::Expansion;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::expand::{Progress, STRETCH, Stretches};
use crate::folder::{Folder, Reader};
use crate::model::{Model, NewFolder, Output};
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
    /// The tensor, or the key of `config.json`.
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

/// Compares `folder` with the one that is `made`.
///
/// # Errors
///
/// When a file cannot be read. Differences are no errors.
pub fn verify(
    made: &NewFolder<'_>,
    folder: &Folder,
    progress: &mut impl Progress,
) -> Result<Verified, Error> {
    let outputs = &made.outputs;
    let reader = Reader::new(made.folder)?;
    let found = Reader::new(folder)?;
    let mut verified = Verified::default();
    let different = |name: &str, what: String| Difference {
        name: name.into(),
        what,
    };
    progress.begin(outputs.iter().map(|output| output.length).sum());
    for output in outputs {
        match compare(&reader, output, folder, &found)? {
            None => verified.equal += 1,
            Some(what) => verified.differences.push(different(&output.name, what)),
        }
        progress.advance(output.length);
    }
    let expected: BTreeSet<&str> = outputs.iter().map(|it| it.name.as_str()).collect();
    for name in folder.tensors.keys() {
        if !expected.contains(name.as_str()) {
            let what = "no such tensor is made".into();
            verified.differences.push(different(name, what));
        }
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
            verified
                .differences
                .push(different(&format!("config.json: {key}"), what));
        }
    }
    Ok(verified)
}

/// What is different about a tensor, if anything.
fn compare(
    reader: &Reader<'_>,
    output: &Output<'_>,
    folder: &Folder,
    found: &Reader<'_>,
) -> Result<Option<String>, Error> {
    let Some(stored) = folder.tensors.get(&output.name) else {
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
