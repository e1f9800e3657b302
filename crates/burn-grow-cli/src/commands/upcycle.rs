use std::path::PathBuf;
use std::process::ExitCode;

use burn_grow_cli::Model;
use burn_grow_cli::expand::Job;
use burn_grow_cli::upcycle::{Router, RoutingWeights, Upcycled, Upcycling};
use burn_grow_core::cost::training_flops;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::options::{Reading, print_json};
use super::plan;
use super::progress::Bar;
use super::text;
use super::written::print_written;

/// Writes a model with experts, which are copies of the feed-forward of a dense one
///
/// The weights of the experts of a token sum to one, and copies are equal at first, so that the new
/// model computes what the dense one does; `verify` says so, or why not. Mixtral is made out of Llama
/// and Mistral, Qwen 3 MoE out of Qwen 3, FlexOlmo out of OLMo 2. The folder appears whole or not at
/// all: until then its name ends in `.partial`.
#[derive(Args)]
pub(super) struct Upcycle {
    /// The folder of the dense model
    folder: PathBuf,
    /// The new folder, which must not exist
    #[arg(long, value_name = "FOLDER", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Prints what would be made, and what it costs: nothing but headers is read, and nothing is
    /// written
    #[arg(long, conflicts_with_all = ["out", "resume"])]
    dry_run: bool,
    /// The family of the new model: `mixtral`, `qwen3_moe` or `flex_olmo`
    #[arg(long, value_name = "FAMILY")]
    to: String,
    /// The copies of the feed-forward
    #[arg(long, value_name = "COPIES")]
    experts: usize,
    /// The copies that a token takes
    #[arg(long, value_name = "COPIES")]
    top_k: usize,
    /// The parts in which every copy is cut: there are so many times as many experts, of which a
    /// token takes so many times as many
    #[arg(long, value_name = "PARTS", default_value_t = 1)]
    granularity: usize,
    /// What the router holds: random numbers with the `initializer_range` of the configuration, equal
    /// for the parts of a copy, or zeros
    #[arg(long, value_enum, default_value_t)]
    router: RouterName,
    /// How the experts of a token are weighed: so that their weights sum to one, or by the softmax
    /// over all experts, whose sum at equal scores is made up for
    #[arg(long, value_enum, default_value_t)]
    weights: WeightsName,
    /// The noise on all copies but the first: its standard deviation, relative to the RMS of each
    /// matrix
    #[arg(long, value_name = "SIZE", default_value_t = 0.0)]
    noise: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
    /// The largest file of weights
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = text::parse_bytes)]
    shard_size: u64,
    /// Goes on with what an interrupted run has left
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum RouterName {
    #[default]
    Drawn,
    Zero,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum WeightsName {
    #[default]
    Normalized,
    Softmax,
}

impl Upcycle {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let model = self.reading.open(&self.folder)?;
        let upcycled = model.upcycle(&self.upcycling())?;
        let Some(out) = &self.out else {
            match self.json {
                true => print_json(&as_json(&model, &upcycled))?,
                false => print(&model, &upcycled),
            }
            return Ok(ExitCode::SUCCESS);
        };
        let job = Job {
            made: &upcycled.folder,
            out,
            shard_bytes: self.shard_size,
            resume: self.resume,
        };
        let mut bar = Bar::new(self.json);
        let written = job.write(&mut bar);
        bar.finish();
        let written = written?;
        if self.json {
            print_json(&json!({
                "out": out.display().to_string(),
                "plan": as_json(&model, &upcycled),
                "written": written,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        print(&model, &upcycled);
        print_written(out, &written);
        Ok(ExitCode::SUCCESS)
    }

    fn upcycling(&self) -> Upcycling {
        let router = match self.router {
            RouterName::Drawn => Router::Drawn,
            RouterName::Zero => Router::Zero,
        };
        let weights = match self.weights {
            WeightsName::Normalized => RoutingWeights::Normalized,
            WeightsName::Softmax => RoutingWeights::Softmax,
        };
        Upcycling::new(&self.to, self.experts, self.top_k)
            .with_granularity(self.granularity)
            .with_router(router)
            .with_weights(weights)
            .with_noise(self.noise)
            .with_seed(self.seed)
    }
}

fn print(model: &Model, upcycled: &Upcycled<'_>) {
    println!("family: {} -> {}", upcycled.from, upcycled.upcycling.to);
    println!(
        "experts: {} in a layer, of which a token takes {}",
        upcycled.experts, upcycled.top_k
    );
    let (old, new) = upcycled.inner;
    println!("width: {new} in an expert, {old} in the feed-forward");
    let (old, new) = upcycled.parameters;
    println!("parameters: {old} -> {new}");
    let (old, new) = upcycled.active_parameters;
    println!("active parameters: {old:.0} -> {new:.0}");
    let (old, new) = (training_flops(old, 1.0), training_flops(new, 1.0));
    println!("training FLOPs per token (6N): {old:.3e} -> {new:.3e}");
    plan::print_bytes(plan::bytes(model.folder(), &upcycled.folder.outputs));
    plan::print_changes(&upcycled.changes, &upcycled.notes);
    println!("function: {}", upcycled.kept);
}

/// What an upcycling comes to, for machines.
fn as_json(model: &Model, upcycled: &Upcycled<'_>) -> Value {
    let outputs = &upcycled.folder.outputs;
    let mut all = plan::costs(
        upcycled.parameters,
        upcycled.active_parameters,
        plan::bytes(model.folder(), outputs),
    );
    let (old, new) = upcycled.inner;
    all.insert("from".into(), json!(upcycled.from));
    all.insert("to".into(), json!(upcycled.upcycling.to));
    all.insert("upcycling".into(), json!(upcycled.upcycling));
    all.insert("experts".into(), json!(upcycled.experts));
    all.insert("top_k".into(), json!(upcycled.top_k));
    all.insert("inner".into(), json!({ "old": old, "new": new }));
    all.insert("config".into(), json!(upcycled.changes));
    all.insert("kept".into(), json!(upcycled.kept));
    all.insert("notes".into(), json!(upcycled.notes));
    all.insert("tensors".into(), plan::tensors(outputs));
    all.into()
}
