//! A tensor is expanded to the same bytes on the host and by tensor operations.

use std::collections::BTreeMap;

use burn_core::tensor::{DType, Device, Distribution, FloatDType, Tensor};
use rand::Rng;

use super::filled::filled;
use super::moves::Moves;
use super::old_values::needs_old;
use super::{device, host};
use crate::baseline::{Baseline, SplitRatio};
use crate::describe::active::ActiveFraction;
use crate::describe::param::ParamBlueprint;
use crate::describe::role::Role;
use crate::plan::copy_map::CopyMap;
use crate::plan::fill::Fill;
use crate::plan::method::Method;
use crate::plan::param::ParamPlan;
use crate::random::generator;
use crate::{Blueprint, Expansion, InitPair, Plan, Scaling};

const AXES: [&str; 5] = ["vocab", "hidden", "inner", "experts", "heads"];

/// A model with a parameter of every kind, of these widths.
fn blueprint(widths: [usize; 5]) -> Blueprint {
    let widths: BTreeMap<_, _> = AXES.iter().map(|axis| (*axis).into()).zip(widths).collect();
    let fan_in = || Role::fan_in("hidden");
    let queries = Role::fan_out("heads")
        .with_unit(2)
        .then(Role::fan_out("inner"));
    let params: [(&str, Vec<Option<Role>>); 9] = [
        ("gain", vec![Some(Role::gain("hidden"))]),
        (
            "embedding",
            vec![Some(Role::vocab("vocab")), Some(Role::fan_out("hidden"))],
        ),
        ("queries", vec![Some(fan_in()), Some(queries)]),
        ("gate", vec![Some(fan_in()), Some(Role::gate("inner"))]),
        (
            "router",
            vec![Some(fan_in()), Some(Role::fan_out("experts"))],
        ),
        (
            "up",
            vec![
                Some(Role::gain("experts")),
                Some(fan_in()),
                Some(Role::fan_out("inner")),
            ],
        ),
        (
            "down",
            vec![
                Some(Role::gain("experts")),
                Some(Role::fan_in("inner")),
                Some(Role::fan_out("hidden")),
            ],
        ),
        (
            "kernel",
            vec![Some(Role::fan_out("inner")), Some(fan_in()), None],
        ),
        ("head", vec![Some(fan_in()), Some(Role::vocab("vocab"))]),
    ];
    let params = params.into_iter().map(|(path, roles)| ParamBlueprint {
        path: path.to_owned(),
        shape: roles
            .iter()
            .map(|role| {
                role.as_ref()
                    .map_or(3, |role| role.size(|axis| widths[axis]))
            })
            .collect(),
        roles,
        active: ActiveFraction::default(),
    });
    Blueprint {
        params: params.collect(),
        widths,
        constants: Vec::new(),
        multipliers: Vec::new(),
        frozen: BTreeMap::new(),
        kept: Vec::new(),
        together: Vec::new(),
        stacks: Vec::new(),
    }
}

/// Every axis by a factor that is not whole, or as the method needs it.
fn all_axes(method: Method) -> Expansion {
    let expansion = Expansion {
        method,
        seed: 7,
        ..Expansion::default()
    };
    let [vocab, hidden, inner, experts, heads] = AXES;
    expansion
        .and_to(vocab, 9)
        .and_to(hidden, 10)
        .and_to(inner, 16)
        .and_to(experts, 3)
        .and_to(heads, 4)
}

fn check_param<const D: usize>(plan: &Plan, param: &ParamPlan, dtype: FloatDType) {
    let device = Device::flex();
    let shape: [usize; D] = core::array::from_fn(|dim| param.old_shape[dim]);
    let dims = core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    let mut old = Tensor::<D>::random(shape, Distribution::Normal(0.1, 1.0), &device).into_data();
    // Values that are easily lost, where they make no moments.
    let special = [-0.0, f32::INFINITY, f32::MIN_POSITIVE / 4.0];
    if !needs_old(plan, &dims) {
        old.as_mut_slice::<f32>().expect("floats")[..3].copy_from_slice(&special);
    }
    let old = Tensor::<D>::from_data(old, &device).cast(dtype);
    let memory = host::host_tensor(&old).expect("Flex keeps tensors in host memory");
    let on_host = host::expand(plan, param, &dims, &old, &memory).into_data();
    check_streamed(plan, param, &old);
    let on_device = device::expand(plan, param, &dims, old).into_data();
    assert_eq!(on_host.dtype(), DType::from(dtype));
    assert_eq!(on_host.shape().as_slice(), param.new_shape);
    assert!(
        on_host.as_bytes() == on_device.as_bytes(),
        "{} as {dtype:?}: {on_host} and {on_device}",
        param.path
    );
}

/// A stream gives what single precision gives, rounded once, wherever it is cut.
fn check_streamed<const D: usize>(plan: &Plan, param: &ParamPlan, old: &Tensor<D>) {
    let dims = core::array::from_fn(|dim| plan.dimension(param, dim, &|_| Fill::Scale));
    let single = old.clone().cast(FloatDType::F32);
    let memory = host::host_tensor(&single).expect("Flex keeps tensors in host memory");
    let expected = host::expand(plan, param, &dims, &single, &memory);
    let expected = expected.cast(old.dtype()).into_data();
    let old = old.to_data();
    let streamed = plan.stream(param, old.dtype(), old.as_bytes(), 1.0);
    let streamed = streamed.expect("a float tensor of that shape");
    assert_eq!(streamed.shape(), param.new_shape);
    let mut found = vec![1; streamed.num_bytes()];
    let size = old.dtype().size();
    for stretch in [found.len() / size, 1, 7] {
        for (index, piece) in found.chunks_mut((stretch * size).max(1)).enumerate() {
            streamed.write(index * stretch * size, piece);
        }
        let same = found == expected.as_bytes();
        assert!(
            same,
            "{} as {:?}, {stretch} at a time",
            param.path,
            old.dtype()
        );
    }
}

