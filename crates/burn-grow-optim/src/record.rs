use core::ops::Bound;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::store::RecordError;
use burn_core::tensor::{DType, Device, Tensor, TensorData};
use burn_grow_core::{Axis, ParamPlan, Plan};
use burn_optim::{ModuleOptimizer, OptimizerRecord};
use burn_pack::{Bytes, Reader, Scalar, Writer};

use crate::asymmetric::REGIONS;
use crate::policy::power;
use crate::rules::ParamRule;
use crate::{
    BiasCorrection, OptimError, Ramp, Region, RewarmupSchedule, RewarmupScope, StateRules,
};

/// The most steps that an optimizer counts: burn-optim does so in 32 bits.
pub(crate) const MAX_STEPS: usize = i32::MAX as usize;

/// Expands the state of `optim` along `plan`: the state of every grown parameter is mapped by
/// `rules`, which may be one policy, and with a `rewarmup` every re-warmed parameter gets a [`Region`].
///
/// `model` is the model that `optim` trains, before or after the expansion: it only tells which
/// parameter has which path. Parameters that never had a gradient have no state, but do get their
/// region. Rules for axes of the model that this plan does not grow are for other plans.
///
/// # Errors
///
/// When the plan, if anything grows, is another model's, a rule is for an axis or for parameters that the
/// model does not have, a state tensor does not follow its parameter or has a data type that Burn cannot
/// load back, or a re-warmup is asked for and the optimizer of a parameter is not
/// [`Asymmetric`](crate::Asymmetric). `optim` is unchanged.
pub fn expand_optimizer<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    plan: &Plan,
    rules: impl Into<StateRules>,
    rewarmup: Option<Ramp>,
) -> Result<ModuleOptimizer, OptimError> {
    if plan.is_identity() {
        return Ok(optim.clone());
    }
    if rewarmup.is_some() {
        check_asymmetric(optim, model)?;
    }
    let mut record = RawRecord::read(Reader::from_bytes(optim.into_bytes()?)?)?;
    record.expand(&ids(model), plan, &rules.into(), rewarmup)?;
    let record = OptimizerRecord::from_bytes(record.into_writer().into_bytes()?)?;
    Ok(optim.clone().load_record(record))
}

/// Checks, once `optim` has a state, that [`expand_optimizer`] will have no fault with it along `stages`, plans with
/// their rules, one after the other. What has no state yet is not looked at.
///
/// # Errors
///
/// Those of [`expand_optimizer`] about rules and state.
pub fn check_expandable<'a, M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    stages: impl IntoIterator<Item = (&'a Plan, &'a StateRules)>,
) -> Result<(), OptimError> {
    let mut record = RawRecord::read(Reader::from_bytes(optim.into_bytes()?)?)?;
    let ids = ids(model);
    let mut stages = stages.into_iter().filter(|(plan, _)| !plan.is_identity());
    stages.try_for_each(|(plan, rules)| record.expand(&ids, plan, rules, None))
}

/// An optimizer record by its entries. The tensors are those of the file or buffer it was read from:
/// expanding describes the new ones, and writing reads, expands and writes one at a time.
#[derive(Clone)]
pub struct RawRecord {
    tensors: Vec<burn_pack::Tensor>,
    scalars: BTreeMap<String, Scalar>,
    paths: BTreeMap<String, String>,
}

impl RawRecord {
    /// The entries of a record, whose values stay where they are.
    ///
    /// # Errors
    ///
    /// When the reader's tensors lie outside of its source.
    pub fn read(reader: Reader) -> Result<Self, RecordError> {
        Ok(Self {
            scalars: reader.scalars().clone(),
            paths: reader.metadata().clone(),
            tensors: reader.into_tensors()?,
        })
    }

