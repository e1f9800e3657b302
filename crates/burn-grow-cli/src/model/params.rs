//! The tensors of a folder as the parameters of a model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn_grow_core::describe::{Axis, Role};

use super::keys::{self, Number};
use super::natural;
use super::tied::{self, Tie};
use crate::error::Error;
use crate::family::{self, Family, Found, is_dimension};
use crate::folder::{Dtype, Folder};

/// A model in a folder, read by its family.
#[derive(Debug)]
pub struct Model {
    pub(crate) folder: Folder,
    pub(crate) family: Family,
    pub(super) numbers: Vec<Number>,
    /// By their paths, in the order of the table of a plan.
    pub(super) params: Vec<Parameter>,
    pub(crate) tie: Tie,
}

/// What is one parameter to a plan: a tensor, or tensors that are numbered along an axis.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    /// Name of the tensor, with `{axis}` in place of the number along an axis.
    pub(crate) path: String,
    /// The tensors that hold the numbers, by name, in the order of the axis.
    pub(crate) tensors: Vec<String>,
    /// The axis that numbers them, if they are numbered.
    pub(crate) numbered: Option<Axis>,
    pub(crate) shape: Vec<usize>,
    pub(crate) roles: Vec<Option<Role>>,
    /// The blocks of stacks that it is in: the axis, where its number stands, and the number.
    pub(crate) blocks: Vec<(Axis, String, usize)>,
    /// The axis by whose root the model multiplies it.
    pub(crate) root_of: Option<Axis>,
}

impl Model {
    /// Opens the folder at `path`. The family is that of `family`, a file, or the one that comes
    /// with the program. Floats named in `keep` are carried over though the family does not know
    /// them.
    ///
    /// # Errors
    ///
    /// Names the file and the tensor or key at fault.
    pub fn open(path: &Path, family: Option<&Path>, keep: &[String]) -> Result<Self, Error> {
        let folder = Folder::open(path)?;
        let family = match family {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
                Family::parse(&file.display().to_string(), &text)?
            }
            None => family::find(&folder)?,
        };
        Self::of(folder, family, keep)
    }

    /// Reads a folder by a family.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn of(folder: Folder, family: Family, keep: &[String]) -> Result<Self, Error> {
        reject_quantized(&folder)?;
        let numbers = keys::read(&family, &folder.config)?;
        let tie = tied::read(&folder, &family)?;
        let mut params = Params {
            folder: &folder,
            family: &family,
            keep,
            found: BTreeMap::new(),
        };
        let left_out = tie.left_out();
        for tensor in folder.tensors.keys().filter(|it| !left_out.contains(*it)) {
            params.add(tensor, tensor)?;
        }
        let params = params.finish()?;
        Ok(Self {
            folder,
            family,
            numbers,
            params,
            tie,
        })
    }

    /// Returns the family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The tensors that are used twice, with their second names.
    pub(crate) fn tied(&self) -> BTreeMap<String, String> {
        let pairs = self.tie.pairs();
        pairs
            .map(|(tensor, source)| (source.into(), tensor.into()))
            .collect()
    }

    /// The parameters as the file is: what is tied is one, unless the file unties it.
    pub(crate) fn params_of_file(&self) -> Result<Vec<Parameter>, Error> {
        match self.tie.different {
            Some(_) => self.params_untied(),
            None => Ok(self.params.clone()),
        }
    }

    /// The parameters once nothing is tied.
    pub(super) fn params_untied(&self) -> Result<Vec<Parameter>, Error> {
        let mut params = self.params.clone();
        params.extend(self.untied()?);
        params.sort_by(|one, other| natural::compare(&one.path, &other.path));
        Ok(params)
    }

    /// The parameters that hold the second use of tied tensors once they are untied.
    pub(super) fn untied(&self) -> Result<Vec<Parameter>, Error> {
        let mut params = Params {
            folder: &self.folder,
            family: &self.family,
            keep: &[],
            found: BTreeMap::new(),
        };
        for (tensor, source) in self.tie.pairs() {
            params.add(tensor, source)?;
        }
        params.finish()
    }
}

