//! What an expansion makes of a model in a folder: its plan, its tensors and its configuration.

use std::collections::BTreeMap;

use burn_grow_core::describe::Axis;
use burn_grow_core::plan::{AxisPlan, BlockContent, ParamContent, ParamPlan};
use burn_grow_core::{Blueprint, Expansion, Plan};
use serde_json::{Map, Value, json};

use super::folder::{Change, Making, NewFolder, Output, changed, outdated};
use super::keys;
use super::params::{Model, Parameter};
use super::tied::{ByKey, Tying};
use crate::error::Error;
use crate::expand::Record;
use crate::family::List;
use crate::folder::{Dtype, Float};

/// An expansion of a model, planned.
pub struct Growth<'a> {
    /// The model.
    pub model: &'a Model,
    /// What happens to every parameter.
    pub plan: Plan,
    /// What becomes of `config.json`.
    pub changes: Vec<Change>,
    /// What else there is to say.
    pub notes: Vec<String>,
    params: BTreeMap<String, Parameter>,
}

/// How a plan makes a tensor of another one.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) param: ParamPlan,
    pub(crate) float: Float,
    /// What all numbers are multiplied by beside the factors of the plan.
    pub(crate) scale: f64,
}

/// A tensor of the expanded folder as one of the plan.
pub(crate) struct Piece<'a> {
    /// Its plan.
    pub(crate) param: ParamPlan,
    /// The name of the tensor that it comes from.
    pub(crate) source: &'a str,
    /// True if it was not there before: in a new block, or a new unit that is a tensor of its own.
    pub(crate) is_new: bool,
    scale: f64,
}

impl Model {
    /// Plans `expansion`. Nothing is read or written.
    ///
    /// # Errors
    ///
    /// Fails as [`Plan::new`] does, and when no `config.json` of the family can say what the model
    /// would be.
    pub fn grow(&self, expansion: &Expansion) -> Result<Growth<'_>, Error> {
        let mut notes = Vec::new();
        let mut params = self.params_of_file()?;
        let mut plan = self.plan(&self.described(&params)?, expansion)?;
        let mut untie = self.tie.different.is_some();
        let mut by_key = None;
        if let Some(tensor) = &self.tie.different {
            notes.push(format!(
                "untied: `{tensor}` is in the folder and differs from what it is tied to"
            ));
        } else {
            let (untied, tied) = (self.untied()?, self.family.tied.as_ref());
            match Tying::of(&untied, &plan, tied, &self.folder.config)? {
                Tying::Stays => {}
                Tying::Multiplied(factor) => {
                    notes.push(factor.note.clone());
                    by_key = Some(factor);
                }
                Tying::Unties { path, axis } => {
                    self.check_untying(&path, &axis)?;
                    notes.push(format!(
                        "untied: `{path}` reads `{axis}`, and what it is tied to makes it, so that \
                         no factor suits both; the parameters before the expansion count it, too"
                    ));
                    untie = true;
                    params = self.params_untied()?;
                    plan = self.plan(&self.described(&params)?, expansion)?;
                }
            }
        }
        let params = params.into_iter().map(|param| (param.path.clone(), param));
        let mut growth = Growth {
            model: self,
            changes: Vec::new(),
            notes,
            params: params.collect(),
            plan,
        };
        growth.changes = growth.changes_of_config(untie, by_key)?;
        growth.note_roots();
        Ok(growth)
    }

    /// Rejects untying where the folder has no name for the second use.
    fn check_untying(&self, path: &str, axis: &Axis) -> Result<(), Error> {
        let Some(short) = &self.tie.short else {
            return Ok(());
        };
        Err(Error::Rejected {
            family: self.family.name.clone(),
            message: format!(
                "growing `{axis}` takes a `{path}` of its own, and the folder names its tensors as \
                 a model without one does, such as `{short}`: load it with `transformers` and save \
                 it once"
            ),
        })
    }

    fn plan(&self, blueprint: &Blueprint, expansion: &Expansion) -> Result<Plan, Error> {
        let plan = Plan::new(blueprint, expansion)?;
        let identity =
            |axis: &AxisPlan| axis.grows() && axis.blocks() == Some(BlockContent::Identity);
        if let Some(reason) = &self.family.no_identity
            && plan.axes().values().any(identity)
        {
            let message = format!("new blocks cannot begin as the identity: {reason}");
            let family = self.family.name.clone();
            return Err(Error::Rejected { family, message });
        }
        Ok(plan)
    }
}