    /// Expands the record along `plan`, as [`expand_optimizer`] does an optimizer; `ids` are the
    /// identities of the model's float parameters, by path.
    ///
    /// # Errors
    ///
    /// Those of [`expand_optimizer`], except that a record does not tell whether the optimizer is
    /// [`Asymmetric`](crate::Asymmetric). The record is unchanged.
    pub fn expand(
        &mut self,
        ids: &HashMap<String, u64>,
        plan: &Plan,
        rules: &StateRules,
        rewarmup: Option<Ramp>,
    ) -> Result<(), OptimError> {
        let rules = rules.resolved(ids, |axis| plan.widths().contains_key(axis))?;
        if let Some(ramp) = rewarmup {
            rules.check_bias_correction(ramp.bias_correction, ramp.scope, plan)?;
        }
        let mut params: HashMap<u64, &ParamPlan> = HashMap::new();
        for param in plan.params() {
            let id = ids.get(&param.path).ok_or_else(|| OptimError::Missing {
                path: param.path.clone(),
            })?;
            params.insert(*id, param);
        }
        let shared = Arc::new(plan.clone());
        let expanded = self.tensors.iter().map(|tensor| {
            match tensor.param_id.and_then(|id| params.get(&id)) {
                Some(param) => expand_state(tensor, &shared, param, rules.of(plan, param)),
                None => Ok(tensor.clone()),
            }
        });
        self.tensors = expanded.collect::<Result<_, _>>()?;
        for (id, param) in &params {
            expand_regions(*id, plan, param, &mut self.scalars);
            let region =
                rewarmup.and_then(|ramp| Region::of(plan, param, ramp, count(*id, &self.scalars)));
            if let Some(region) = region {
                record_region(
                    *id,
                    &param.path,
                    &region,
                    &mut self.scalars,
                    &mut self.paths,
                );
            }
        }
        Ok(())
    }

    /// Whether every entry belongs to a parameter of `shapes`, by identity, and fits it: what Burn's
    /// loading takes for granted. Of values, only scalars are looked at.
    ///
    /// # Errors
    ///
    /// Names the first entry that does not.
    pub fn check(&self, shapes: &BTreeMap<u64, Vec<usize>>) -> Result<(), RecordError> {
        let refused = |name: &str, problem: &str| {
            Err(RecordError::Validation(format!("state `{name}` {problem}")))
        };
        for tensor in &self.tensors {
            let name = &tensor.name;
            let Some((id, shape)) = tensor.param_id.and_then(|id| shapes.get_key_value(&id)) else {
                return refused(name, "belongs to no parameter of the model");
            };
            let sizes = || tensor.shape.iter().zip(shape);
            // An optimizer of the user's own may keep what it likes.
            let follows = power(name).is_none()
                || tensor.shape.len() == shape.len()
                    && sizes().all(|(size, whole)| size == whole || *size == 1);
            if !name.starts_with(&format!("{id}.")) || !follows {
                return refused(name, "does not follow its parameter");
            }
            if power(name).is_some() && tensor.dtype != loaded_dtype() {
                // Burn would load it as those.
                return refused(
                    name,
                    "does not hold the floats of the device's default type",
                );
            }
        }
        for (name, value) in &self.scalars {
            // Burn would also take `+1` or `01` for the identity 1.
            let id = name.split_once('.').map_or("", |(id, _)| id);
            let known = |number: &u64| shapes.contains_key(number) && number.to_string() == id;
            if !id.parse().is_ok_and(|number| known(&number)) {
                return refused(name, "belongs to no parameter of the model");
            }
            if name.ends_with(".time") && usize::try_from(*value).is_ok_and(|it| it > MAX_STEPS) {
                return refused(name, "counts more steps than there can be");
            }
            if matches!(value, Scalar::Float(value) if value.is_nan()) {
                return refused(name, "is no number");
            }
        }
        for (id, shape) in shapes {
            // Without it, Burn would guess from any one of the tensors, or, where there is none, drop the scalars.
            let rank = self.scalars.get(&format!("{id}.__rank"));
            let has_state = || {
                let mut tensors = self.tensors.iter();
                tensors.any(|tensor| tensor.param_id == Some(*id))
                    || under(&self.scalars, &format!("{id}.")).next().is_some()
            };
            if rank.map_or_else(has_state, |rank| usize::try_from(*rank) != Ok(shape.len())) {
                return refused(&format!("{id}.__rank"), "does not follow its parameter");
            }
            let mut told = 0;
            for index in 0.. {
                let name = format!("{id}.{REGIONS}.{index}");
                let read = |field: &str| self.scalars.get(&format!("{name}.{field}")).copied();
                if read("age").is_none() {
                    break;
                }
                let region = Region::from_scalars(shape.len(), read);
                let Some(region) = region.filter(|region| region.fits(shape)) else {
                    return refused(&name, "is no region of its parameter");
                };
                told += region.scalars().len();
            }
            // Left alone, it would mix with the regions of the next expansion.
            let regions = format!("{id}.{REGIONS}");
            if under(&self.scalars, &format!("{regions}.")).count() != told {
                return refused(&regions, "holds what is of no region");
            }
        }
        Ok(())
    }

