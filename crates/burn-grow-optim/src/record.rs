use std::collections::{BTreeMap, HashMap};

use burn_core::module::{Module, ModuleVisitor, Param};
use burn_core::tensor::{DType, Device, Tensor, TensorData};
use burn_grow_core::{Fill, ParamPlan, Plan};
use burn_optim::{ModuleOptimizer, OptimizerRecord};
use burn_pack::{Bytes, Reader, Scalar, Writer};

use crate::asymmetric::REGIONS;
use crate::policy::power;
use crate::{Age, OptimError, Ramp, Region, RewarmupSchedule, RewarmupScope, StatePolicy};

/// Expands the state of `optim` along `plan`: the state of every grown parameter is mapped by
/// `policy`, and with a `rewarmup` every re-warmed parameter gets a [`Region`].
///
/// `model` is the model that `optim` trains, before or after the expansion: it only tells which
/// parameter has which path. Parameters that never had a gradient have no state, but do get their
/// region.
///
/// # Errors
///
/// When the plan is another model's, a state tensor does not follow its parameter or has a data type
/// that Burn cannot load back, or a re-warmup is asked for and the optimizer
/// of a parameter is not [`Asymmetric`](crate::Asymmetric). `optim` is unchanged.
pub fn expand_optimizer<M: Module>(
    optim: &ModuleOptimizer,
    model: &M,
    plan: &Plan,
    policy: StatePolicy,
    rewarmup: Option<(Ramp, RewarmupScope)>,
) -> Result<ModuleOptimizer, OptimError> {
    if let Some((ramp, scope)) = rewarmup {
        let fresh = scope == RewarmupScope::NewCoordinates && policy == StatePolicy::KeepAndZero;
        if ramp.age != Age::Shared && !fresh {
            return Err(OptimError::OwnAge { scope, policy });
        }
        check_asymmetric(optim, model)?;
    }
    let ids = ids(model);
    let mut params: HashMap<u64, &ParamPlan> = HashMap::new();
    for param in plan.params() {
        let id = ids.get(&param.path).ok_or_else(|| OptimError::Missing {
            path: param.path.clone(),
        })?;
        params.insert(*id, param);
    }
    let reader = Reader::from_bytes(optim.into_bytes()?)?;
    let mut scalars = reader.scalars().clone();
    let mut paths = reader.metadata().clone();
    let mut tensors = Vec::new();
    for tensor in reader.into_tensors()? {
        tensors.push(match tensor.param_id.and_then(|id| params.get(&id)) {
            Some(param) => expand_state(tensor, plan, param, policy)?,
            None => tensor,
        });
    }
    for (id, param) in &params {
        expand_regions(*id, plan, param, &mut scalars);
        let region = rewarmup
            .and_then(|(ramp, scope)| Region::of(plan, param, ramp, scope, count(*id, &scalars)));
        if let Some(region) = region {
            record_region(*id, &param.path, &region, &mut scalars, &mut paths);
        }
    }
    let record = record(tensors, &scalars, &paths)?;
    Ok(optim.clone().load_record(record))
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
            age: Age::Shared,
        },
    };
    let ids: BTreeMap<String, u64> = ids(model).into_iter().collect();
    let (mut scalars, mut paths) = (BTreeMap::new(), BTreeMap::new());
    for (path, id) in &ids {
        record_region(*id, path, &region, &mut scalars, &mut paths);
    }
    let probe = optim
        .clone()
        .load_record(record(Vec::new(), &scalars, &paths)?);
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

fn record(
    tensors: Vec<burn_pack::Tensor>,
    scalars: &BTreeMap<String, Scalar>,
    paths: &BTreeMap<String, String>,
) -> Result<OptimizerRecord, OptimError> {
    let mut writer = Writer::new(tensors);
    for (name, value) in scalars {
        writer = writer.with_scalar(name, *value);
    }
    for (id, path) in paths {
        writer = writer.with_metadata(id, path);
    }
    Ok(OptimizerRecord::from_bytes(writer.into_bytes()?)?)
}

/// The steps that the optimizer has counted for the parameter: what burn-optim calls its `time`.
fn count(id: u64, scalars: &BTreeMap<String, Scalar>) -> usize {
    let prefix = format!("{id}.");
    scalars
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix) && name.ends_with(".time"))
        .find_map(|(_, count)| usize::try_from(*count).ok())
        .unwrap_or(0)
}

/// Maps one state tensor of `param`.
fn expand_state(
    tensor: burn_pack::Tensor,
    plan: &Plan,
    param: &ParamPlan,
    policy: StatePolicy,
) -> Result<burn_pack::Tensor, OptimError> {
    if !param.grows() && policy != StatePolicy::DropAll {
        return Ok(tensor);
    }
    let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
    let loaded = DType::from(Device::default().settings().float_dtype);
    if dtype != loaded {
        return Err(OptimError::DType {
            path: param.path.clone(),
            field: name,
            expected: format!("{loaded:?}"),
            found: format!("{dtype:?}"),
        });
    }
    let fill = match policy {
        StatePolicy::KeepAndZero | StatePolicy::DropAll => Fill::Zero,
        StatePolicy::CopyAll | StatePolicy::Scale => Fill::Copy,
    };
    let expanded = plan.expand_bytes(param, &shape, &bytes, fill);
    let (new_shape, mut bytes) = expanded.ok_or_else(|| OptimError::State {
        path: param.path.clone(),
        field: name.clone(),
        expected: param.old_shape.clone(),
        found: shape.to_vec(),
    })?;
    match policy {
        StatePolicy::KeepAndZero | StatePolicy::CopyAll => {}
        StatePolicy::DropAll => bytes.fill(0),
        StatePolicy::Scale => {
            let power = power(&name).ok_or_else(|| OptimError::UnknownState {
                path: param.path.clone(),
                field: name.clone(),
            })?;
            let data = TensorData::from_bytes_vec(bytes, new_shape.clone(), dtype);
            bytes = scaled(data, plan, param, power).as_bytes().to_vec();
        }
    }
    let bytes = Bytes::from_bytes_vec(bytes);
    Ok(burn_pack::Tensor::new(name, dtype, new_shape, id, bytes))
}

/// The values times `power` of the factors of `param`; a dimension that the state reduces has none.
fn scaled(data: TensorData, plan: &Plan, param: &ParamPlan, power: i32) -> TensorData {
    let (shape, dtype) = (data.shape(), data.dtype());
    let mut values: Vec<f64> = data.iter::<f64>().collect();
    let mut inner = values.len();
    for (dim, size) in shape.iter().enumerate() {
        inner /= size;
        let Some(factors) = plan
            .factor(param, dim)
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
        scalars.retain(|name, _| !name.starts_with(&prefix));
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
fn ids<M: Module>(model: &M) -> HashMap<String, u64> {
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