impl Growth<'_> {
    /// Lists the tensors of the expanded folder, in the order of the plan.
    pub fn outputs(&self) -> Vec<Output<'_>> {
        let pieces = self.pieces().into_iter();
        pieces.map(|piece| self.output(piece)).collect()
    }

    /// Lists the tensors of the expanded folder as those of the plan, in its order.
    pub(crate) fn pieces(&self) -> Vec<Piece<'_>> {
        let params = self.plan.params().iter();
        params.flat_map(|param| self.pieces_of(param)).collect()
    }

    fn pieces_of(&self, planned: &ParamPlan) -> Vec<Piece<'_>> {
        let path = planned.source_path().unwrap_or(&planned.path);
        let param = &self.params[path];
        let scale = self.scale(param);
        let Some(axis) = &param.numbered else {
            return vec![Piece {
                param: planned.clone(),
                source: &param.tensors[0],
                is_new: planned.is_new(),
                scale,
            }];
        };
        let count = planned.new_shape[0];
        let source = self.plan.source(planned, 0);
        let kept = self.plan.kept(planned, 0);
        let placeholder = format!("{{{axis}}}");
        let pieces = (0..count).map(|number| {
            // Whole tensors go along with their axis: none of them is anything but a copy.
            let source = source
                .as_ref()
                .map_or(Some(number), |source| source[number]);
            let source = &param.tensors[source.unwrap_or_default()];
            let piece = ParamPlan {
                path: planned.path.replace(&placeholder, &number.to_string()),
                old_shape: planned.old_shape[1..].to_vec(),
                new_shape: planned.new_shape[1..].to_vec(),
                roles: planned.roles[1..].to_vec(),
                active: planned.active,
                origin: planned.origin.clone(),
            };
            let kept = kept.as_ref().is_none_or(|kept| kept[number]);
            Piece {
                param: piece,
                source,
                is_new: planned.is_new() || !kept,
                scale,
            }
        });
        pieces.collect()
    }

    fn output(&self, piece: Piece<'_>) -> Output<'_> {
        let (planned, scale) = (piece.param, piece.scale);
        let source = &self.model.folder.tensors[piece.source];
        let copied = matches!(planned.content(), None | Some(ParamContent::Copy));
        let grows = (0..planned.roles.len()).any(|dim| self.plan.growing(&planned, dim).is_some());
        let elements: usize = planned.new_shape.iter().product();
        let made = grows || !copied || scale != 1.0;
        Output {
            name: planned.path.clone(),
            shape: planned.new_shape.clone(),
            dtype: &source.dtype,
            length: (elements * source.dtype.bits() / 8) as u64,
            source,
            made: match source.dtype {
                Dtype::Float(float) if made => {
                    let made = Made {
                        param: planned,
                        float,
                        scale,
                    };
                    Some(Making::Grown(&self.plan, made))
                }
                // What is no float never grows.
                _ => None,
            },
        }
    }

    /// What makes up for the root of a width that the model multiplies a parameter by.
    fn scale(&self, param: &Parameter) -> f64 {
        let planned = param.root_of.as_ref().and_then(|axis| self.plan.axis(axis));
        planned.map_or(1.0, |axis| {
            (axis.old_width() as f64 / axis.new_width() as f64).sqrt()
        })
    }

    fn note_roots(&mut self) {
        let mut notes = Vec::new();
        for param in self.params.values() {
            if let Some(axis) = param.root_of.as_ref().filter(|_| self.scale(param) != 1.0) {
                notes.push(format!(
                    "`{}` is multiplied by {:.4}: the model multiplies it by the root of `{axis}`",
                    param.path,
                    self.scale(param)
                ));
            }
        }
        self.notes.extend(notes);
    }

    /// The width of every axis after the expansion.
    pub fn widths(&self) -> BTreeMap<Axis, usize> {
        let mut widths = self.plan.widths().clone();
        for (axis, planned) in self.plan.axes() {
            widths.insert(axis.clone(), planned.new_width());
        }
        widths
    }

    /// The keys of `config.json` that change.
    fn changes_of_config(&self, untied: bool, by_key: Option<ByKey>) -> Result<Vec<Change>, Error> {
        let config = &self.model.folder.config;
        let mut new: BTreeMap<String, Value> = BTreeMap::new();
        let numbers = keys::changed(&self.model.family, &self.model.numbers, &self.widths())?;
        new.extend(numbers.into_iter().map(|(key, value)| (key, json!(value))));
        if let (true, Some(flag)) = (untied, &self.model.tie.flag) {
            new.insert(flag.clone(), json!(false));
        }
        new.extend(by_key.map(|factor| (factor.key, json!(factor.value))));
        for (key, list) in &self.model.family.lists {
            if let Some(list) = self.list(key, list)? {
                new.insert(key.clone(), list);
            }
        }
        new.extend(outdated(config));
        Ok(Change::all(config, new))
    }

    /// A list with an item for every block, once the stack has grown.
    fn list(&self, key: &str, list: &List) -> Result<Option<Value>, Error> {
        let config = &self.model.folder.config;
        let fault = |message: String| Error::List {
            path: config.path.clone(),
            key: key.into(),
            message,
        };
        let axis = &list.along;
        let Some(planned) = self.plan.axis(axis).filter(|planned| planned.grows()) else {
            return Ok(None);
        };
        let blocks = planned.old_width();
        let items = match config.value(key) {
            Some(Value::Array(items)) => items,
            Some(_) => return Err(fault("is no list".into())),
            None if list.optional => return Ok(None),
            None => {
                let message = "is missing, so what a layer is would follow from its place: save \
                               the model once with the present `transformers`, which writes it";
                return Err(fault(message.into()));
            }
        };
        if items.len() != blocks {
            let found = items.len();
            return Err(fault(format!(
                "has {found} items, and there are {blocks} `{axis}`"
            )));
        }
        let grown = planned.source().iter().map(|block| items[*block].clone());
        Ok(Some(Value::Array(grown.collect())))
    }

    /// The `config.json` of the expanded folder.
    pub fn config(&self) -> Map<String, Value> {
        changed(&self.model.folder.config, &self.changes)
    }

    /// The expanded folder, which says that `expansion` made it.
    pub fn new_folder(&self, expansion: &Expansion) -> NewFolder<'_> {
        NewFolder {
            folder: &self.model.folder,
            outputs: self.outputs(),
            config: self.config(),
            record: Record::of(self, expansion).text(),
            state: None,
            region: None,
        }
    }
}
