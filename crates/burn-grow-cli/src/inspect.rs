//! What a folder holds, and what of it can grow.

use std::collections::BTreeMap;

use burn_grow_core::describe::Axis;
use burn_grow_core::{Blueprint, Expansion, GrowError, Plan};
use serde::Serialize;

use crate::error::Error;
use crate::model::Model;

/// What a folder holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The family that describes it.
    pub family: String,
    /// What its `config.json` calls it.
    pub model_type: String,
    /// The classes that its `config.json` names.
    pub architectures: Vec<String>,
    /// The axes of its tensors.
    pub axes: Vec<AxisInspection>,
    /// Parameters, with what is tied counted once.
    pub parameters: usize,
    /// Parameters that take part in one token.
    pub active_parameters: f64,
    /// Tensors by the type of their numbers.
    pub dtypes: BTreeMap<String, usize>,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Files of weights.
    pub files: Vec<String>,
    /// Tensors that are used twice, with their second names.
    pub tied: BTreeMap<String, String>,
}

/// An axis of a model.
#[derive(Clone, Debug, Serialize)]
pub struct AxisInspection {
    /// Its name.
    pub name: String,
    /// Its width.
    pub width: usize,
    /// True if it can grow.
    pub can_grow: bool,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a stack cannot grow, if its blocks are unlike.
fn unlike(blueprint: &Blueprint, axis: &Axis) -> Option<String> {
    match Plan::new(blueprint, &Expansion::by(axis.as_str(), 2.0)) {
        Err(error @ GrowError::Stack { .. }) => Some(error.to_string()),
        _ => None,
    }
}

impl Model {
    /// Says what the folder holds.
    ///
    /// # Errors
    ///
    /// When it does not fit its family.
    pub fn inspect(&self) -> Result<Inspection, Error> {
        let blueprint = self.blueprint()?;
        let frozen = blueprint.frozen();
        let axes = blueprint.widths().iter().map(|(axis, width)| {
            let reason = frozen
                .get(axis)
                .cloned()
                .or_else(|| unlike(&blueprint, axis));
            AxisInspection {
                name: axis.as_str().into(),
                width: *width,
                can_grow: reason.is_none(),
                reason,
            }
        });
        let mut dtypes = BTreeMap::new();
        for stored in self.folder.tensors.values() {
            *dtypes.entry(stored.dtype.to_string()).or_default() += 1;
        }
        let files = self.folder.files.iter().map(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        let config = &self.folder.config;
        Ok(Inspection {
            family: self.family.name.clone(),
            model_type: config.model_type().unwrap_or_default().into(),
            architectures: config
                .architectures()
                .into_iter()
                .map(String::from)
                .collect(),
            axes: axes.collect(),
            parameters: blueprint.num_params(),
            active_parameters: blueprint.active_params(),
            dtypes,
            bytes: self.folder.num_bytes(),
            files: files.collect(),
            tied: self.tied(),
        })
    }
}