fn check(widths: [usize; 5], expansion: &Expansion) {
    let plan = Plan::new(&blueprint(widths), expansion).expect("a plan");
    for dtype in [FloatDType::F32, FloatDType::F16, FloatDType::BF16] {
        for param in plan.params() {
            match param.old_shape.len() {
                1 => check_param::<1>(&plan, param, dtype),
                2 => check_param::<2>(&plan, param, dtype),
                _ => check_param::<3>(&plan, param, dtype),
            }
        }
    }
}

const WIDTHS: [usize; 5] = [6, 8, 10, 2, 2];

#[test]
fn every_pair_and_map_is_expanded_alike_on_host_and_device() {
    for init in InitPair::ALL {
        for map in [CopyMap::Block, CopyMap::Interleaved, CopyMap::Random] {
            let method = Method::default().with_init(init).with_map(map);
            check(WIDTHS, &all_axes(method));
        }
    }
    for scaling in [Scaling::FunctionPreserving, Scaling::None] {
        check(WIDTHS, &all_axes(Method::default().with_scaling(scaling)));
    }
}

#[test]
fn pairs_that_meet_are_expanded_alike_on_host_and_device() {
    let pair = |init| Method::default().with_init(init);
    let expansion = all_axes(pair(InitPair::RANDOM_ZERO))
        .on(
            "hidden",
            pair(InitPair::COPY_COPY).with_map(CopyMap::Interleaved),
        )
        .on("experts", pair(InitPair::ZERO_COPY));
    check(WIDTHS, &expansion);
    let expansion = all_axes(pair(InitPair::COPY_ZERO)).on("hidden", pair(InitPair::RANDOM_RANDOM));
    check(WIDTHS, &expansion);
}

#[test]
fn baselines_are_expanded_alike_on_host_and_device() {
    for baseline in [
        Baseline::UnevenSplit(SplitRatio::Fixed(1.0 / 3.0)),
        Baseline::Perturbation { size: 0.1 },
        Baseline::FunctionPreservingRandom,
        Baseline::Net2Net { noise: 0.01 },
        Baseline::HyperCloning { snr_db: 20.0 },
    ] {
        let doubled = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
        check(WIDTHS, &doubled.with_baseline(baseline));
    }
}

#[test]
fn a_large_parameter_is_expanded_alike_on_host_and_device() {
    for map in [CopyMap::Block, CopyMap::Interleaved] {
        let expansion = Expansion::by("inner", 2.0)
            .and_by("hidden", 1.5)
            .with_map(map);
        let scaled = expansion.clone().with_scaling(Scaling::FunctionPreserving);
        for expansion in [expansion, scaled] {
            check([6, 150, 210, 2, 2], &expansion);
        }
    }
}

/// Moves bytes coordinate by coordinate.
fn naive(dims: &[Vec<Option<usize>>], shape: &[usize], item: usize, from: &[u8]) -> Vec<u8> {
    let mut to = Vec::new();
    for flat in 0..dims.iter().map(Vec::len).product() {
        let (mut rest, mut stride, mut old) = (flat, item, Some(0));
        for (dim, size) in dims.iter().zip(shape).rev() {
            let source = dim[rest % dim.len()];
            old = old.and_then(|old| Some(old + source? * stride));
            rest /= dim.len();
            stride *= size;
        }
        match old {
            Some(old) => to.extend_from_slice(&from[old..old + item]),
            None => to.extend(core::iter::repeat_n(0, item)),
        }
    }
    to
}

#[test]
fn bytes_move_as_they_do_one_by_one() {
    let mut generator = generator(3, "moves");
    // The last ones take all cores.
    let shapes: [&[usize]; 7] = [
        &[5],
        &[4, 3],
        &[2, 3, 4],
        &[3, 1, 5, 2],
        &[7, 64],
        &[300, 150],
        &[90_000],
    ];
    for shape in shapes {
        for item in [1, 2, 3, 4, 8] {
            for kind in 0..5 {
                let mut sources = |size: usize| -> Option<Vec<Option<usize>>> {
                    let new = 0..size + size / 2 + 1;
                    match (kind + generator.random_range(0..2)) % 5 {
                        0 => None,
                        1 => Some(new.map(|index| Some(index % size)).collect()),
                        2 => Some(
                            new.clone()
                                .map(|index| Some(index * size / new.len()))
                                .collect(),
                        ),
                        3 => Some(new.map(|index| (index < size).then_some(index)).collect()),
                        _ => {
                            let mut drawn = || generator.random_range(0..size + 1);
                            let drawn = new.map(|_| Some(drawn()).filter(|at| *at < size));
                            Some(drawn.collect())
                        }
                    }
                };
                let dims: Vec<_> = shape.iter().map(|size| sources(*size)).collect();
                let count = shape.iter().product::<usize>() * item;
                let from: Vec<u8> = (0..count).map(|index| (index % 251) as u8 + 1).collect();
                let whole = dims.iter().zip(shape).map(|(dim, size)| {
                    dim.clone()
                        .unwrap_or_else(|| (0..*size).map(Some).collect())
                });
                let expected = naive(&whole.collect::<Vec<_>>(), shape, item, &from);
                let moves = Moves::new(dims, shape, item);
                let found = filled(moves.len(), |at, to| moves.write(&from, at, to));
                assert!(
                    found[..] == expected,
                    "{shape:?}, items of {item}, kind {kind}"
                );
            }
        }
    }
}
