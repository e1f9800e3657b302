use core::fmt::Write;

use crate::report::plot::{BOTTOM, Scale, TOP, WIDTH, escape, number, open, standalone};
use crate::summary::gather::Entry;
use crate::summary::groups::Group;
use crate::summary::statistics::{Spread, differences};

const STYLE: &str = include_str!("figure.css");

/// The height of an arm, and the room for the names and for the means.
const ROW: f64 = 24.0;
const NAMES: f64 = 240.0;
const VALUES: f64 = 136.0;

/// A figure of what is compared: a row for each arm, a dot for each seed, and a stroke at the mean.
///
/// With a reference it shows losses minus those of the reference with the same seed, else losses. None if there
/// is nothing to show.
pub(super) fn figure(group: &Group, entries: &[Entry]) -> Option<String> {
    let reference = group.reference.map(|index| &entries[index]);
    let members = group.members.iter().map(|index| &entries[*index]);
    let others =
        members.filter(|entry| reference.is_none_or(|reference| reference.name != entry.name));
    let strips: Vec<Strip> = others
        .map(|entry| Strip {
            name: group.short(&entry.name),
            values: match reference {
                Some(reference) => differences(&entry.rows, &reference.rows),
                None => entry.rows.iter().map(|row| row.loss).collect(),
            },
        })
        .filter(|strip| !strip.values.is_empty())
        .collect();
    let label = match reference {
        Some(reference) => format!(
            "loss minus that of {}, seed by seed",
            group.short(&reference.name)
        ),
        None => "loss".to_owned(),
    };
    let zero = reference.is_some();
    (!strips.is_empty()).then(|| standalone(&draw(&strips, &label, zero), STYLE))
}

/// A row of the figure.
struct Strip {
    name: String,
    values: Vec<f64>,
}

fn draw(strips: &[Strip], label: &str, zero: bool) -> String {
    let bottom = TOP + ROW * strips.len() as f64;
    let values = strips.iter().flat_map(|strip| strip.values.iter().copied());
    let (low, high) = values
        .chain(zero.then_some(0.0))
        .fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    let margin = match high > low {
        true => 0.05 * (high - low),
        false => 0.01,
    };
    let x = Scale {
        values: (low - margin, high + margin),
        coordinates: (NAMES, WIDTH - VALUES),
    };
    let mut svg = open(label, "arm", bottom + BOTTOM);
    // Writing to a string does not fail.
    for tick in x.ticks(5) {
        let at = x.at(tick);
        let class = match zero && tick == 0.0 {
            true => "axis",
            false => "grid",
        };
        let _ = write!(
            svg,
            r#"<line class="{class}" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom}"/><text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 18.0,
            number(tick).replace('-', "\u{2212}")
        );
    }
    for (index, strip) in strips.iter().enumerate() {
        let y = TOP + ROW * (index as f64 + 0.5);
        let _ = write!(
            svg,
            r#"<text class="name" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            NAMES - 12.0,
            y + 4.0,
            escape(&strip.name)
        );
        for value in &strip.values {
            let at = x.at(*value);
            let _ = write!(
                svg,
                r#"<circle class="seed" cx="{at:.1}" cy="{y:.1}" r="3.5"/>"#
            );
        }
        if let Some(spread) = Spread::of(&strip.values) {
            let at = x.at(spread.mean);
            let mean = match zero {
                true => spread.show_signed(4),
                false => spread.show(4),
            };
            let _ = write!(
                svg,
                r#"<line class="mean" x1="{at:.1}" x2="{at:.1}" y1="{:.1}" y2="{:.1}"/><text class="tick" x="{:.1}" y="{:.1}">{}</text>"#,
                y - 8.0,
                y + 8.0,
                WIDTH - VALUES + 10.0,
                y + 4.0,
                mean.replace('-', "\u{2212}").replace("+\u{2212}", "\u{b1}")
            );
        }
    }
    let _ = write!(
        svg,
        r#"<text class="label" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        (NAMES + WIDTH - VALUES) / 2.0,
        bottom + 36.0,
        escape(label)
    );
    svg + "</svg>"
}