    /// The tensors of the record.
    pub fn tensors(&self) -> &[burn_pack::Tensor] {
        &self.tensors
    }

    /// What writes the record.
    pub fn into_writer(self) -> Writer {
        let mut writer = Writer::new(self.tensors);
        for (name, value) in &self.scalars {
            writer = writer.with_scalar(name, *value);
        }
        for (id, path) in &self.paths {
            writer = writer.with_metadata(id, path);
        }
        writer
    }
}

/// Whether the optimizer of every float parameter of `model` is [`Asymmetric`](crate::Asymmetric).
///
/// # Errors
///
/// Names the first parameter, by path, whose optimizer is not.
pub fn check_asymmetric<M: Module>(optim: &ModuleOptimizer, model: &M) -> Result<(), OptimError> {
    // An optimizer cannot be asked what it is, but it can be given a region and asked for it back.
    let region = Region {
        extents: Vec::new(),
        age: 0,
        count: 0,
        start: None,
        ramp: Ramp {
            schedule: RewarmupSchedule::Proportional,
            rho: 1.0,
            steps: 1,
            horizon: 1,
            scope: RewarmupScope::NewCoordinates,
            bias_correction: BiasCorrection::Shared,
        },
    };
    let ids: BTreeMap<String, u64> = ids(model).into_iter().collect();
    let mut record = RawRecord {
        tensors: Vec::new(),
        scalars: BTreeMap::new(),
        paths: BTreeMap::new(),
    };
    for (path, id) in &ids {
        record_region(*id, path, &region, &mut record.scalars, &mut record.paths);
    }
    let record = OptimizerRecord::from_bytes(record.into_writer().into_bytes()?)?;
    let probe = optim.clone().load_record(record);
    let kept = Reader::from_bytes(probe.into_bytes()?)?;
    match ids.into_iter().find(|(_, id)| {
        !kept
            .scalars()
            .contains_key(&format!("{id}.{REGIONS}.0.age"))
    }) {
        Some((path, _)) => Err(OptimError::NotAsymmetric { path }),
        None => Ok(()),
    }
}

/// The steps that the optimizer has counted for the parameter: what burn-optim calls its `time`.
fn count(id: u64, scalars: &BTreeMap<String, Scalar>) -> usize {
    under(scalars, &format!("{id}."))
        .filter(|(name, _)| name.ends_with(".time"))
        .find_map(|(_, count)| usize::try_from(*count).ok())
        .unwrap_or(0)
}

/// The scalars whose name begins with `prefix`, which stand side by side.
fn under<'a>(
    scalars: &'a BTreeMap<String, Scalar>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Scalar)> {
    scalars
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(name, _)| name.starts_with(prefix))
}

/// Describes one state tensor of `param`, expanded; whoever takes its bytes expands it.
fn expand_state(
    tensor: &burn_pack::Tensor,
    plan: &Arc<Plan>,
    param: &ParamPlan,
    rule: ParamRule,
) -> Result<burn_pack::Tensor, OptimError> {
    let tensor = tensor.clone();
    if !param.grows() && !rule.drops() {
        return Ok(tensor);
    }
    let (path, field) = (param.path.clone(), tensor.name.clone());
    let loaded = loaded_dtype();
    if tensor.dtype != loaded {
        return Err(OptimError::DType {
            path,
            field,
            expected: format!("{loaded:?}"),
            found: format!("{:?}", tensor.dtype),
        });
    }
    let Some(shape) = plan.expand_shape(param, &tensor.shape) else {
        return Err(OptimError::State {
            path,
            field,
            expected: param.old_shape.clone(),
            found: tensor.shape.to_vec(),
        });
    };
    let power = match rule.scales() {
        true => Some(power(&field).ok_or(OptimError::UnknownState { path, field })?),
        false => None,
    };
    let length = shape.iter().product::<usize>() * tensor.dtype.size();
    let (name, dtype, id) = (tensor.name.clone(), tensor.dtype, tensor.param_id);
    let (plan, param) = (plan.clone(), param.clone());
    let expanded = move || {
        if rule.drops() {
            return Ok(Bytes::from_bytes_vec(vec![0; length]));
        }
        let fill = |axis: &Axis| rule.fill(axis);
        let bytes = tensor.to_bytes()?;
        let expanded = plan.expand_bytes(&param, &tensor.shape, read(&bytes)?, &fill);
        let Some((shape, bytes)) = expanded else {
            let problem = format!("state `{}` has no whole number of elements", tensor.name);
            return Err(burn_pack::Error::ValidationError(problem));
        };
        let Some(power) = power else {
            return Ok(Bytes::from_bytes_vec(bytes));
        };
        let data = TensorData::from_bytes_vec(bytes, shape, dtype);
        let scaled = scaled(data, &plan, &param, &rule, power);
        Ok(scaled.into_parts().0)
    };
    Ok(burn_pack::Tensor::deferred(
        name, dtype, shape, id, length, expanded,
    ))
}

