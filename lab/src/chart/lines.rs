//! Lines over an axis, each named at its end.

use anyhow::Result;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::chart::palette::{GRID, Ink, TEXT};
use crate::chart::{Canvas, FINE, failed, font, number, svg, text};

const HEIGHT: u32 = 360;

/// The least distance between two names.
const LABEL: f64 = (14 * FINE) as f64;

/// A line chart.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Title of the x axis.
    pub x: String,
    /// Title of the y axis.
    pub y: String,
    /// The lines, the last one on top.
    pub lines: Vec<Line>,
    /// A place on the x axis to point out, and its name.
    pub mark: Option<(f64, &'static str)>,
    /// Range shown; absent, all there is.
    pub x_range: Option<(f64, f64)>,
    /// Range shown; absent, all there is.
    pub y_range: Option<(f64, f64)>,
    /// The x axis is logarithmic.
    pub log: bool,
    /// Room for the names, on the right.
    pub names: u32,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name, written at its end.
    pub name: String,
    pub ink: Ink,
    /// Drawn broader than others.
    pub bold: bool,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

impl Lines {
    /// Draws the chart as an SVG.
    ///
    /// # Errors
    ///
    /// When the drawing library fails.
    pub fn svg(&self) -> Result<String> {
        let x = self.x_range.unwrap_or_else(|| self.span(|point| point.0));
        let y = self.y_range.unwrap_or_else(|| self.span(|point| point.1));
        let about = format!("{} by {}", self.y, self.x);
        let mut drawing = svg(HEIGHT, &about, |canvas| {
            if self.log {
                self.draw(canvas, (x.0..x.1).log_scale(), x, y)
            } else {
                self.draw(canvas, x.0..x.1, x, y)
            }
        })?;
        for line in &self.lines {
            drawing = line.ink.dash(&drawing);
        }
        Ok(drawing)
    }

    fn draw<X>(&self, canvas: &Canvas<'_>, axis: X, x: (f64, f64), y: (f64, f64)) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(12 * FINE)
            .margin_right(self.names * FINE)
            .margin_bottom(4 * FINE)
            .margin_left(6 * FINE)
            .x_label_area_size(40 * FINE)
            .y_label_area_size(58 * FINE)
            .build_cartesian_2d(axis, y.0..y.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_labels(6)
            .y_labels(6)
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(FINE))
            .axis_style(TEXT.stroke_width(FINE))
            .label_style(font(&TEXT))
            .axis_desc_style(font(&TEXT))
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .draw()
            .map_err(failed)?;
        if let Some((at, name)) = self.mark {
            let style = TEXT.stroke_width(FINE);
            let ends = vec![(at, y.0), (at, y.1)];
            chart
                .draw_series([PathElement::new(ends, style)])
                .map_err(failed)?;
            let (at, top) = chart.backend_coord(&(at, y.1));
            let place = (at + 6 * FINE as i32, top + 8 * FINE as i32);
            text(canvas, name, place, HPos::Left, TEXT)?;
        }
        for line in &self.lines {
            let width = if line.bold { 3 * FINE } else { 2 * FINE };
            let style = line.ink.marked().stroke_width(width);
            let parts = clipped(&line.points, x, y.1).into_iter();
            chart
                .draw_series(parts.map(|part| PathElement::new(part, style)))
                .map_err(failed)?;
        }
        // Names at the ends, none over another.
        let mut ends: Vec<((i32, i32), &Line)> = Vec::new();
        for line in &self.lines {
            let inside = |point: &&(f64, f64)| point.0 <= x.1 * (1.0 + 1e-9);
            if let Some((end, value)) = line.points.iter().rev().find(inside) {
                let value = value.clamp(y.0, y.1);
                ends.push((chart.backend_coord(&(*end, value)), line));
            }
        }
        ends.sort_by_key(|(end, _)| end.1);
        let heights: Vec<f64> = ends.iter().map(|(end, _)| f64::from(end.1)).collect();
        let (right, bottom) = chart.backend_coord(&(x.1, y.0));
        for (place, (end, line)) in spread(&heights, f64::from(bottom)).into_iter().zip(ends) {
            let place = (right + 14 * FINE as i32, place as i32);
            let lead = vec![end, (place.0 - 3 * FINE as i32, place.1)];
            let style = line.ink.colour().mix(0.5).stroke_width(FINE / 2);
            canvas
                .draw(&PathElement::new(lead, style))
                .map_err(failed)?;
            canvas
                .draw(&Circle::new(end, 3 * FINE, line.ink.colour().filled()))
                .map_err(failed)?;
            text(canvas, &line.name, place, HPos::Left, line.ink.colour())?;
        }
        Ok(())
    }

    fn span(&self, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let values = self.lines.iter().flat_map(|line| &line.points).map(of);
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low < high {
            (low, high)
        } else if low == high {
            (low, low + 1.0)
        } else {
            (0.0, 1.0)
        }
    }
}

/// Moves names apart, each as little as it takes: top to bottom, then back up from the bottom.
fn spread(heights: &[f64], bottom: f64) -> Vec<f64> {
    let mut places = heights.to_vec();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + LABEL);
    }
    let mut limit = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - LABEL;
    }
    places
}

