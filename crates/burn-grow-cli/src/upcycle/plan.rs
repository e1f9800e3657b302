//! What upcycling makes of a model in a folder: its tensors and its configuration.

use std::collections::{BTreeMap, BTreeSet};

use burn_grow_core::describe::{Axis, Layout, Role, RoleKind};

use super::config;
use super::cut::Cut;
use super::kept::{self, Kept};
use super::record::UpcyclingRecord;
use super::router::DrawnRouter;
use super::settings::{Router, RoutingWeights, Upcycling};
use crate::error::Error;
use crate::family::{Family, Route, route, shipped};
use crate::folder::config::Config;
use crate::folder::{Dtype, Folder, Stored};
use crate::model::{Change, Making, Model, NewFolder, Output, Parameter, changed, natural};

/// The axis of the feed-forward, in every family.
pub(super) const INNER: &str = "inner";
/// The axis that counts experts, in every family.
pub(super) const EXPERTS: &str = "experts";
/// The experts of a token.
pub(super) const TOP_K: &str = "top_k";

/// An upcycling of a model, planned.
pub struct Upcycled<'a> {
    /// The family of the dense model.
    pub from: String,
    /// What is made of it.
    pub upcycling: Upcycling,
    /// The new folder.
    pub folder: NewFolder<'a>,
    /// What becomes of `config.json`.
    pub changes: Vec<Change>,
    /// What of the function is kept.
    pub kept: Kept,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Experts of a layer.
    pub experts: usize,
    /// Experts that a token takes.
    pub top_k: usize,
    /// The width of the feed-forward, and that of an expert.
    pub inner: (usize, usize),
    /// Parameters before and after.
    pub parameters: (usize, usize),
    /// Parameters that take part in one token, before and after.
    pub active_parameters: (f64, f64),
}

impl Model {
    /// Plans an upcycling. Nothing is read or written.
    ///
    /// # Errors
    ///
    /// Fails when no route leads to the family asked for, when the numbers cannot be, and when the
    /// new family has no place for a tensor or a setting of the dense model.
    pub fn upcycle(&self, upcycling: &Upcycling) -> Result<Upcycled<'_>, Error> {
        let route = route(&self.family.name, &upcycling.to)?;
        let mut families = shipped()?.into_iter();
        let target = families.find(|family| family.name == route.to);
        let target = target.ok_or_else(|| Error::NoRoute {
            from: route.from.clone(),
            to: route.to.clone(),
            suggestion: String::new(),
            known: Vec::new(),
        })?;
        upcycling.check()?;
        if upcycling.weights == RoutingWeights::Softmax && route.router.normalized.is_none() {
            return Err(Error::Setting {
                setting: "the sum of the weights",
                found: "that of a softmax".into(),
                expected: format!("one, as a `{}` always makes it", route.to),
            });
        }
        let blueprint = self.blueprint()?;
        let widths = widths(blueprint.widths(), upcycling)?;
        let config = &self.folder.config;
        let untied = self.tie.different.is_some();
        let untied = self.tie.flag.as_ref().filter(|_| untied);
        let changes = config::changes(config, &route, &target, upcycling, &widths, untied)?;
        let deviation = match upcycling.router {
            Router::Drawn => config::deviation(config, &route)?,
            Router::Zero => 0.0,
        };
        let params = self.params_of_file()?;
        let experts = Experts {
            model: self,
            route: &route,
            upcycling,
            deviation,
        };
        let mut outputs = experts.outputs(&params)?;
        outputs.sort_by(|one, other| natural::compare(&one.name, &other.name));
        let folder = NewFolder {
            folder: &self.folder,
            outputs,
            config: changed(config, &changes),
            record: UpcyclingRecord {
                family: self.family.name.clone(),
                upcycling: upcycling.clone(),
            }
            .text(),
            state: None,
            region: None,
        };
        let new = read_again(&folder, &target, &params)?.blueprint()?;
        let (old_widths, new_widths) = (blueprint.widths(), new.widths());
        let width = |widths: &BTreeMap<Axis, usize>, axis: &str| {
            widths.get(&Axis::from(axis)).copied().unwrap_or_default()
        };
        Ok(Upcycled {
            from: self.family.name.clone(),
            kept: Kept::by(upcycling, deviation == 0.0),
            notes: kept::alike(upcycling).into_iter().collect(),
            experts: width(new_widths, EXPERTS),
            top_k: width(new_widths, TOP_K),
            inner: (width(old_widths, INNER), width(new_widths, INNER)),
            parameters: (blueprint.num_params(), new.num_params()),
            active_parameters: (blueprint.active_params(), new.active_params()),
            upcycling: upcycling.clone(),
            folder,
            changes,
        })
    }
}

/// The widths of the new model.
fn widths(
    old: &BTreeMap<Axis, usize>,
    upcycling: &Upcycling,
) -> Result<BTreeMap<Axis, usize>, Error> {
    let parts = upcycling.granularity;
    let mut widths = old.clone();
    if let Some(inner) = widths.get_mut(&Axis::from(INNER)) {
        if !inner.is_multiple_of(parts) {
            return Err(Error::Setting {
                setting: "the granularity",
                found: parts.to_string(),
                expected: format!("a divisor of {inner}, the width of the feed-forward"),
            });
        }
        *inner /= parts;
    }
    widths.insert(EXPERTS.into(), upcycling.experts * parts);
    widths.insert(TOP_K.into(), upcycling.top_k * parts);
    Ok(widths)
}

/// What makes the tensors of the new folder.
struct Experts<'a, 'b> {
    model: &'a Model,
    route: &'b Route,
    upcycling: &'b Upcycling,
    /// The standard deviation of a router.
    deviation: f64,
}

