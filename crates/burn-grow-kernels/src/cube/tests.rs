//! The kernels against the host's choice, the tensor API on the same device, and Flex.
//!
//! A test holds many cases: kernels are compiled once a process, which takes software drivers
//! longer than running them. Burn tunes its own operations for every size beside that;
//! `CUBECL_AUTOTUNE_LEVEL=minimal` has it try less.

use burn_core::tensor::{DType, Device, Distribution, Gradients, Tensor, TensorData};

use crate::expert_matrices::ExpertMatrices;
use crate::host_choice::HostChoice;
use crate::routing::Routing;
use crate::{cube, experts, tensor};

/// The device under test. Seeds the random numbers, which are drawn on Flex.
fn device() -> Device {
    Device::flex().seed(7);
    #[cfg(feature = "cuda")]
    return Device::cuda(burn_core::tensor::DeviceIndex::Default);
    #[cfg(all(feature = "vulkan", not(feature = "cuda")))]
    return Device::vulkan(burn_core::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "cuda", feature = "vulkan")))]
    Device::wgpu(burn_core::tensor::DeviceKind::DefaultDevice)
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

/// Fails unless `device` and host choose alike, and the rows are in the order of their experts.
fn assert_routed(name: &str, rows: &[f32], n_experts: usize, top_k: usize, device: &Device) {
    let expected = HostChoice::choose(rows, n_experts, top_k);
    let shape = [rows.len() / n_experts, n_experts];
    let probabilities = Tensor::from_data(TensorData::new(rows.to_vec(), shape), device);
    let routing = Routing::choose(&probabilities, top_k);
    assert_eq!(routing.read_experts(), expected.experts(), "{name}");
    assert_eq!(routing.read_load(), expected.load(), "{name}");
    assert_eq!(*routing.on_host(), expected, "{name}");

    let groups = routing.on_device().expect("the device chose");
    let read = |tensor: &Tensor<1, burn_core::tensor::Int>| -> Vec<usize> {
        let data = tensor.clone().into_data();
        data.iter::<i64>().map(|value| value as usize).collect()
    };
    let order = expected.by_expert();
    assert_eq!(read(&groups.order), order, "{name}");
    let mut rows = vec![0; order.len()];
    for (row, slot) in order.into_iter().enumerate() {
        rows[slot] = row;
    }
    assert_eq!(read(&groups.rows), rows, "{name}");
    let mut starts = vec![0];
    for load in expected.load() {
        starts.push(starts[starts.len() - 1] + load);
    }
    assert_eq!(read(&groups.starts), starts, "{name}");
}

#[test]
fn the_device_chooses_as_the_host_does() {
    let device = device();
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    // Ties, both zeros, numbers too small to be normal, and what is no number.
    let special = [
        [0.25, 0.25, 0.25, 0.25],
        [0.0, -0.0, 0.5, 0.5],
        [1e-40, 2e-40, 1e-45, 0.0],
        [nan, 0.5, nan, 0.5],
        [nan, nan, nan, nan],
        [nan, -infinity, f32::MIN, -1.0],
        [-nan, infinity, -infinity, infinity],
        [-2.0, -1.0, -3.0, -1e-40],
    ];
    for top_k in 1..=4 {
        assert_routed("special", special.as_flattened(), 4, top_k, &device);
    }
    // One token, one expert, more slots than a cube looks at in one go, and many experts.
    for (tokens, n_experts, top_k) in [
        (1, 1, 1),
        (1, 7, 3),
        (5, 1, 1),
        (700, 5, 3),
        (2100, 2, 2),
        (33, 300, 8),
    ] {
        let rows: Vec<f32> = random([tokens, n_experts]).into_data().iter().collect();
        let name = format!("{tokens} tokens, {top_k} of {n_experts}");
        assert_routed(&name, &rows, n_experts, top_k, &device);
        // Rounded, so that many tie.
        let rows: Vec<f32> = rows.iter().map(|value| value.round()).collect();
        assert_routed(&format!("{name}, ties"), &rows, n_experts, top_k, &device);
    }
}

