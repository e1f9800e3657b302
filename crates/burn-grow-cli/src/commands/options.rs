//! Options that commands share: the folder, its family, and the expansion.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use burn_grow_cli::Model;
use burn_grow_cli::expand::Record;
use burn_grow_core::baseline::{Baseline, SplitRatio};
use burn_grow_core::plan::{AxisSetting, Blocks, CopyMap, Method, Target};
use burn_grow_core::{Expansion, InitPair, Scaling};
use clap::Args;
use serde::de::DeserializeOwned;

/// How a folder is read.
#[derive(Args)]
pub(super) struct Reading {
    /// A description of the architecture, TOML, instead of the one that comes with the program
    #[arg(long, value_name = "FILE")]
    family: Option<PathBuf>,
    /// A tensor that the family does not know and that is carried over as it is; may be repeated
    #[arg(long, value_name = "TENSOR")]
    keep: Vec<String>,
}

impl Reading {
    pub(super) fn open(&self, folder: &Path) -> anyhow::Result<Model> {
        Ok(Model::open(folder, self.family.as_deref(), &self.keep)?)
    }
}

/// What grows, and how.
#[derive(Args)]
#[command(next_help_heading = "What grows, and how")]
pub(super) struct Growing {
    /// An axis and a factor or a width, as in `inner=2x`, `hidden=1536` or `layers=2x`; may be
    /// repeated
    #[arg(long = "axis", value_name = "AXIS=TARGET")]
    axes: Vec<AxisSetting<Target>>,
    /// What the new coordinates hold, producer-consumer, each `copy`, `random` or `zero`; with
    /// `AXIS=` in front, on that axis only; may be repeated [default: copy-copy]
    #[arg(long, value_name = "[AXIS=]PAIR")]
    init: Vec<OnAxis<InitPair>>,
    /// How those that read a grown axis are rescaled: `rms-preserving`, `function-preserving` or
    /// `none`; `AXIS=` in front as above [default: rms-preserving]
    #[arg(long, value_name = "[AXIS=]RULE")]
    scaling: Vec<OnAxis<Named<Scaling>>>,
    /// Which units are copied: `block`, `interleaved` or `random`; `AXIS=` in front as above
    /// [default: block]
    #[arg(long, value_name = "[AXIS=]MAP")]
    map: Vec<OnAxis<Named<CopyMap>>>,
    /// A method of another paper instead: `hypercloning=SNR_DB`, `net2net=NOISE`,
    /// `perturbation=SIZE`, `uneven-split=RATIO` or `function-preserving-random`
    #[arg(long, value_name = "NAME[=NUMBER]", conflicts_with_all = ["init", "scaling", "map"])]
    baseline: Option<BaselineName>,
    /// What the new blocks of an axis are, in words: what they hold (copy, identity, drawn), their
    /// order (stacked, interleaved, last), or the source of every block, as in `layers=identity`,
    /// `layers=identity,interleaved` or `layers=0,1,1,2`; may be repeated
    #[arg(long, value_name = "AXIS=WORDS")]
    blocks: Vec<AxisSetting<Blocks>>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// A file that `plan --save` or `expand` wrote (`burn-grow.json`), instead of these options
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["axes", "init", "scaling", "map", "baseline", "blocks", "seed"]
    )]
    plan: Option<PathBuf>,
}

impl Growing {
    /// Gives the expansion asked for.
    pub(super) fn expansion(&self) -> anyhow::Result<Expansion> {
        if let Some(file) = &self.plan {
            return Ok(Record::read(file)?.expansion);
        }
        if self.axes.is_empty() {
            bail!("nothing is to grow: name an axis, as in `--axis inner=2x`, or a `--plan` file");
        }
        Ok(self.stated())
    }

    /// Gives the expansion asked for, if any option asks for one.
    pub(super) fn given(&self) -> anyhow::Result<Option<Expansion>> {
        let asked = self.plan.is_some() || !self.axes.is_empty();
        if !asked && (self.method_is_stated() || !self.blocks.is_empty()) {
            bail!("how axes grow is said, but not which: add `--axis`");
        }
        asked.then(|| self.expansion()).transpose()
    }

    fn method_is_stated(&self) -> bool {
        let stated = [self.init.len(), self.scaling.len(), self.map.len()];
        stated.iter().sum::<usize>() > 0 || self.baseline.is_some() || self.seed.is_some()
    }

    fn stated(&self) -> Expansion {
        let mut method = Method::default();
        if let Some(BaselineName(baseline)) = self.baseline {
            method = Method::Baseline(baseline);
        }
        let mut expansion = Expansion {
            method: self.method(method, None),
            seed: self.seed.unwrap_or_default(),
            ..Expansion::default()
        };
        for AxisSetting { axis, value } in &self.axes {
            expansion.targets.insert(axis.clone(), *value);
        }
        let init = self.init.iter().filter_map(|it| it.axis.as_ref());
        let scaling = self.scaling.iter().filter_map(|it| it.axis.as_ref());
        let map = self.map.iter().filter_map(|it| it.axis.as_ref());
        for axis in init.chain(scaling).chain(map) {
            let method = self.method(expansion.method, Some(axis));
            expansion = expansion.on(axis.as_str(), method);
        }
        self.blocks.iter().fold(expansion, |expansion, of| {
            expansion.with_blocks(of.axis.as_str(), of.value.clone())
        })
    }

