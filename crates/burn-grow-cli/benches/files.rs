//! How long `burn-grow expand` takes for a folder of random weights, against `cp` of what it writes
//! on the same disk, and how much memory it has at most.
//!
//! `cargo xtask bench files` builds and runs this. Both sides take turns, so that they meet the same
//! load of the machine. Before each of them the operating system forgets the files that are read, and
//! both times end when everything has reached the disk.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use burn_grow_cli::Folder;
use serde_json::{Map, json};

#[path = "../tests/it/peak.rs"]
mod peak;

use peak::peak_of;

/// The variable that tells how large the folder is, in gigabytes.
const GIGABYTES: &str = "BURN_GROW_GIGABYTES";
const ROUNDS: usize = 3;
/// How often the memory of the program is looked at.
const LOOK: Duration = Duration::from_millis(10);

const VOCAB: usize = 32_000;
const HIDDEN: usize = 3072;
const INNER: usize = 8192;
const HEAD: usize = 128;
const KV_HEADS: usize = 8;
/// Bytes of a number.
const BF16: usize = 2;
/// Bytes of a file of weights, as `transformers` has it.
const SHARD: usize = 5_000_000_000;

fn main() {
    if !cfg!(target_os = "linux") {
        println!("nothing is measured: the memory of a program is read from /proc");
        return;
    }
    let gigabytes = std::env::var(GIGABYTES).map_or(4.0, |text| text.parse::<f64>().unwrap());
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files");
    // What an interrupted run has left.
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    let narrow = root.join("narrow");
    let layers = write_llama(&narrow, gigabytes);
    let size = bytes(&narrow) as f64 / 1e9;
    println!("llama in bf16, hidden {HIDDEN}, inner {INNER}, {layers} layers: {size:.2} GB");
    println!("medians of {ROUNDS}, and the least and the most of them");
    row(&root, &narrow, &["inner=2x"]);
    let all = ["hidden", "inner", "kv_heads", "vocab"].map(|axis| format!("{axis}=1.25x"));
    let layers = format!("layers={}", layers + 1);
    let all = all.iter().map(String::as_str).chain([layers.as_str()]);
    row(&root, &narrow, &all.collect::<Vec<_>>());
    fs::remove_dir_all(&root).unwrap();
}

/// Expands by `axes`, copies the result, and prints how both went.
fn row(root: &Path, narrow: &Path, axes: &[&str]) {
    let (wide, copy) = (root.join("wide"), root.join("copy"));
    let mut rows = Vec::new();
    let (mut size, mut largest) = (0, 0);
    for _ in 0..ROUNDS {
        forget(narrow);
        let expanded = expand(narrow, &wide, axes);
        // The disk has what `expand` wrote, and `cp` reads from it.
        forget(&wide);
        fs::create_dir(&copy).unwrap();
        let start = Instant::now();
        run(Command::new("cp").args(files(&wide)).arg(&copy));
        let copied = start.elapsed().as_secs_f64();
        run(Command::new("sync").args(files(&copy)));
        let synced = start.elapsed().as_secs_f64();
        rows.push((expanded, copied, synced));
        size = bytes(&wide);
        let tensors = Folder::open(&wide).unwrap();
        let sizes = tensors.tensors().values().map(|stored| stored.num_bytes());
        largest = sizes.max().unwrap();
        fs::remove_dir_all(&wide).unwrap();
        fs::remove_dir_all(&copy).unwrap();
    }
    let column = |of: fn(&(Expanded, f64, f64)) -> f64| spread(rows.iter().map(of).collect());
    println!("\n{}: {:.2} GB written", axes.join(" "), size as f64 / 1e9);
    println!("expand            {} s", column(|row| row.0.seconds));
    println!("cp and sync       {} s", column(|row| row.2));
    println!("cp alone          {} s", column(|row| row.1));
    println!("speed of cp       {}", column(|row| row.2 / row.0.seconds));
    println!("  of cp alone     {}", column(|row| row.1 / row.0.seconds));
    println!("processor         {} s", column(|row| row.0.processor));
    let peak = rows.iter().map(|row| row.0.peak).max().unwrap();
    let [peak, largest] = [peak, largest].map(|bytes| bytes as f64 / 1e6);
    println!(
        "peak memory       {peak:.0} MB, the largest tensor {largest:.0} MB: {:.2} of 3 times that \
         and 200 MB",
        peak / (3.0 * largest + 200.0)
    );
}

/// What an expansion took.
struct Expanded {
    seconds: f64,
    /// Seconds of all cores together.
    processor: f64,
    /// Bytes of memory at most.
    peak: u64,
}

