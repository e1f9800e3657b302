//! The colours: one for each idea, the same in the README, the report and the book.
//!
//! All of them can be read on a light and on a dark background, so no figure needs a theme.

use plotters::style::{RGBAColor, RGBColor};

/// What a line stands for, by the name of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idea {
    Sparkling,
    Small,
    SmallLonger,
    FromScratch,
    NaiveCopy,
    Locked,
    Deeper,
}

/// Run names of the demonstration, which its report compares.
pub const SPARKLING: &str = "sparkling";
pub const SMALL: &str = "small";
pub const SMALL_LONGER: &str = "small-longer";
pub const FROM_SCRATCH: &str = "from-scratch";
pub const NAIVE_COPY: &str = "naive-copy";
pub const LOCKED_CONTROL: &str = "locked-control";
pub const DEEPER: &str = "deeper";
pub const DEEP_FROM_SCRATCH: &str = "deep-from-scratch";

/// Text and axes.
pub const TEXT: RGBColor = RGBColor(0x6e, 0x77, 0x81);
/// Grid lines.
pub const GRID: RGBAColor = RGBAColor(0x6e, 0x77, 0x81, 0.22);

/// Colours of lines that stand for none of the ideas.
const OTHERS: [RGBColor; 8] = [
    RGBColor(0x00, 0x96, 0x9c),
    RGBColor(0xc2, 0x4f, 0x90),
    RGBColor(0xa0, 0x6a, 0x34),
    RGBColor(0x86, 0x95, 0x1c),
    RGBColor(0xcf, 0x4a, 0x3c),
    RGBColor(0x5b, 0x6a, 0xd0),
    RGBColor(0xb5, 0x62, 0x70),
    RGBColor(0x4e, 0x8f, 0x68),
];

/// Dash patterns of the lines of one colour, in fine units; the first is solid.
/// Blue values of all colours are multiples of four: see [`Ink::marked`].
const DASHES: [&str; 4] = ["", "24 16", "8 14", "36 14 8 14"];

impl Idea {
    /// Finds the idea that a run of this name stands for.
    pub fn of(name: &str) -> Option<Self> {
        match name.split('/').next().unwrap_or(name) {
            SMALL => Some(Self::Small),
            SMALL_LONGER => Some(Self::SmallLonger),
            LOCKED_CONTROL => Some(Self::Locked),
            NAIVE_COPY => Some(Self::NaiveCopy),
            DEEPER => Some(Self::Deeper),
            // The ablation calls the whole method by its parts.
            "both-parts" => Some(Self::Sparkling),
            name if name.contains(FROM_SCRATCH) => Some(Self::FromScratch),
            name if name.contains(SPARKLING) => Some(Self::Sparkling),
            _ => None,
        }
    }

    /// Gives its colour.
    pub fn colour(self) -> RGBColor {
        match self {
            Self::Sparkling => RGBColor(0x1a, 0x98, 0x50),
            Self::Small => RGBColor(0x8f, 0x98, 0xa4),
            Self::SmallLonger => RGBColor(0x5d, 0x69, 0x78),
            Self::FromScratch => RGBColor(0x2f, 0x7f, 0xd0),
            Self::NaiveCopy => RGBColor(0xe0, 0x82, 0x28),
            Self::Locked => RGBColor(0x8b, 0x5f, 0xc4),
            Self::Deeper => RGBColor(0xb0, 0x8d, 0x00),
        }
    }
}

/// Writes a colour as SVG and CSS do.
pub fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink {
    colour: RGBColor,
    dash: usize,
}

impl Ink {
    /// Gives the solid line of an idea.
    pub fn of(idea: Idea) -> Self {
        Self {
            colour: idea.colour(),
            dash: 0,
        }
    }

    /// Gives the inks of lines with these names: those of one idea share its colour and differ in
    /// their dashes. `None` if there are more lines than can be told apart.
    pub fn all<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Vec<Self>> {
        let mut inks: Vec<Self> = Vec::new();
        let mut others = OTHERS.iter().cycle().copied();
        for name in names {
            let colour = match Idea::of(name) {
                Some(idea) => idea.colour(),
                None => others.next()?,
            };
            let dash = inks.iter().filter(|ink| ink.colour == colour).count();
            // A fifth line of an idea is told apart by its colour again.
            let ink = if dash < DASHES.len() {
                Self { colour, dash }
            } else {
                let colour = others.next()?;
                let dash = inks.iter().filter(|ink| ink.colour == colour).count();
                Self { colour, dash }
            };
            inks.push(ink);
        }
        let told_apart = inks.len() <= 2 * OTHERS.len() && inks.iter().all(|ink| ink.dash < 4);
        told_apart.then_some(inks)
    }

    /// Gives the colour that the drawing library is handed. It cannot dash a path, so the dash is
    /// kept in the last bits of the colour until the drawing is done.
    pub(super) fn marked(self) -> RGBColor {
        let RGBColor(red, green, blue) = self.colour;
        RGBColor(red, green, blue & !3 | self.dash as u8)
    }

    /// Gives the colour of text and dots.
    pub fn colour(self) -> RGBColor {
        self.colour
    }

    /// Turns the mark of its lines in `svg` into dashes.
    pub(super) fn dash(self, svg: &str) -> String {
        if self.dash == 0 {
            return svg.to_owned();
        }
        let marked = format!("stroke=\"{}\"", hex(self.marked()));
        let (stroke, dashes) = (hex(self.colour), DASHES[self.dash]);
        let dashed = format!("stroke=\"{stroke}\" stroke-dasharray=\"{dashes}\"");
        svg.replace(&marked, &dashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idea_has_one_colour_and_its_lines_differ() {
        let names = [
            "sparkling/rho=2.0",
            "sparkling/rho=1.3",
            "from-scratch",
            "net2net",
        ];
        let inks = Ink::all(names).expect("inks");
        assert_eq!(inks[0].colour, inks[1].colour);
        let mut marks: Vec<_> = inks.iter().map(|ink| ink.marked()).collect();
        marks.dedup();
        assert_eq!(marks.len(), names.len());
        assert!(inks[1].dash("stroke=\"#1A9851\"").contains("dasharray"));
        let many = vec!["sparkling"; 17];
        assert_eq!(Ink::all(many), None);
    }
}
