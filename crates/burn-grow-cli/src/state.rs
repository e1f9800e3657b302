//! The state of an optimizer in a safetensors file, expanded by the plan of its parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, suggestion};
use crate::folder::header::{self, Header};
use crate::folder::{SINGLE, Stored};
use crate::model::{Growth, Making, Output, Piece};

/// The state of an optimizer, one file.
///
/// The name of a tensor is that of its parameter with a suffix, as in
/// `model.norm.weight.exp_avg`. It has the shape of the parameter, or one coordinate where a
/// dimension is reduced, or it is one number, such as a count of steps. Parameters may lack a
/// state.
///
/// Old coordinates keep their state, new ones start from zero. Single numbers are carried over. A
/// tensor that was not there before has no state, as a parameter that was just made; one that is
/// no longer tied begins with the state of the tensor whose numbers it has.
#[derive(Debug)]
pub struct State {
    /// The file: one, as what reads tensors takes several.
    pub(crate) files: [PathBuf; 1],
    pub(crate) tensors: BTreeMap<String, Stored>,
    /// What the file says about itself.
    pub(crate) metadata: Map<String, Value>,
}

/// A state after an expansion.
pub struct GrownState<'a> {
    /// The state before.
    pub(crate) state: &'a State,
    /// The tensors after, in the order of the plan.
    pub(crate) outputs: Vec<Output<'a>>,
}

impl State {
    /// Opens the file at `path` and checks its header.
    ///
    /// # Errors
    ///
    /// Names the tensor at fault. Nothing but the header is read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let Header { tensors, metadata } = header::read(path)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let is_free = |name: &str| {
            let shard = name.starts_with("model-") && name.contains("-of-");
            name.ends_with(".safetensors") && name != SINGLE && !shard
        };
        if !name.is_some_and(is_free) {
            let message = "a state keeps its name in the expanded folder: call it \
                           `optimizer.safetensors`, or another name that no file of weights has";
            return Err(Error::malformed(path, message));
        }
        let tensors = tensors.into_iter();
        Ok(Self {
            files: [path.to_owned()],
            tensors: tensors
                .map(|(name, entry)| (name, Stored::new(0, entry)))
                .collect(),
            metadata,
        })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.files[0]
    }

    /// Returns the name of the file, which is that in an expanded folder, too.
    pub fn file_name(&self) -> String {
        let name = self.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Expands the state with its parameters, as `growth` does them.
    ///
    /// # Errors
    ///
    /// As [`outputs`](Self::outputs).
    pub fn grown<'a>(&'a self, growth: &'a Growth<'_>) -> Result<GrownState<'a>, Error> {
        Ok(GrownState {
            state: self,
            outputs: self.outputs(growth)?,
        })
    }

    /// Lists the tensors of the state after `growth`, in the order of its plan.
    ///
    /// # Errors
    ///
    /// Names a tensor that belongs to no parameter, or does not have its shape.
    pub fn outputs<'a>(&'a self, growth: &'a Growth<'_>) -> Result<Vec<Output<'a>>, Error> {
        let pieces = growth.pieces().into_iter().filter(|piece| !piece.is_new);
        let pieces: Vec<Piece<'_>> = pieces.collect();
        let sources: BTreeSet<&str> = pieces.iter().map(|piece| piece.source).collect();
        let mut owned: BTreeMap<&str, Vec<(&str, &Stored)>> = BTreeMap::new();
        for (name, stored) in &self.tensors {
            // The longest name of a parameter that it begins with.
            let mut dots = name.rmatch_indices('.');
            let owner = dots.find(|(dot, _)| sources.contains(&name[..*dot]));
            let Some((dot, _)) = owner.filter(|_| !sources.contains(name.as_str())) else {
                return Err(self.unowned(name, &sources));
            };
            let fields = owned.entry(&name[..dot]).or_default();
            fields.push((&name[dot + 1..], stored));
        }
        let mut outputs = Vec::new();
        for piece in pieces {
            for (field, stored) in owned.get(piece.source).into_iter().flatten() {
                outputs.push(self.output(growth, &piece, field, stored)?);
            }
        }
        Ok(outputs)
    }

    fn output<'a>(
        &'a self,
        growth: &'a Growth<'_>,
        piece: &Piece<'_>,
        field: &str,
        stored: &'a Stored,
    ) -> Result<Output<'a>, Error> {
        let param = &piece.param;
        let is_number = stored.shape.iter().product::<usize>() == 1;
        let expanded = match param.grows() && !stored.shape.is_empty() {
            true => growth.plan.expand_shape(param, &stored.shape),
            false => None,
        };
        if expanded.is_none() && param.grows() && !is_number {
            return Err(Error::Tensor {
                path: self.path().to_owned(),
                tensor: format!("{}.{field}", piece.source),
                message: format!(
                    "its shape is {:?}, and that of its parameter {:?}, which becomes {:?}: it \
                     cannot follow",
                    stored.shape, param.old_shape, param.new_shape
                ),
            });
        }
        let made = expanded
            .is_some()
            .then(|| Making::State(&growth.plan, param.clone()));
        let shape = expanded.unwrap_or_else(|| stored.shape.clone());
        let elements: usize = shape.iter().product();
        Ok(Output {
            name: format!("{}.{field}", param.path),
            length: (elements * stored.dtype.bits() / 8) as u64,
            shape,
            dtype: &stored.dtype,
            source: stored,
            made,
        })
    }

    fn unowned(&self, name: &str, params: &BTreeSet<&str>) -> Error {
        let example = params.first().copied().unwrap_or_default();
        let message = match params.contains(name) {
            true => format!("it is a parameter, and its state would be `{name}.exp_avg`"),
            false => {
                let (owner, _) = name.rsplit_once('.').unwrap_or((name, ""));
                format!(
                    "it belongs to no tensor of the folder: names are those of parameters with a \
                     suffix, as in `{example}.exp_avg`{}",
                    suggestion(owner, params.iter().copied())
                )
            }
        };
        Error::Tensor {
            path: self.path().to_owned(),
            tensor: name.into(),
            message,
        }
    }
}
