//! A figure: its drawing, title, caption, key and numbers, on a page and by itself.

use crate::report::chart::{Ink, Mark, plain_colours};
use crate::report::format::escape;

/// Glyph of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyph {
    /// Filled patch.
    Patch(Ink, u8),
    /// Line; dashed or not.
    Line(Ink, bool),
    /// Point.
    Point(Ink, Mark),
}

/// What the signs of a figure mean.
pub(super) type KeyItem = (Glyph, &'static str);

/// A figure.
pub(super) struct Figure {
    /// Name of its file.
    pub id: String,
    /// Title.
    pub title: String,
    /// What to see.
    pub caption: String,
    /// The drawing, an `svg` element without title and key.
    pub svg: String,
    /// Width and height of the drawing.
    pub size: (f64, f64),
    /// What its signs mean.
    pub key: Vec<(Glyph, String)>,
    /// The numbers behind it: comma-separated values, each column with its unit.
    pub data: String,
}

/// A key as that of a figure.
pub(super) fn own(key: &[KeyItem]) -> Vec<(Glyph, String)> {
    key.iter().map(|(glyph, text)| (*glyph, (*text).into())).collect()
}

impl Figure {
    /// The figure as a file of its own: title above, key below, plain colours on white.
    pub(super) fn standalone(&self) -> String {
        const LINE: f64 = 19.0;
        let (width, height) = self.size;
        let (strip, strip_height) = key(&self.key, width);
        let lines = broken(&self.title, (width / 10.0) as usize);
        let head = 11.0 + LINE * lines.len() as f64;
        let total = head + height + 4.0 + strip_height;
        let inner = self.svg.replacen("<svg ", &format!("<svg x=\"0\" y=\"{head}\" "), 1);
        let strip = strip.replacen("<svg ", &format!("<svg x=\"0\" y=\"{}\" ", head + height + 2.0), 1);
        let line = |(k, line): (usize, &String)| {
            let (x, y) = (width / 2.0, 21.0 + LINE * k as f64);
            format!("<tspan x=\"{x}\" y=\"{y}\">{}</tspan>", escape(line))
        };
        let title: String = lines.iter().enumerate().map(line).collect();
        plain_colours(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" width=\"{width}\" height=\"{total}\" \
             font-family=\"Helvetica, Arial, sans-serif\"><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
             <text font-size=\"15\" font-weight=\"600\" text-anchor=\"middle\" fill=\"#1f2328\">{title}</text>\
             {inner}{strip}</svg>\n",
        ))
    }
}

/// A text in lines of at most that many characters, broken at blanks.
pub(super) fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word.into(),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// A key as a strip of that width, and its height.
pub(super) fn key(items: &[(Glyph, String)], width: f64) -> (String, f64) {
    if items.is_empty() {
        return (String::new(), 0.0);
    }
    let (mut x, mut y) = (8.0, 14.0);
    let mut body = String::new();
    for (glyph, text) in items {
        let advance = 34.0 + 7.4 * text.chars().count() as f64;
        if x + advance > width && x > 8.0 {
            (x, y) = (8.0, y + 20.0);
        }
        body.push_str(&draw(*glyph, x, y));
        body.push_str(&format!("<text x=\"{}\" y=\"{}\" font-size=\"12.5\">{}</text>", x + 25.0, y + 4.5, escape(text)));
        x += advance;
    }
    let height = y + 12.0;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         fill=\"{}\" font-family=\"system-ui, Helvetica, Arial, sans-serif\">{body}</svg>",
        Ink::Text.css()
    );
    (svg, height)
}

/// A glyph by itself.
pub(super) fn key_glyph(glyph: Glyph) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 21 16\" width=\"21\" height=\"16\" aria-hidden=\"true\">{}</svg>",
        draw(glyph, 1.0, 8.0)
    )
}

fn draw(glyph: Glyph, x: f64, y: f64) -> String {
    let middle = x + 9.0;
    match glyph {
        Glyph::Patch(ink, opacity) => format!(
            "<rect x=\"{x}\" y=\"{}\" width=\"19\" height=\"12\" fill=\"{}\" fill-opacity=\"0.{opacity:02}\"/>",
            y - 6.0,
            ink.css()
        ),
        Glyph::Line(ink, dashed) => {
            let dash = if dashed { " stroke-dasharray=\"5 3\"" } else { "" };
            let end = x + 19.0;
            format!("<line x1=\"{x}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"{}\" stroke-width=\"2.2\"{dash}/>", ink.css())
        }
        Glyph::Point(ink, Mark::Ring) => format!(
            "<circle cx=\"{middle}\" cy=\"{y}\" r=\"4.5\" fill=\"{}\" stroke=\"{}\" stroke-width=\"2\"/>",
            Ink::Paper.css(),
            ink.css()
        ),
        Glyph::Point(ink, Mark::Cross) => format!(
            "<path d=\"M{} {}h9M{middle} {}v9\" stroke=\"{}\" stroke-width=\"1.8\"/>",
            middle - 4.5,
            y,
            y - 4.5,
            ink.css()
        ),
        Glyph::Point(ink, _) => format!("<circle cx=\"{middle}\" cy=\"{y}\" r=\"4.5\" fill=\"{}\"/>", ink.css()),
    }
}
