//! Tensors that a model has once and uses twice.

use std::collections::{BTreeMap, BTreeSet};

use burn_grow_core::Plan;
use burn_grow_core::describe::{Axis, RoleKind};

use super::params::Parameter;
use crate::error::Error;
use crate::family::{Family, Tied};
use crate::folder::config::Config;
use crate::folder::{Folder, Reader, Stored};

/// How many bytes of two tensors are compared at a time.
const STRETCH: usize = 1 << 20;

/// What is tied in a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tie {
    /// The key of `config.json` that says so, if it does.
    pub(crate) flag: Option<String>,
    /// The tensor whose numbers are used, by the name of the one that uses them.
    pairs: BTreeMap<String, String>,
    /// Tensors that the folder has though they are tied, and equal.
    copies: BTreeSet<String>,
    /// A tensor that the folder has though it is tied, and that is another.
    pub(crate) different: Option<String>,
    /// A tensor with the short name that it has in a model without a second use of it.
    pub(super) short: Option<String>,
}

impl Tie {
    /// The tied tensors, each with the one that it is.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.pairs.iter();
        pairs.map(|(tensor, source)| (tensor.as_str(), source.as_str()))
    }

    /// The tensors of the folder that are no parameters of their own.
    pub(super) fn left_out(&self) -> &BTreeSet<String> {
        &self.copies
    }
}

/// Reads what is tied. A tied tensor that the folder has all the same stays tied if it is equal,
/// and unties the model if it is not.
pub(super) fn read(folder: &Folder, family: &Family) -> Result<Tie, Error> {
    let Some(tied) = &family.tied else {
        return Ok(Tie::default());
    };
    if !folder.config.flag(&tied.flag)?.unwrap_or(tied.default) || !applies(folder, tied) {
        return Ok(Tie::default());
    }
    let mut tie = Tie {
        flag: Some(tied.flag.clone()),
        ..Tie::default()
    };
    for (tensor, source) in &tied.tensors {
        let mut sources = folder.tensors.iter();
        let Some((name, first)) = sources.find(|(name, _)| source.find(name).is_some()) else {
            continue;
        };
        if source.is_short(name) {
            tie.short = Some(name.clone());
        }
        if let Some(second) = folder.tensors.get(tensor) {
            if !equal(folder, first, second)? {
                tie.different = Some(tensor.clone());
            }
            tie.copies.insert(tensor.clone());
        }
        tie.pairs.insert(tensor.clone(), name.clone());
    }
    if tie.different.is_some() {
        // Then everything that the folder has is a parameter of its own.
        tie.copies.clear();
        tie.pairs
            .retain(|tensor, _| !folder.tensors.contains_key(tensor));
    }
    Ok(tie)
}

/// What becomes of tied tensors where the model grows.
pub(super) enum Tying {
    /// They stay tied, and nothing has to make up for it.
    Stays,
    /// They stay tied, and a key of `config.json` gets the factor of the second use.
    Multiplied(ByKey),
    /// They are untied: `path` reads `axis`, and no key has the factor.
    Unties { path: String, axis: Axis },
}

/// A factor that a key of `config.json` gets.
pub(super) struct ByKey {
    pub(super) key: String,
    /// The value of the key.
    pub(super) value: f64,
    /// What is said about it.
    pub(super) note: String,
}

impl Tying {
    /// Tells what becomes of `untied`, the second uses as tensors of their own, by `plan`.
    pub(super) fn of(
        untied: &[Parameter],
        plan: &Plan,
        tied: Option<&Tied>,
        config: &Config,
    ) -> Result<Self, Error> {
        let reads = untied.iter().flat_map(|param| {
            let parts = param.roles.iter().flatten().flat_map(|role| &role.parts);
            let read = parts.filter(|part| part.kind == RoleKind::FanIn);
            let axes = read.flat_map(|part| part.axes());
            axes.map(|axis| (param.path.as_str(), axis))
        });
        let growing = reads.filter_map(|(path, axis)| {
            let planned = plan.axis(axis).filter(|planned| planned.grows())?;
            Some((path, axis, planned))
        });
        let growing: Vec<_> = growing.collect();
        let Some((path, axis, _)) = growing.first() else {
            return Ok(Self::Stays);
        };
        let mut factors = growing.iter().map(|(_, _, planned)| planned.tied_factor());
        let factor = factors.try_fold(1.0, |product, factor| Some(product * factor?));
        let stored = tied.and_then(|tied| tied.factor.as_ref());
        let (Some(factor), Some(stored)) = (factor, stored) else {
            return Ok(Self::Unties {
                path: (*path).into(),
                axis: (*axis).clone(),
            });
        };
        if factor == 1.0 {
            return Ok(Self::Stays);
        }
        let old = config.number(&stored.key)?.unwrap_or(stored.default);
        Ok(Self::Multiplied(ByKey {
            key: stored.key.clone(),
            value: match stored.divides {
                true => old / factor,
                false => old * factor,
            },
            note: format!(
                "tied as before: `{}` has the factor of {factor:.4} on what `{path}` makes of \
                 `{axis}`",
                stored.key
            ),
        }))
    }
}

/// Tells if the model of the folder is of a class that uses the tensors twice.
fn applies(folder: &Folder, tied: &Tied) -> bool {
    let named = folder.config.architectures();
    let listed = |class: &&str| tied.architectures.iter().any(|it| it == class);
    tied.architectures.is_empty() || named.is_empty() || named.iter().any(listed)
}

/// Compares two tensors byte by byte.
fn equal(folder: &Folder, one: &Stored, other: &Stored) -> Result<bool, Error> {
    if one.dtype != other.dtype || one.shape != other.shape {
        return Ok(false);
    }
    let reader = Reader::new(folder)?;
    let mut buffers = [vec![0; STRETCH], vec![0; STRETCH]];
    let mut at = 0;
    while at < one.length {
        let length = STRETCH.min((one.length - at) as usize);
        let [first, second] = &mut buffers;
        reader.read_stretch(one, at, &mut first[..length])?;
        reader.read_stretch(other, at, &mut second[..length])?;
        if first[..length] != second[..length] {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}
