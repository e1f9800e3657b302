//! Charts as SVG, drawn with plotters: lines over an axis, and values in rows.

mod lines;
pub mod palette;
mod rows;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use lines::{Line, Lines};
pub use rows::{Mark, Row, Rows};

/// The width of a chart on a page.
const WIDTH: u32 = 640;

/// Coordinates are whole numbers, so everything is drawn larger than shown.
const FINE: u32 = 4;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws an SVG of that height. Widths and sizes given to `draw` are those on the page times
/// [`FINE`].
fn svg(height: u32, about: &str, draw: impl FnOnce(&Canvas<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    let (wide, high) = (WIDTH * FINE, height * FINE);
    {
        let canvas = SVGBackend::with_string(&mut svg, (wide, high)).into_drawing_area();
        draw(&canvas)?;
        canvas.present().map_err(failed)?;
    }
    let title = format!("<title>{}</title>", escape(about));
    let (head, body) = svg.split_once('\n').unwrap_or(("", &svg));
    let head = head
        .replace(&format!("width=\"{wide}\""), &format!("width=\"{WIDTH}\""))
        .replace(
            &format!("height=\"{high}\""),
            &format!("height=\"{height}\""),
        )
        .replace("<svg ", "<svg role=\"img\" ");
    Ok(format!("{head}\n{title}\n{body}"))
}

/// Gives an SVG as part of an HTML page: without what a file of its own needs.
pub fn inline(svg: &str) -> String {
    svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("figure: {error}")
}

fn font(colour: &RGBColor) -> TextStyle<'static> {
    let size = (12 * FINE) as i32;
    ("system-ui, sans-serif", size).into_font().color(colour)
}

fn text(
    canvas: &Canvas<'_>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    colour: RGBColor,
) -> Result<()> {
    let style = font(&colour).pos(Pos::new(side, VPos::Center));
    canvas
        .draw(&Text::new(text.to_owned(), at, style))
        .map_err(failed)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Formats a number as an axis shows it.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".into(),
        _ if size >= 1e7 => format!("{value:.1e}"),
        _ if size >= 1000.0 => return thousands(value),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    };
    let text = match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => trimmed(&text).to_owned(),
    };
    text.replace('-', "\u{2212}")
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// Formats a whole number with thin spaces between its thousands.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("\u{2212}{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (1.5, "1.5"),
            (0.004, "4e\u{2212}3"),
            (2000.0, "2\u{202f}000"),
            (250.0, "250"),
            (0.0125, "0.013"),
            (-0.25, "\u{2212}0.25"),
            (2.5e12, "2.5e12"),
            (3e12, "3e12"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