struct Params<'a> {
    folder: &'a Folder,
    family: &'a Family,
    keep: &'a [String],
    /// By path, with the tensors of each by number.
    found: BTreeMap<String, (Parameter, BTreeMap<usize, String>)>,
}

impl Params<'_> {
    /// Adds the tensor `name`, whose numbers are those of the stored tensor `source`.
    fn add(&mut self, name: &str, source: &str) -> Result<(), Error> {
        let stored = &self.folder.tensors[source];
        let (kind, found) = match self.kind(name)? {
            Some((kind, found)) => (Some(kind), found),
            None => {
                let kept = self.kept(name);
                if kept.is_none() && matches!(stored.dtype, Dtype::Float(_)) {
                    return Err(self.undescribed(name, source));
                }
                (None, kept.unwrap_or_default())
            }
        };
        let unknown = vec![None; stored.shape.len()];
        let mut roles = match kind {
            Some(kind) => self.family.tensors[kind].1.clone(),
            None => unknown.clone(),
        };
        let mut path = name.to_owned();
        let mut numbered = None;
        let mut blocks = Vec::new();
        for (axis, number, at) in found.numbers.into_iter().rev() {
            if is_dimension(&axis, &roles) {
                path.replace_range(at, &format!("{{{axis}}}"));
                numbered = Some((axis, number));
            } else {
                // The dot before the number belongs to neither.
                let stack = name[..at.start].trim_end_matches('.').to_owned();
                blocks.insert(0, (axis, stack, number));
            }
        }
        let expected = roles.len() - usize::from(numbered.is_some());
        if expected != stored.shape.len() {
            return Err(Error::Rank {
                path: self.folder.file_of(stored).to_owned(),
                tensor: name.into(),
                shape: stored.shape.clone(),
                family: self.family.name.clone(),
                expected,
            });
        }
        if !matches!(stored.dtype, Dtype::Float(_)) && kind.is_some() {
            if roles.iter().any(Option::is_some) {
                return Err(Error::Tensor {
                    path: self.folder.file_of(stored).to_owned(),
                    tensor: name.into(),
                    message: format!(
                        "it is {}, and only floats can grow, as family `{}` says it does",
                        stored.dtype, self.family.name
                    ),
                });
            }
            roles = unknown;
        }
        let mut root_of = self.family.root_of.iter();
        let root_of = root_of.find(|(other, _)| other.find(name).is_some());
        let number = numbered.as_ref().map_or(0, |(_, number)| *number);
        let param = Parameter {
            path: path.clone(),
            tensors: Vec::new(),
            numbered: numbered.map(|(axis, _)| axis),
            shape: stored.shape.clone(),
            roles,
            blocks,
            root_of: root_of.map(|(_, axis)| axis.clone()),
        };
        let (param, tensors) = self
            .found
            .entry(path)
            .or_insert_with(|| (param, BTreeMap::new()));
        if param.shape != stored.shape {
            return Err(Error::Tensor {
                path: self.folder.file_of(stored).to_owned(),
                tensor: name.into(),
                message: format!(
                    "its shape is {:?}, and that of others of `{}` is {:?}",
                    stored.shape, param.path, param.shape
                ),
            });
        }
        tensors.insert(number, source.to_owned());
        Ok(())
    }

    /// The entry of the family that describes a tensor.
    fn kind(&self, name: &str) -> Result<Option<(usize, Found)>, Error> {
        let kinds = self.family.tensors.iter().enumerate();
        let mut found = kinds.filter_map(|(kind, (names, _))| Some((kind, names.find(name)?)));
        let first = found.next();
        if let (Some((first, _)), Some((second, _))) = (&first, found.next()) {
            let text = |kind: usize| self.family.tensors[kind].0.text();
            return Err(Error::Family {
                family: self.family.name.clone(),
                place: text(*first).into(),
                message: format!("`{name}` is also one of `{}`", text(second)),
            });
        }
        Ok(first)
    }

    /// The numbers of a buffer that is carried over.
    fn kept(&self, name: &str) -> Option<Found> {
        let mut kept = self.family.kept.iter();
        let found = kept.find_map(|kept| kept.find(name));
        let asked = || self.keep.iter().any(|keep| keep == name);
        found.or_else(|| asked().then(Found::default))
    }

    fn undescribed(&self, name: &str, source: &str) -> Error {
        let stored = &self.folder.tensors[source];
        Error::Undescribed {
            path: self.folder.file_of(stored).to_owned(),
            tensor: name.into(),
            shape: stored.shape.clone(),
            family: self.family.name.clone(),
        }
    }

    /// Orders the parameters, and checks that none is missing.
    fn finish(self) -> Result<Vec<Parameter>, Error> {
        let mut params = Vec::new();
        for (_, (mut param, tensors)) in self.found {
            if let Some(axis) = &param.numbered {
                let numbers = 0..=tensors.keys().next_back().copied().unwrap_or_default();
                if let Some(gap) = numbers.clone().find(|number| !tensors.contains_key(number)) {
                    let other = tensors.into_values().next().unwrap_or_default();
                    let tensor = param.path.replace(&format!("{{{axis}}}"), &gap.to_string());
                    return Err(Error::Missing { tensor, other });
                }
                param.shape.insert(0, tensors.len());
            }
            param.tensors = tensors.into_values().collect();
            params.push(param);
        }
        check_numbers(&params)?;
        if !self.family.unlike_blocks {
            check_blocks(&params)?;
        }
        params.sort_by(|one, other| natural::compare(&one.path, &other.path));
        Ok(params)
    }
}