impl<'a> Experts<'a, '_> {
    fn outputs(&self, params: &[Parameter]) -> Result<Vec<Output<'a>>, Error> {
        let mut outputs = Vec::new();
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for param in params {
            let source = &self.model.folder.tensors[&param.tensors[0]];
            let Some((block, ending, expert)) = self.place(&param.path) else {
                outputs.push(copy(param.path.clone(), source));
                continue;
            };
            found.entry(block).or_default().insert(ending);
            self.add(param, source, &format!("{block}{expert}"), &mut outputs)?;
        }
        if found.is_empty() {
            return Err(self.rejected("it has no feed-forward".into()));
        }
        for (block, endings) in found {
            let mut all = self.route.experts.keys();
            if let Some(missing) = all.find(|ending| !endings.contains(ending.as_str())) {
                let other = endings.first().copied().unwrap_or_default();
                return Err(Error::Missing {
                    tensor: format!("{block}{missing}"),
                    other: format!("{block}{other}"),
                });
            }
        }
        Ok(outputs)
    }

    /// Tells if a tensor is one of a feed-forward: what stands before the end of its name, the end,
    /// and the end of the names of its copies.
    fn place<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str, &str)> {
        self.route.experts.iter().find_map(|(ending, expert)| {
            let block = path.strip_suffix(ending.as_str())?;
            let whole = block.is_empty() || block.ends_with('.');
            whole.then(|| (block, &path[block.len()..], expert.as_str()))
        })
    }

    /// Adds the copies of a matrix of a feed-forward, and the router beside the last one.
    fn add(
        &self,
        param: &Parameter,
        source: &'a Stored,
        name: &str,
        outputs: &mut Vec<Output<'a>>,
    ) -> Result<(), Error> {
        let (Some((dim, kind)), Dtype::Float(float)) = (cut_dimension(&param.roles), &source.dtype)
        else {
            let message = format!("`{}` is no matrix along `{INNER}`", param.path);
            return Err(self.rejected(message));
        };
        let parts = self.upcycling.granularity;
        let last = kind == RoleKind::FanIn;
        for copy in 0..self.upcycling.experts {
            let noise = (copy > 0 && self.upcycling.noise > 0.0)
                .then_some((self.upcycling.noise, self.upcycling.seed));
            for part in 0..parts {
                let cut = Cut {
                    dim,
                    part,
                    parts,
                    float: *float,
                    scale: if last { self.upcycling.scale() } else { 1.0 },
                    noise,
                };
                let number = (copy * parts + part).to_string();
                outputs.push(Output {
                    name: name.replace("{experts}", &number),
                    shape: cut.shape(&source.shape),
                    dtype: &source.dtype,
                    length: source.num_bytes() / parts as u64,
                    source,
                    made: (!cut.is_copy()).then_some(Making::Cut(cut)),
                });
            }
        }
        if last && let Some((block, ..)) = self.place(&param.path) {
            // What the last matrix makes is what the router reads.
            let hidden: usize = source.shape[..dim].iter().product();
            let router = DrawnRouter {
                copies: self.upcycling.experts,
                parts,
                hidden,
                float: *float,
                deviation: self.deviation,
                seed: self.upcycling.seed,
            };
            let shape = vec![self.upcycling.experts * parts, hidden];
            let elements: usize = shape.iter().product();
            outputs.push(Output {
                name: format!("{block}{}", self.route.router.tensor),
                shape,
                dtype: &source.dtype,
                length: (elements * source.dtype.bits() / 8) as u64,
                source,
                made: Some(Making::Router(router)),
            });
        }
        Ok(())
    }

    fn rejected(&self, message: String) -> Error {
        Error::Rejected {
            family: self.model.family.name.clone(),
            message,
        }
    }
}

fn copy(name: String, source: &Stored) -> Output<'_> {
    Output {
        name,
        shape: source.shape.clone(),
        dtype: &source.dtype,
        length: source.num_bytes(),
        source,
        made: None,
    }
}

/// The dimension that the width of the feed-forward is, and what it does there.
fn cut_dimension(roles: &[Option<Role>]) -> Option<(usize, RoleKind)> {
    roles.iter().enumerate().find_map(|(dim, role)| {
        let [part] = role.as_ref()?.parts.as_slice() else {
            return None;
        };
        (part.layout() == Layout::of(INNER)).then_some((dim, part.kind))
    })
}

/// Reads the new folder by its family before anything is written.
fn read_again(made: &NewFolder<'_>, target: &Family, params: &[Parameter]) -> Result<Model, Error> {
    let buffers = params
        .iter()
        .filter(|param| param.roles.iter().all(Option::is_none));
    let keep: Vec<String> = buffers.map(|param| param.path.clone()).collect();
    for output in &made.outputs {
        let mut kinds = target.tensors.iter().map(|(names, _)| names);
        let described = kinds.any(|names| names.find(&output.name).is_some());
        if !described && !keep.contains(&output.name) {
            return Err(Error::NoPlace {
                tensor: output.name.clone(),
                shape: output.shape.clone(),
                to: target.name.clone(),
            });
        }
    }
    let tensors = made.outputs.iter().map(|output| {
        let stored = Stored {
            shape: output.shape.clone(),
            length: output.length,
            ..output.source.clone()
        };
        (output.name.clone(), stored)
    });
    let folder = Folder {
        path: made.folder.path.clone(),
        config: Config {
            path: made.folder.config.path.clone(),
            values: made.config.clone(),
        },
        files: made.folder.files.clone(),
        tensors: tensors.collect(),
        metadata: made.folder.metadata.clone(),
    };
    Model::of(folder, target.clone(), &keep)
}
