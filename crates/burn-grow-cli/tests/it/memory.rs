//! How much memory an expansion takes, next to its largest tensor.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::common::{Dir, llama, read};
use crate::peak::peak_of;

const HIDDEN: usize = 1024;
const INNER: usize = 2048;
/// What the program has beside tensors: itself, and what waits for the disk.
const REST: u64 = 60_000_000;

/// The small Llama with one layer in bf16, wide where it was narrow.
fn large() -> Dir {
    let mut folder = llama();
    for (key, size) in [
        ("hidden_size", HIDDEN),
        ("intermediate_size", INNER),
        ("num_hidden_layers", 1),
    ] {
        folder.config[key] = json!(size);
    }
    folder.arrays.retain(|name, _| !name.contains("layers.1."));
    let mut bits = 1_u32;
    for array in folder.arrays.values_mut() {
        for size in &mut array.shape {
            *size = match *size {
                8 => HIDDEN,
                6 => INNER,
                // Two key heads for four heads.
                4 => HIDDEN / 2,
                words => words,
            };
        }
        let numbers = (0..array.shape.iter().product()).flat_map(|_| {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Of either sign, from 1/64 to 1/32.
            ((bits >> 16) as u16 & 0x807F | 0x3C80).to_le_bytes()
        });
        array.bytes = numbers.collect();
        array.dtype = "BF16".into();
    }
    folder.write();
    folder
}

/// Expands by twice the inner width. Returns the most memory that the program had.
fn peak(folder: &Dir, options: &[&str]) -> u64 {
    if folder.out().exists() {
        std::fs::remove_dir_all(folder.out()).expect("removed");
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_burn-grow"))
        .arg("expand")
        .arg(folder.path())
        .arg("--out")
        .arg(folder.out())
        .args(["--axis", "inner=2x", "--json"])
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    let mut peak = 0;
    loop {
        peak = peak.max(peak_of(program.id()).unwrap_or_default());
        if let Some(status) = program.try_wait().expect("a status") {
            assert!(status.success(), "{options:?}: {status}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn noise_and_random_numbers_take_at_most_three_times_the_largest_tensor() {
    let folder = large();
    for options in [
        &["--baseline", "hypercloning=20"][..],
        &["--baseline", "perturbation=0.1"],
        &["--baseline", "net2net=0.01"],
        &["--baseline", "function-preserving-random"],
        &["--init", "random-zero"],
        &[],
    ] {
        let peak = peak(&folder, options);
        let tensors = read(&folder.out());
        let largest = tensors.values().map(|array| array.bytes.len() as u64).max();
        let largest = largest.expect("a tensor");
        println!("{options:?}: {peak} bytes, the largest tensor {largest}");
        assert!(peak > largest / 2, "{options:?}: {peak} bytes were seen");
        let limit = 3 * largest + REST;
        assert!(
            peak <= limit,
            "{options:?}: {peak} bytes, expected at most {limit}"
        );
    }
}
