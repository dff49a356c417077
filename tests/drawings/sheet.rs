//! A sheet on which is drawn, as SVG. All lengths are whole numbers, so a drawing is the same text on every machine.

use std::fmt::Write as _;

pub const INK: &str = "#1d2733";
pub const PALE: &str = "#5f6b78";
pub const WIRE: &str = "#33475b";

/// Advance widths of `DejaVu Sans`, in thousandths of the size, from the space to the tilde: what may stand in its
/// place is narrower.
const PLAIN: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
];
const BOLD: [u16; 95] = [
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696, 696, 696, 696, 696,
    696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775, 637, 995,
    837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716,
    678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712,
    365, 712, 838,
];

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub struct Type {
    pub size: i32,
    pub anchor: &'static str,
    pub fill: &'static str,
    pub bold: bool,
}

/// Ink that begins where it is put.
pub const fn plain(size: i32) -> Type {
    Type { size, anchor: "start", fill: INK, bold: false }
}

pub const fn bold(size: i32) -> Type {
    Type { bold: true, ..plain(size) }
}

impl Type {
    pub const fn filled(self, fill: &'static str) -> Self {
        Self { fill, ..self }
    }

    /// Around where it is put.
    pub const fn middle(self) -> Self {
        Self { anchor: "middle", ..self }
    }

    /// Up to where it is put.
    pub const fn end(self) -> Self {
        Self { anchor: "end", ..self }
    }

    /// How wide a text is, at most.
    pub fn width(self, text: &str) -> i32 {
        let widths = if self.bold { BOLD } else { PLAIN };
        let at = |c: char| (c as usize).wrapping_sub(usize::from(b' '));
        let width = |c: char| widths.get(at(c)).map_or(1_000, |width| i32::from(*width));
        text.chars().map(width).sum::<i32>() * self.size / 1_000
    }

    /// A text in lines of a width.
    pub fn wrapped(self, text: &str, width: i32) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last_mut().expect("there is always one");
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if line.is_empty() || self.width(&longer) <= width { *line = longer } else { lines.push(word.to_owned()) }
        }
        lines
    }
}

/// Where nothing is drawn yet.
pub struct Sheet {
    svg: String,
    width: i32,
}

/// What a shape looks like: its inside, its edge, and how thick that is in tenths.
pub type Look = (&'static str, &'static str, i32);

impl Sheet {
    /// A sheet of so many units, for a screen; or of so many tenths of a millimetre, for paper.
    pub fn new(width: i32, height: i32, title: &str, paper: bool) -> Self {
        let (unit, per) = if paper { ("mm", 10) } else { ("", 1) };
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}{unit}\" height=\"{}{unit}\" viewBox=\"0 0 {width} \
             {height}\" font-family=\"DejaVu Sans, Verdana, Arial, sans-serif\" fill=\"{INK}\">\n<title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            width / per,
            height / per,
            escaped(title)
        );
        Self { svg, width }
    }

    /// Writes a text, which must not run over the sheet's edge.
    pub fn text(&mut self, (x, y): (i32, i32), of: Type, text: &str) {
        let wide = of.width(text);
        let left = match of.anchor {
            "start" => x,
            "middle" => x - wide / 2,
            _ => x - wide,
        };
        assert!(left >= 0 && left + wide <= self.width, "`{text}` runs from {left} to {}", left + wide);
        let Type { size, anchor, fill, .. } = of;
        let weight = if of.bold { "bold" } else { "normal" };
        let text = escaped(text);
        self.draw(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{fill}\" \
             font-weight=\"{weight}\">{text}</text>"
        ));
    }

    /// A line through points.
    pub fn line(&mut self, colour: &str, tenths: i32, points: &[(i32, i32)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        let (points, width) = (points.join(" "), thickness(tenths));
        self.draw(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\"/>"
        ));
    }

    pub fn wire(&mut self, points: &[(i32, i32)]) {
        self.line(WIRE, 25, points);
    }

    pub fn dot(&mut self, (x, y): (i32, i32), radius: i32, colour: &str) {
        self.draw(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{colour}\"/>"));
    }

    pub fn triangle(&mut self, points: [(i32, i32); 3], colour: &str) {
        let points = points.map(|(x, y)| format!("{x},{y}")).join(" ");
        self.draw(format_args!("<polygon points=\"{points}\" fill=\"{colour}\"/>"));
    }

    pub fn frame(&mut self, (x, y): (i32, i32), (width, height): (i32, i32), round: i32, (fill, edge, thick): Look) {
        let thick = thickness(thick);
        self.draw(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\" fill=\"{fill}\" \
             stroke=\"{edge}\" stroke-width=\"{thick}\"/>"
        ));
    }

    /// The drawing as a file.
    pub fn done(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }

    fn draw(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.svg, "{element}").expect("a string takes everything");
    }
}

fn thickness(tenths: i32) -> String {
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