#[test]
fn nothing_is_chosen_for_no_token() {
    let device = device();
    let routing = Routing::choose(&Tensor::zeros([0, 3], &device), 2);
    assert_eq!((routing.tokens(), routing.read_load()), (0, vec![0; 3]));
}

/// The inputs of the experts, on Flex.
struct Case {
    name: String,
    probabilities: Tensor<2>,
    top_k: usize,
    x: Tensor<2>,
    weights: Tensor<2>,
    stacks: [Tensor<3>; 3],
    direction: Tensor<2>,
}

/// Values and gradients of one way to compute the experts, on Flex.
type Found = Vec<(&'static str, Tensor<1>)>;

impl Case {
    /// `skew` is how much more probable expert 0 is than the last one.
    fn new([tokens, hidden, inner]: [usize; 3], [n_experts, top_k]: [usize; 2], skew: f64) -> Self {
        let slope =
            Tensor::<1, burn_core::tensor::Int>::arange(0..n_experts as i64, &Device::flex());
        let slope = slope.float().unsqueeze::<2>() * (skew / n_experts as f64);
        let stack = |rows, columns: usize| random([n_experts, rows, columns]);
        Self {
            name: format!("{tokens} x {hidden} x {inner}, {top_k} of {n_experts}, skew {skew}"),
            probabilities: random([tokens, n_experts]) - slope,
            top_k,
            x: random([tokens, hidden]),
            weights: random([tokens, top_k]),
            stacks: [
                stack(hidden, inner),
                stack(hidden, inner),
                stack(inner, hidden),
            ],
            direction: random([tokens, hidden]),
        }
    }

    /// Values and gradients on `device`, which has a tape, in `dtype`.
    fn run(&self, device: &Device, dtype: DType, way: Way) -> Found {
        fn leaf<const D: usize>(x: &Tensor<D>, device: &Device, dtype: DType) -> Tensor<D> {
            Tensor::from_data(x.to_data(), (device, dtype)).require_grad()
        }
        fn grad<const D: usize>(x: &Tensor<D>, grads: &Gradients) -> Tensor<1> {
            flat(x.grad(grads).expect("a gradient"))
        }
        let probabilities = self.probabilities.to_data();
        let probabilities = Tensor::from_data(probabilities, (device, DType::F32));
        let routing = Routing::choose(&probabilities, self.top_k);
        let (x, weights) = (
            leaf(&self.x, device, dtype),
            leaf(&self.weights, device, dtype),
        );
        let stacks = self.stacks.each_ref().map(|it| leaf(it, device, dtype));
        let [gate, up, down] = stacks.clone();
        let matrices = ExpertMatrices { gate, up, down };
        let run = |way: Way, x: Tensor<2>, weights: Tensor<2>, matrices| match way {
            Way::Public => experts(x, weights, &routing, matrices),
            Way::TensorApi => tensor::experts(x, weights, &routing, matrices),
        };
        let y = run(way, x.clone(), weights.clone(), matrices);
        let direction = Tensor::from_data(self.direction.to_data(), (device, dtype));
        let grads = (y.clone() * direction).sum().backward();
        let [gate, up, down] = stacks.each_ref().map(|stack| grad(stack, &grads));
        vec![
            ("value", flat(y)),
            ("x", grad(&x, &grads)),
            ("weights", grad(&weights, &grads)),
            ("gate", gate),
            ("up", up),
            ("down", down),
        ]
    }
}

#[derive(Clone, Copy)]
enum Way {
    Public,
    TensorApi,
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let data = x.without_autodiff().into_data();
    let count = data.num_elements();
    Tensor::<D>::from_data(data, (&Device::flex(), DType::F32)).reshape([count])
}

/// Returns the largest difference, as a fraction of the largest number.
fn assert_close(case: &str, found: &Found, expected: &Found, tolerance: f32) -> f32 {
    let differences = found.iter().zip(expected).map(|(found, expected)| {
        let (name, expected) = expected.clone();
        assert_eq!(found.1.dims(), expected.dims(), "{case}: {name}");
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let difference = (found.1.clone() - expected).abs().max();
        let difference = difference.into_scalar::<f32>() / largest.max(1.0);
        assert!(difference <= tolerance, "{case}, {name}: {difference}");
        difference
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn experts_equal_flex_and_repeat() {
    let device = device().autodiff();
    for case in [
        Case::new([1, 3, 2], [1, 1], 0.0),
        // Fewer slots than experts, and experts that nobody is sent to.
        Case::new([3, 5, 7], [9, 2], 0.0),
        Case::new([64, 20, 8], [8, 8], 0.0),
        // Several tiles of rows, none of them full.
        Case::new([150, 70, 33], [3, 2], 3.0),
    ] {
        let kernel = case.run(&device, DType::F32, Way::Public);
        let again = case.run(&device, DType::F32, Way::Public);
        for ((name, one), (_, other)) in kernel.iter().zip(&again) {
            let equal = one.clone().equal(other.clone()).all().into_scalar::<bool>();
            assert!(equal, "{}, {name} does not repeat", case.name);
        }
        let flex = case.run(&Device::flex().autodiff(), DType::F32, Way::Public);
        let to_flex = assert_close(&case.name, &kernel, &flex, 1e-5);
        println!("{}: {to_flex:e} to Flex", case.name);
    }
}

/// In few cases, as the device tunes its products for every size.
#[test]
fn experts_equal_the_tensor_api() {
    let device = device().autodiff();
    for case in [
        Case::new([3, 5, 7], [9, 2], 0.0),
        Case::new([40, 16, 32], [4, 3], 50.0),
    ] {
        let kernel = case.run(&device, DType::F32, Way::Public);
        let api = case.run(&device, DType::F32, Way::TensorApi);
        let to_api = assert_close(&case.name, &kernel, &api, 1e-5);
        println!("{}: {to_api:e} to the tensor API", case.name);
    }
}

#[test]
fn half_precision_rounds_inputs_and_answers_only() {
    let device = device().autodiff();
    for (dtype, tolerance) in [(DType::F16, 4e-3), (DType::BF16, 3e-2)] {
        if !device.supports_dtype(dtype) {
            println!("{dtype:?}: the device says that it does not have it");
            continue;
        }
        for case in [
            Case::new([40, 16, 32], [4, 3], 50.0),
            // The largest tiles.
            Case::new([270, 129, 140], [2, 1], 1.0),
            // Sizes that matrix units take, where the device has them.
            Case::new([200, 64, 128], [3, 2], 2.0),
        ] {
            let kernel = case.run(&device, dtype, Way::Public);
            let flex = case.run(&Device::flex().autodiff(), DType::F32, Way::Public);
            let difference = assert_close(&case.name, &kernel, &flex, tolerance);
            println!("{}, {dtype:?}: {difference:e} to Flex in f32", case.name);
        }
    }
}

#[test]
fn the_tensor_api_answers_under_gradient_checkpointing() {
    let device = device().autodiff().gradient_checkpointing();
    assert!(!cube::supports(&Tensor::<1>::zeros([2], &device)));
    let case = Case::new([9, 6, 5], [4, 2], 1.0);
    let found = case.run(&device, DType::F32, Way::Public);
    let flex = case.run(&Device::flex().autodiff(), DType::F32, Way::Public);
    assert_close(&case.name, &found, &flex, 1e-5);
}

/// Inference: no tape, and weights that are views.
#[test]
fn experts_answer_without_a_tape() {
    let device = device();
    let case = Case::new([12, 6, 5], [4, 2], 1.0);
    let on = |device: &Device| {
        fn moved<const D: usize>(x: &Tensor<D>, device: &Device) -> Tensor<D> {
            Tensor::from_data(x.to_data(), device)
        }
        let routing = Routing::choose(&moved(&case.probabilities, device), case.top_k);
        let [gate, _, down] = case.stacks.each_ref().map(|it| moved(it, device));
        // Transposed in memory.
        let up = case.stacks[1].clone().swap_dims(1, 2);
        let up = moved(&up, device).swap_dims(1, 2);
        let x = moved(&case.x.clone().transpose(), device).transpose();
        let matrices = ExpertMatrices { gate, up, down };
        let y = experts(x, moved(&case.weights, device), &routing, matrices);
        vec![("value", flat(y))]
    };
    assert_close(&case.name, &on(&device), &on(&Device::flex()), 1e-5);
}
