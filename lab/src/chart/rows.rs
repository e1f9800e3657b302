//! Values in rows: a name, marks along an axis, and a note.

use anyhow::Result;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::chart::palette::{GRID, Ink, TEXT};
use crate::chart::{Canvas, FINE, failed, font, number, svg, text};

/// The height of a row, and of the axis below.
const ROW: u32 = 24;
const AXIS: u32 = 44;

/// A chart of rows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Title of the axis.
    pub x: String,
    pub rows: Vec<Row>,
    /// Show where zero is.
    pub zero: bool,
    /// The axis is logarithmic.
    pub log: bool,
    /// Room for the names, on the left.
    pub names: u32,
    /// Room for the notes, on the right.
    pub notes: u32,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub ink: Ink,
    pub marks: Vec<(f64, Mark)>,
    /// Join the marks by a line.
    pub joined: bool,
    pub note: String,
}

/// How a value is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Dot,
    Ring,
    Stroke,
}

impl Rows {
    /// Draws the chart as an SVG.
    ///
    /// # Errors
    ///
    /// When the drawing library fails.
    pub fn svg(&self) -> Result<String> {
        let marks = self.rows.iter().flat_map(|row| &row.marks);
        let zero = self.zero.then_some(0.0);
        let (low, high) = marks
            .map(|(value, _)| *value)
            .chain(zero)
            .fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let height = 12 + ROW * self.rows.len() as u32 + AXIS;
        svg(height, &format!("{} by run", self.x), |canvas| {
            if self.log {
                let (low, high) = (low.max(1e-6) / 1.25, high.max(1e-6) * 1.25);
                self.draw(canvas, (low..high).log_scale())
            } else {
                let margin = if high > low {
                    0.05 * (high - low)
                } else {
                    0.01
                };
                self.draw(canvas, low - margin..high + margin)
            }
        })
    }

    fn draw<X>(&self, canvas: &Canvas<'_>, axis: X) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(12 * FINE)
            .margin_left(self.names * FINE)
            .margin_right(self.notes * FINE)
            .x_label_area_size(AXIS * FINE)
            .build_cartesian_2d(axis, self.rows.len() as f64..0.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .x_labels(5)
            .disable_y_mesh()
            .y_labels(0)
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(FINE))
            .axis_style(TEXT.stroke_width(FINE))
            .label_style(font(&TEXT))
            .axis_desc_style(font(&TEXT))
            .x_label_formatter(&|value| number(*value))
            .draw()
            .map_err(failed)?;
        if self.zero {
            let ends = vec![(0.0, 0.0), (0.0, self.rows.len() as f64)];
            let style = TEXT.stroke_width(FINE);
            chart
                .draw_series([PathElement::new(ends, style)])
                .map_err(failed)?;
        }
        let fine = FINE as i32;
        for (index, row) in self.rows.iter().enumerate() {
            let middle = index as f64 + 0.5;
            let colour = row.ink.colour();
            let places: Vec<_> = row
                .marks
                .iter()
                .map(|(value, mark)| (chart.backend_coord(&(*value, middle)), *mark))
                .collect();
            let Some((_, y)) = places.first().map(|(place, _)| *place) else {
                continue;
            };
            if row.joined {
                let ends = places.iter().map(|(place, _)| *place);
                let style = TEXT.mix(0.6).stroke_width(2 * FINE);
                canvas
                    .draw(&PathElement::new(ends.collect::<Vec<_>>(), style))
                    .map_err(failed)?;
            }
            for (place, mark) in &places {
                let drawn = match mark {
                    Mark::Dot => {
                        let style = colour.mix(0.65).filled();
                        canvas.draw(&Circle::new(*place, 4 * FINE, style))
                    }
                    Mark::Ring => {
                        let style = TEXT.stroke_width(2 * FINE);
                        canvas.draw(&Circle::new(*place, 6 * FINE, style))
                    }
                    Mark::Stroke => {
                        let ends = [-8, 8].map(|up| (place.0, place.1 + up * fine));
                        let style = colour.stroke_width(2 * FINE);
                        canvas.draw(&PathElement::new(ends, style))
                    }
                };
                drawn.map_err(failed)?;
            }
            let left = (self.names as i32 - 12) * fine;
            text(canvas, &row.name, (left, y), HPos::Right, colour)?;
            let (width, _) = canvas.dim_in_pixel();
            let right = width as i32 - (self.notes as i32 - 10) * fine;
            text(canvas, &row.note, (right, y), HPos::Left, TEXT)?;
        }
        Ok(())
    }
}