    /// Changes a method by what is said of `axis`, or of all.
    fn method(&self, mut method: Method, axis: Option<&str>) -> Method {
        for OnAxis { value, .. } in self.init.iter().filter(|it| it.axis.as_deref() == axis) {
            method = method.with_init(*value);
        }
        for OnAxis { value, .. } in self.scaling.iter().filter(|it| it.axis.as_deref() == axis) {
            method = method.with_scaling(value.0);
        }
        for OnAxis { value, .. } in self.map.iter().filter(|it| it.axis.as_deref() == axis) {
            method = method.with_map(value.0);
        }
        method
    }
}

/// A setting, of one axis or of all.
#[derive(Clone, Debug, PartialEq)]
struct OnAxis<T> {
    axis: Option<String>,
    value: T,
}

impl<T: FromStr<Err: core::fmt::Display>> FromStr for OnAxis<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (axis, value) = match text.split_once('=') {
            Some((axis, value)) => (Some(axis.to_owned()), value),
            None => (None, text),
        };
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { axis, value })
    }
}

/// A setting that is called as in files.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Named<T>(T);

impl<T: DeserializeOwned> FromStr for Named<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        named(text).map(Self).map_err(|error| error.to_string())
    }
}

/// A method of another paper.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BaselineName(Baseline);

impl FromStr for BaselineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let number = number.map(str::parse::<f64>).transpose();
        let number = number.map_err(|error| error.to_string())?;
        Ok(Self(match (name, number) {
            ("function-preserving-random", None) => Baseline::FunctionPreservingRandom,
            ("hypercloning", Some(snr_db)) => Baseline::HyperCloning { snr_db },
            ("net2net", Some(noise)) => Baseline::Net2Net { noise },
            ("perturbation", Some(size)) => Baseline::Perturbation { size },
            ("uneven-split", Some(ratio)) => Baseline::UnevenSplit(SplitRatio::Fixed(ratio)),
            _ => {
                return Err(
                    "write `hypercloning=20`, `net2net=0.01`, `perturbation=0.1`, \
                            `uneven-split=0.333` or `function-preserving-random`"
                        .into(),
                );
            }
        }))
    }
}

/// Reads the variant of that name.
fn named<T: DeserializeOwned>(word: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(word.into())
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("a value that is no JSON")?;
    println!("{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        growing: Growing,
    }

    fn expansion(line: &[&str]) -> anyhow::Result<Expansion> {
        let line = [&["test"], line].concat();
        Line::try_parse_from(line)?.growing.expansion()
    }

    #[test]
    fn options_say_what_the_library_says() {
        let found = expansion(&[
            "--axis",
            "inner=2x",
            "--axis",
            "hidden=48",
            "--init",
            "copy-zero",
            "--init",
            "hidden=copy-copy",
            "--map",
            "hidden=interleaved",
            "--seed",
            "7",
        ]);
        let method = Method::default().with_init(InitPair::COPY_ZERO);
        let hidden = Method::default().with_map(CopyMap::Interleaved);
        let expected = Expansion::by("inner", 2.0)
            .and_to("hidden", 48)
            .with_init(InitPair::COPY_ZERO)
            .on("hidden", hidden)
            .with_seed(7);
        assert_eq!(expected.method, method);
        assert_eq!(found.expect("an expansion"), expected);
        let found = expansion(&[
            "--axis",
            "layers=2x",
            "--blocks",
            "layers=identity,interleaved",
        ]);
        let blocks = Blocks::identity().interleaved();
        let expected = Expansion::by("layers", 2.0).with_blocks("layers", blocks);
        assert_eq!(found.expect("an expansion"), expected);
        let found = expansion(&["--axis", "inner=2x", "--baseline", "hypercloning=20"]);
        let expected = Expansion::by("inner", 2.0);
        let expected = expected.with_baseline(Baseline::HyperCloning { snr_db: 20.0 });
        assert_eq!(found.expect("an expansion"), expected);
    }

    #[test]
    fn options_that_say_nothing_are_rejected() {
        for line in [
            &["--axis", "inner"][..],
            &["--axis", "=2x"],
            &["--axis", "inner=2x", "--init", "copy"],
            &["--axis", "inner=2x", "--map", "inner=none"],
            &["--axis", "inner=2x", "--baseline", "net2net"],
            &["--axis", "inner=2x", "--blocks", "layers=backwards"],
            &["--init", "copy-zero"],
            &[],
        ] {
            assert!(expansion(line).is_err(), "{line:?}");
        }
    }
}