/// Checks that the blocks of every stack are numbered from zero on.
fn check_numbers(params: &[Parameter]) -> Result<(), Error> {
    let mut stacks: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
    for param in params {
        for (_, stack, block) in &param.blocks {
            stacks.entry(stack).or_default().insert(*block, &param.path);
        }
    }
    for (stack, blocks) in stacks {
        let mut numbered = blocks.iter().enumerate();
        if let Some((gap, (_, other))) = numbered.find(|(number, (block, _))| number != *block) {
            return Err(Error::Missing {
                tensor: format!("{stack}.{gap}"),
                other: (*other).into(),
            });
        }
    }
    Ok(())
}

/// Checks that every block of a stack has the tensors that others have.
fn check_blocks(params: &[Parameter]) -> Result<(), Error> {
    type Place<'a> = (&'a str, String);
    let mut blocks: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut inside: BTreeMap<Place<'_>, BTreeMap<usize, &str>> = BTreeMap::new();
    for param in params {
        if let [(_, stack, block)] = param.blocks.as_slice() {
            blocks.entry(stack).or_default().insert(*block);
            let rest = &param.path[stack.len() + 1 + block.to_string().len()..];
            let found = inside.entry((stack, rest.to_owned())).or_default();
            found.insert(*block, &param.path);
        }
    }
    for ((stack, rest), found) in inside {
        let missing = blocks[stack]
            .iter()
            .find(|block| !found.contains_key(block));
        if let (Some(block), Some(other)) = (missing, found.values().next()) {
            return Err(Error::Missing {
                tensor: format!("{stack}.{block}{rest}"),
                other: (*other).into(),
            });
        }
    }
    Ok(())
}

/// Rejects folders whose weights are quantized.
fn reject_quantized(folder: &Folder) -> Result<(), Error> {
    let declared = folder.config.value("quantization_config").is_some();
    let quantized = |dtype: &Dtype| match dtype {
        Dtype::Float(_) => false,
        Dtype::Other(..) => dtype.is_quantized() || declared && dtype.may_be_packed(),
    };
    let mut tensors = folder.tensors.iter();
    match tensors.find(|(_, stored)| quantized(&stored.dtype)) {
        None => Ok(()),
        Some((tensor, stored)) => Err(Error::Quantized {
            path: folder.file_of(stored).to_owned(),
            tensor: tensor.clone(),
            dtype: stored.dtype.to_string(),
        }),
    }
}
