//! Numbers that are drawn or rounded: noise, routers, and bfloat16.

use burn_grow_cli::upcycle::{Kept, Router, RoutingWeights, Upcycling};
use serde_json::json;

use super::{expected, names, qwen3, routers, upcycled, write};
use crate::common::{array, llama};

#[test]
fn noise_is_on_all_copies_but_the_first() {
    let mut folder = llama();
    // Enough numbers for a standard deviation, and far from 1 in size.
    for layer in 0..2 {
        for (name, shape) in [("gate", [96, 8]), ("up", [96, 8]), ("down", [8, 96])] {
            let name = format!("model.layers.{layer}.mlp.{name}_proj.weight");
            let matrix = array(&name, &shape);
            folder.arrays.insert(name, matrix);
        }
    }
    folder.config["intermediate_size"] = json!(96);
    folder.write();
    let upcycling = Upcycling::new("mixtral", 3, 2)
        .with_granularity(2)
        .with_noise(0.25);
    let (_, mut found, kept) = upcycled(&folder, &upcycling);
    assert_eq!(kept, Kept::UpToNoise { noise: 0.25 });
    routers(&mut found, "mixtral");
    let alike = expected(&folder, &upcycling, 2.0);
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for layer in 0..2 {
        for expert in 0..6 {
            for matrix in 0..3 {
                let name = names("mixtral", layer, expert, matrix).1;
                let (found, alike) = (found[&name].values(), alike[&name].values());
                if expert < 2 {
                    assert!(found == alike, "{name}");
                    continue;
                }
                let pairs = found.iter().zip(&alike);
                let noise: Vec<f32> = pairs.map(|(found, alike)| found - alike).collect();
                let rms = |values: &[f32]| {
                    let squares = values.iter().map(|value| f64::from(*value).powi(2));
                    (squares.sum::<f64>() / values.len() as f64).sqrt()
                };
                let relative = rms(&noise) / rms(&alike);
                assert!((relative / 0.25 - 1.0).abs() < 0.15, "{name}: {relative}");
                let mean = noise.iter().sum::<f32>() / noise.len() as f32;
                assert!(f64::from(mean).abs() < 0.2 * rms(&noise), "{name}: {mean}");
                assert!(!seen.contains(&noise), "{name}");
                seen.push(noise);
            }
        }
    }
    let (_, again, _) = upcycled(&folder, &upcycling);
    let (_, other, _) = upcycled(&folder, &upcycling.clone().with_seed(1));
    let name = names("mixtral", 0, 2, 0).1;
    assert!(again[&name] == found[&name] && other[&name] != found[&name]);
}

#[test]
fn a_router_is_drawn_by_the_initializer_range() {
    let mut folder = llama();
    for (range, expected) in [(None, 0.02), (Some(json!(0.5)), 0.5)] {
        if let Some(range) = range {
            folder.config["initializer_range"] = range;
            folder.write();
        }
        let (_, mut found, _) = upcycled(&folder, &Upcycling::new("mixtral", 64, 2));
        for router in routers(&mut found, "mixtral") {
            let values = router.values();
            let squares = values.iter().map(|value| f64::from(*value).powi(2));
            let deviation = (squares.sum::<f64>() / values.len() as f64).sqrt();
            assert!((deviation / expected - 1.0).abs() < 0.15, "{deviation}");
        }
    }
    folder.config["initializer_range"] = json!("small");
    folder.write();
    let error = write(&folder, &Upcycling::new("mixtral", 4, 2)).expect_err("rejected");
    assert!(
        error
            .to_string()
            .contains("`initializer_range` is \"small\""),
        "{error}"
    );
}

#[test]
fn bfloat16_is_computed_in_single_precision_and_rounded_once() {
    let mut folder = qwen3();
    let single = folder.arrays.clone();
    for array in folder.arrays.values_mut() {
        *array = array.halved();
    }
    folder.write();
    let upcycling = Upcycling::new("qwen3_moe", 3, 2)
        .with_router(Router::Zero)
        .with_weights(RoutingWeights::Softmax);
    let (_, mut found, _) = upcycled(&folder, &upcycling);
    let routers = routers(&mut found, "qwen3_moe");
    assert!(
        routers
            .iter()
            .all(|it| it.dtype == "BF16" && it.bytes.len() == 3 * 8 * 2)
    );
    let (dense, name) = names("qwen3_moe", 1, 2, 2);
    let bits = |half: &[u8]| u32::from(u16::from_le_bytes([half[0], half[1]])) << 16;
    let halves = single[&dense].halved();
    let wanted = halves.bytes.chunks(2).map(|half| {
        let product = (f32::from_bits(bits(half)) * 1.5_f32).to_bits();
        // To the nearest, ties to even.
        let rounded = (product + 0x7FFF + (product >> 16 & 1)) >> 16;
        u16::try_from(rounded).expect("two bytes").to_le_bytes()
    });
    assert_eq!(found[&name].bytes, wanted.flatten().collect::<Vec<u8>>());
    let (dense, name) = names("qwen3_moe", 1, 2, 0);
    assert_eq!(found[&name], folder.arrays[&dense]);
}
