use core::fmt::Write;

/// The size of a chart in its own units, and the room around what is drawn.
pub(crate) const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
pub(crate) const RIGHT: f64 = 118.0;
pub(crate) const TOP: f64 = 12.0;
pub(crate) const BOTTOM: f64 = 44.0;

/// The least distance between two names at the right.
const LABEL: f64 = 14.0;

/// A line chart, drawn as SVG whose colours are classes: a style sheet decides them.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What runs along the bottom.
    pub(crate) x_label: &'static str,
    /// What runs up the side.
    pub(crate) y_label: &'static str,
    /// The lines, the last one on top.
    pub(crate) lines: Vec<Line>,
    /// A place on the x axis to point out, and its name.
    pub(crate) mark: Option<(f64, &'static str)>,
    /// The range shown; absent, all there is.
    pub(crate) x_range: Option<(f64, f64)>,
    /// The range shown; absent, all there is.
    pub(crate) y_range: Option<(f64, f64)>,
    /// The room for the names of the lines, at the right.
    pub(crate) names: f64,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            x_label: "",
            y_label: "",
            lines: Vec::new(),
            mark: None,
            x_range: None,
            y_range: None,
            names: RIGHT,
        }
    }
}

/// One line of a [`Chart`].
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name, written at its end.
    pub(crate) name: String,
    /// Its class.
    pub(crate) class: String,
    /// Its points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A linear map from a range of values to a range of coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// The range of values.
    pub(crate) values: (f64, f64),
    /// The coordinates of its ends.
    pub(crate) coordinates: (f64, f64),
}

impl Scale {
    /// The coordinate of `value`.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let (start, end) = self.coordinates;
        let span = if high > low { high - low } else { 1.0 };
        start + (value - low) / span * (end - start)
    }

    /// About `count` round values within the range.
    pub(crate) fn ticks(&self, count: usize) -> Vec<f64> {
        let (low, high) = self.values;
        let step = round_step((high - low) / count as f64);
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is no smaller.
fn round_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0];
    let factor = round
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// A number as an axis shows it.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".into(),
        _ if size >= 1000.0 => return thousands(value),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 0.01 => format!("{value:.3}"),
        _ => return format!("{value:.0e}").replace("e-", "e\u{2212}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A whole number with thin spaces between its thousands.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    match value < 0.0 {
        true => format!("\u{2212}{text}"),
        false => text,
    }
}

/// Text as it may stand in markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Chart {
    /// The chart as an SVG element.
    pub(crate) fn svg(&self) -> String {
        let x = Scale {
            values: self.x_range.unwrap_or_else(|| self.span(|point| point.0)),
            coordinates: (LEFT, WIDTH - self.names),
        };
        let y = Scale {
            values: self.y_range.unwrap_or_else(|| self.span(|point| point.1)),
            coordinates: (HEIGHT - BOTTOM, TOP),
        };
        let mut svg = open(self.y_label, self.x_label, HEIGHT);
        self.axes(&mut svg, x, y);
        if let Some((at, name)) = self.mark {
            let at = x.at(at);
            // Writing to a string does not fail.
            let _ = write!(
                svg,
                r#"<line class="mark" x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{:.1}"/><text class="mark" x="{:.1}" y="{:.1}">{}</text>"#,
                HEIGHT - BOTTOM,
                at + 5.0,
                TOP + 10.0,
                escape(name)
            );
        }
        for line in &self.lines {
            let _ = write!(
                svg,
                r#"<path class="line {}" d="{}"><title>{}</title></path>"#,
                line.class,
                path(&line.points, x, y),
                escape(&line.name)
            );
        }
        self.names(&mut svg, x, y);
        svg + "</svg>"
    }

    fn span(&self, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let values = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(&of));
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high { (0.0, 1.0) } else { (low, high) }
    }

    fn axes(&self, svg: &mut String, x: Scale, y: Scale) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - self.names);
        for tick in y.ticks(5) {
            let at = y.at(tick);
            let _ = write!(
                svg,
                r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 7.0,
                at + 4.0,
                number(tick)
            );
        }
        for tick in x.ticks(5) {
            let at = x.at(tick);
            let _ = write!(
                svg,
                r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                bottom + 18.0,
                number(tick)
            );
        }
        let _ = write!(
            svg,
            r#"<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/><text class="label" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            (LEFT + right) / 2.0,
            bottom + 36.0,
            escape(self.x_label)
        );
    }

    /// Names every line at its end, none over another.
    fn names(&self, svg: &mut String, x: Scale, y: Scale) {
        let mut ends: Vec<(f64, f64, &Line)> = self
            .lines
            .iter()
            .filter_map(|line| {
                let inside = |point: &&(f64, f64)| point.0 <= x.values.1 * (1.0 + 1e-9);
                let (end_x, end_y) = line.points.iter().rev().find(inside)?;
                let end = y.at(*end_y).clamp(TOP + 4.0, HEIGHT - BOTTOM);
                Some((x.at(*end_x), end, line))
            })
            .collect();
        ends.sort_by(|a, b| a.1.total_cmp(&b.1));
        for (place, (end_x, end_y, line)) in spread(&ends).into_iter().zip(&ends) {
            let at = WIDTH - self.names + 14.0;
            let _ = write!(
                svg,
                r#"<path class="lead {0}" d="M{1:.1} {2:.1}L{3:.1} {4:.1}"/><circle class="end {0}" cx="{1:.1}" cy="{2:.1}" r="2.6"/><text class="name {0}" x="{5:.1}" y="{6:.1}">{7}</text>"#,
                line.class,
                end_x,
                end_y,
                at - 3.0,
                place,
                at,
                place + 4.0,
                escape(&line.name)
            );
        }
    }
}