/// What Burn loads every float of a record as.
fn loaded_dtype() -> DType {
    Device::default().settings().float_dtype.into()
}

/// The bytes, read from their file if they are still there: looking at them otherwise panics when they
/// cannot be.
fn read(bytes: &Bytes) -> Result<&[u8], burn_pack::Error> {
    bytes
        .read(Default::default())
        .map_err(|error| burn_pack::Error::IoError(error.to_string()))
}

/// The values times `power` of the factors of `param` that `rule` has it scaled by; a dimension that the
/// state reduces has none.
fn scaled(
    data: TensorData,
    plan: &Plan,
    param: &ParamPlan,
    rule: &ParamRule,
    power: i32,
) -> TensorData {
    let (shape, dtype) = (data.shape(), data.dtype());
    let mut values: Vec<f64> = data.iter::<f64>().collect();
    let mut inner = values.len();
    for (dim, size) in shape.iter().enumerate() {
        inner /= size;
        let Some(factors) = plan
            .factor(param, dim, &|axis| rule.fill(axis))
            .filter(|factors| factors.len() == *size)
        else {
            continue;
        };
        for (flat, value) in values.iter_mut().enumerate() {
            *value *= factors[flat / inner % size].powi(power);
        }
    }
    TensorData::new(values, shape).convert_dtype(dtype)
}

/// Maps the regions already recorded for the parameter.
fn expand_regions(id: u64, plan: &Plan, param: &ParamPlan, scalars: &mut BTreeMap<String, Scalar>) {
    for index in 0.. {
        let prefix = format!("{id}.{REGIONS}.{index}.");
        let read = |name: &str| scalars.get(&format!("{prefix}{name}")).copied();
        let Some(region) = Region::from_scalars(param.roles.len(), read) else {
            return;
        };
        let stale: Vec<_> = under(scalars, &prefix)
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            scalars.remove(&name);
        }
        for (name, value) in region.expanded(plan, param).scalars() {
            scalars.insert(format!("{prefix}{name}"), value);
        }
    }
}

/// Appends `region` to those already recorded for the parameter.
fn record_region(
    id: u64,
    path: &str,
    region: &Region,
    scalars: &mut BTreeMap<String, Scalar>,
    paths: &mut BTreeMap<String, String>,
) {
    let mut index = 0;
    while scalars.contains_key(&format!("{id}.{REGIONS}.{index}.age")) {
        index += 1;
    }
    for (name, value) in region.scalars() {
        scalars.insert(format!("{id}.{REGIONS}.{index}.{name}"), value);
    }
    // A parameter without state so far has neither entry yet.
    scalars.insert(format!("{id}.__rank"), region.extents.len().into());
    paths.insert(id.to_string(), path.to_owned());
}

/// The identity of every float parameter, by path.
pub(crate) fn ids<M: Module>(model: &M) -> HashMap<String, u64> {
    struct Ids {
        path: Vec<String>,
        ids: HashMap<String, u64>,
    }
    impl ModuleVisitor for Ids {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.ids.insert(self.path.join("."), param.id.val());
        }
    }
    let mut ids = Ids {
        path: Vec::new(),
        ids: HashMap::new(),
    };
    model.visit(&mut ids);
    ids.ids
}