/// Gives the parts of a line that lie within the range of x and below `top`, cut where it crosses
/// that.
fn clipped(points: &[(f64, f64)], x: (f64, f64), top: f64) -> Vec<Vec<(f64, f64)>> {
    let mut parts = vec![Vec::new()];
    let mut before: Option<(f64, f64)> = None;
    for point in points {
        if point.0 < x.0 || point.0 > x.1 || !point.1.is_finite() {
            before = None;
            parts.push(Vec::new());
            continue;
        }
        let crosses = |from: &(f64, f64)| (from.1 > top) != (point.1 > top);
        let crossing = before.filter(crosses).map(|from| {
            let share = (top - from.1) / (point.1 - from.1);
            (from.0 + share * (point.0 - from.0), top)
        });
        let inside = (point.1 <= top).then_some(*point);
        if let Some(part) = parts.last_mut() {
            part.extend(crossing);
            part.extend(inside);
        }
        if inside.is_none() {
            parts.push(Vec::new());
        }
        before = Some(*point);
    }
    parts.retain(|part| part.len() > 1);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::palette::Idea;

    #[test]
    fn a_line_is_cut_at_the_top() {
        let points = [(0.0, 20.0), (2.0, 0.0), (4.0, 5.0), (6.0, 15.0)];
        assert_eq!(
            clipped(&points, (0.0, 10.0), 10.0),
            [[(1.0, 10.0), (2.0, 0.0), (4.0, 5.0), (5.0, 10.0)]]
        );
        // What is outside to the left or right is left out.
        let points = [(-1.0, 5.0), (0.0, 5.0), (1.0, 5.0), (11.0, 5.0)];
        assert_eq!(
            clipped(&points, (0.0, 10.0), 10.0),
            [[(0.0, 5.0), (1.0, 5.0)]]
        );
    }

    #[test]
    fn names_at_the_end_do_not_overlap() {
        let places = spread(&[300.0, 300.0, 300.0], 320.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LABEL));
        assert!(places.iter().all(|place| *place <= 320.0));
    }

    #[test]
    fn both_axes_have_titles_and_the_mark_a_name() {
        let line = Line {
            name: "a".into(),
            ink: Ink::of(Idea::Small),
            bold: false,
            points: vec![(1e11, 1.0), (1e12, 2.0)],
        };
        let chart = Lines {
            x: "FLOPs".into(),
            y: "loss".into(),
            lines: vec![line],
            mark: Some((2e11, "expansion")),
            log: true,
            names: 60,
            ..Lines::default()
        };
        let drawing = chart.svg().expect("a drawing");
        for text in ["FLOPs", "loss", "expansion", "a"] {
            assert!(drawing.contains(&format!("\n{text}\n")), "{text}");
        }
    }
}