/// Moves labels apart, each as little as it takes: top to bottom, then back up from the bottom.
fn spread(ends: &[(f64, f64, &Line)]) -> Vec<f64> {
    let mut places: Vec<f64> = ends.iter().map(|end| end.1).collect();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + LABEL);
    }
    let mut limit = HEIGHT - BOTTOM;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LABEL;
    }
    places
}

/// The points within the range of `x` as a path, cut where it leaves the chart at its top.
fn path(points: &[(f64, f64)], x: Scale, y: Scale) -> String {
    let mut path = String::new();
    let mut before: Option<(f64, f64)> = None;
    let mut pen = 'M';
    for (px, py) in points {
        if *px < x.values.0 || *px > x.values.1 || !py.is_finite() {
            (before, pen) = (None, 'M');
            continue;
        }
        let (at_x, at_y) = (x.at(*px), y.at(*py));
        let edge = |(from_x, from_y): (f64, f64)| {
            from_x + (TOP - from_y) / (at_y - from_y) * (at_x - from_x)
        };
        match (before.filter(|before| before.1 < TOP), at_y < TOP) {
            // Coming in, or from the start inside.
            (Some(from), false) => {
                let _ = write!(path, "M{:.1} {TOP:.1}L{at_x:.1} {at_y:.1}", edge(from));
                pen = 'L';
            }
            (None, false) => {
                let _ = write!(path, "{pen}{at_x:.1} {at_y:.1}");
                pen = 'L';
            }
            // Going out.
            (None, true) => {
                if let Some(from) = before {
                    let _ = write!(path, "L{:.1} {TOP:.1}", edge(from));
                }
                pen = 'M';
            }
            (Some(_), true) => pen = 'M',
        }
        before = Some((at_x, at_y));
    }
    path
}

/// The opening of an SVG element of that height.
pub(crate) fn open(title: &str, about: &str, height: f64) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{} by {}">"#,
        escape(title),
        escape(about)
    )
}

/// An SVG element as a file of its own.
pub(crate) fn standalone(svg: &str, style: &str) -> String {
    let own = format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" "#);
    let svg = svg.replacen("<svg ", &own, 1);
    svg.replacen('>', &format!("><style>{style}</style>"), 1) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_range() {
        let scale = |values| Scale {
            values,
            coordinates: (0.0, 1.0),
        };
        assert_eq!(
            scale((0.0, 4000.0)).ticks(5),
            [0.0, 1000.0, 2000.0, 3000.0, 4000.0]
        );
        let near = |found: &[f64], expected: &[f64]| {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-9)
        };
        assert!(near(&scale((1.13, 1.42)).ticks(4), &[1.2, 1.3, 1.4]));
        assert_eq!(scale((0.0, 0.0)).ticks(5), [0.0]);
    }

    #[test]
    fn a_line_is_cut_at_the_top() {
        let scale = |coordinates| Scale {
            values: (0.0, 10.0),
            coordinates,
        };
        let (x, y) = (scale((0.0, 100.0)), scale((TOP + 100.0, TOP)));
        let points = [(0.0, 20.0), (2.0, 0.0), (4.0, 5.0), (6.0, 15.0)];
        assert_eq!(
            path(&points, x, y),
            "M10.0 12.0L20.0 112.0L40.0 62.0L50.0 12.0"
        );
        // What is outside to the left or right is left out.
        assert_eq!(
            path(&[(-1.0, 5.0), (0.0, 5.0), (11.0, 5.0)], x, y),
            "M0.0 62.0"
        );
    }

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (1.5, "1.5"),
            (0.004, "4e\u{2212}3"),
            (2000.0, "2\u{202f}000"),
            (250.0, "250"),
            (0.0125, "0.013"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn names_at_the_end_do_not_overlap() {
        let line = |name: &str, y| Line {
            name: name.into(),
            class: String::new(),
            points: vec![(0.0, y), (1.0, y)],
        };
        let lines = [line("a", 1.0), line("b", 1.0), line("c", 1.0)];
        let ends: Vec<_> = lines.iter().map(|line| (0.0, 300.0, line)).collect();
        let places = spread(&ends);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL));
        assert!(places.iter().all(|place| *place <= HEIGHT - BOTTOM));
    }
}
