use core::fmt::Write;

use crate::report::plot::{BOTTOM, RIGHT, Scale, TOP, WIDTH, escape, number, open};

/// A row of a [`dumbbells`] chart: a name, and a value before and after.
pub(crate) struct Dumbbell {
    /// The name.
    pub(crate) name: String,
    /// The value before.
    pub(crate) before: f64,
    /// The value after.
    pub(crate) after: f64,
}

/// Values before and after, a row for each, on a logarithmic axis.
pub(crate) fn dumbbells(rows: &[Dumbbell], label: &'static str) -> String {
    const ROW: f64 = 25.0;
    const NAMES: f64 = 136.0;
    let bottom = TOP + ROW * rows.len() as f64;
    let values = || rows.iter().flat_map(|row| [row.before, row.after]);
    let low = values().fold(f64::MAX, f64::min).max(1e-6).log10() - 0.1;
    let high = values().fold(f64::MIN, f64::max).max(1e-6).log10() + 0.1;
    let x = Scale {
        values: (low, high),
        coordinates: (NAMES, WIDTH - RIGHT),
    };
    let mut svg = open(label, "place", bottom + BOTTOM);
    for power in (low.floor() as i32)..=(high.ceil() as i32) {
        for factor in [1.0, 2.0, 5.0] {
            let value = factor * 10f64.powi(power);
            if value.log10() < low || value.log10() > high {
                continue;
            }
            let at = x.at(value.log10());
            let _ = write!(
                svg,
                r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{bottom}"/><text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                bottom + 18.0,
                number(value)
            );
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (index as f64 + 0.5);
        let at = |value: f64| x.at(value.max(1e-6).log10());
        let (before, after) = (at(row.before), at(row.after));
        let _ = write!(
            svg,
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text><line class="link" x1="{before:.1}" x2="{after:.1}" y1="{y}" y2="{y}"/><circle class="before" cx="{before:.1}" cy="{y}" r="6"/><circle class="after" cx="{after:.1}" cy="{y}" r="3.2"/><text class="tick" x="{:.1}" y="{:.1}">{} → {}</text>"#,
            NAMES - 10.0,
            y + 4.0,
            escape(&row.name),
            WIDTH - RIGHT + 12.0,
            y + 4.0,
            number(row.before),
            number(row.after)
        );
    }
    let _ = write!(
        svg,
        r#"<text class="label" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        (NAMES + WIDTH - RIGHT) / 2.0,
        bottom + 36.0,
        escape(label)
    );
    svg + "</svg>"
}