fn expand(narrow: &Path, wide: &Path, axes: &[&str]) -> Expanded {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_burn-grow"))
        .arg("expand")
        .arg(narrow)
        .args(axes.iter().flat_map(|axis| ["--axis", axis]))
        .arg("--json")
        .arg("--out")
        .arg(wide)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut peak, mut processor) = (0, 0.0);
    loop {
        // Both only grow: what the last look missed is little.
        peak = peak.max(peak_of(child.id()).unwrap_or_default());
        processor = seconds_of(child.id()).unwrap_or(processor);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        std::thread::sleep(LOOK);
    }
    Expanded {
        seconds: start.elapsed().as_secs_f64(),
        processor,
        peak,
    }
}

/// The seconds that a program and the system for it have computed.
fn seconds_of(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.try_fold(0.0, |sum, ticks| Some(sum + ticks.parse::<f64>().ok()?))?;
    // Linux counts hundredths for every architecture.
    Some(ticks / 100.0)
}

/// Makes the operating system read the files of a folder from the disk when they are needed next.
fn forget(folder: &Path) {
    run(Command::new("sync").args(files(folder)));
    for file in files(folder) {
        let mut input = std::ffi::OsString::from("if=");
        input.push(file);
        let forget = ["iflag=nocache", "count=0", "status=none"];
        run(Command::new("dd").arg(input).args(forget));
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn bytes(folder: &Path) -> u64 {
    let sizes = files(folder).into_iter().map(fs::metadata);
    sizes.map(|metadata| metadata.unwrap().len()).sum()
}

/// The median, the least and the most.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let [least, median, most] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
    format!("{median:.2} ({least:.2} to {most:.2})")
}

/// Writes a Llama of about so many gigabytes. Returns its layers.
fn write_llama(folder: &Path, gigabytes: f64) -> usize {
    let layer: usize = shapes_of_layer(0)
        .iter()
        .map(|(_, shape)| size(shape))
        .sum();
    let ends: usize = shapes_of_ends().iter().map(|(_, shape)| size(shape)).sum();
    let layers = ((gigabytes * 1e9 - ends as f64) / layer as f64)
        .round()
        .max(1.0) as usize;
    let mut shapes = shapes_of_ends();
    shapes.extend((0..layers).flat_map(shapes_of_layer));
    fs::create_dir(folder).unwrap();
    let config = json!({
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HIDDEN / HEAD,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "tie_word_embeddings": false,
        "torch_dtype": "bfloat16",
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for (name, shape) in shapes {
        if filled + size(&shape) > SHARD {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += size(&shape);
        shards.last_mut().unwrap().push((name, shape));
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut index = Map::new();
    let count = shards.len();
    for (number, tensors) in shards.into_iter().enumerate() {
        let file = match count {
            1 => "model.safetensors".into(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        for (name, _) in &tensors {
            index.insert(name.clone(), json!(file));
        }
        write_shard(&folder.join(file), &tensors, &mut random);
    }
    if count > 1 {
        let index = json!({ "weight_map": index }).to_string();
        fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    }
    layers
}

fn write_shard(path: &Path, tensors: &[(String, Vec<usize>)], random: &mut Random) {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in tensors {
        let begin = end;
        end += size(shape);
        let entry = json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]});
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    // Every size is a multiple of eight.
    for _ in 0..end / 8 {
        file.write_all(&random.four().to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

fn shapes_of_ends() -> Vec<(String, Vec<usize>)> {
    vec![
        ("model.embed_tokens.weight".into(), vec![VOCAB, HIDDEN]),
        ("model.norm.weight".into(), vec![HIDDEN]),
        ("lm_head.weight".into(), vec![VOCAB, HIDDEN]),
    ]
}

fn shapes_of_layer(layer: usize) -> Vec<(String, Vec<usize>)> {
    let kv = KV_HEADS * HEAD;
    let tensors = [
        ("input_layernorm", vec![HIDDEN]),
        ("post_attention_layernorm", vec![HIDDEN]),
        ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
        ("self_attn.k_proj", vec![kv, HIDDEN]),
        ("self_attn.v_proj", vec![kv, HIDDEN]),
        ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
        ("mlp.gate_proj", vec![INNER, HIDDEN]),
        ("mlp.up_proj", vec![INNER, HIDDEN]),
        ("mlp.down_proj", vec![HIDDEN, INNER]),
    ];
    let named = tensors.into_iter();
    named
        .map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape))
        .collect()
}

/// The bytes of a tensor.
fn size(shape: &[usize]) -> usize {
    BF16 * shape.iter().product::<usize>()
}

/// Random bits, by xorshift.
struct Random(u64);

impl Random {
    /// Four numbers in bf16: their sign, the last bit of their exponent and their digits are random.
    fn four(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 & 0x80FF_80FF_80FF_80FF | 0x3C00_3C00_3C00_3C00
    }
}
