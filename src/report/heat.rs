//! Heat maps: a number between -1 and 1 for each pair of a row and a column.

use crate::report::chart::Ink;
use crate::report::figure::{Figure, Glyph};
use crate::report::format::escape;
use crate::report::tables::{column, csv, plain};

/// Width and height of a cell.
const CELL: (f64, f64) = (27.0, 19.0);
/// Opacity of a cell whose number is 1; text stays readable on it.
const OPACITY: f64 = 0.5;
/// Width of a character of a label, and of the sine and cosine of the slope of column labels.
const CHARACTER: f64 = 6.3;
const SLOPE: f64 = 0.707;

/// A heat map in the making.
pub(super) struct Heat<'a> {
    /// Name of its file.
    pub id: &'a str,
    /// Title.
    pub title: String,
    /// What to see.
    pub caption: String,
    /// Labels of the rows, from above.
    pub rows: Vec<String>,
    /// Labels of the columns.
    pub columns: Vec<String>,
    /// What stands at the right of each row; may be empty.
    pub beside: Vec<String>,
    /// What the column of those is called.
    pub beside_title: &'a str,
    /// Numbers, row after row.
    pub values: Vec<f64>,
    /// Their unit.
    pub unit: &'static str,
    /// What stands in a cell.
    pub text: fn(f64) -> String,
    /// What the shades mean: a number and its words.
    pub key: Vec<(f64, String)>,
}

impl Heat<'_> {
    /// The figure.
    pub(super) fn figure(self) -> Figure {
        let longest = |labels: &[String]| labels.iter().map(|l| l.chars().count()).max().unwrap_or(0) as f64 * CHARACTER;
        let left = longest(&self.rows) + 12.0;
        let over = longest(&self.columns) * SLOPE;
        let top = over + 16.0;
        let right = (longest(&self.beside) + 16.0).max(over + 6.0).max(self.beside_title.len() as f64 * CHARACTER + 16.0);
        let (n, m) = (self.rows.len(), self.columns.len());
        let size = (left + m as f64 * CELL.0 + right, top + n as f64 * CELL.1 + 6.0);
        let mut body = String::new();
        for (j, label) in self.columns.iter().enumerate() {
            let (x, y) = (left + (j as f64 + 0.6) * CELL.0, top - 5.0);
            body +=
                &format!("<text x=\"{x}\" y=\"{y}\" font-size=\"11\" transform=\"rotate(-45 {x} {y})\">{}</text>", escape(label));
        }
        if !self.beside.is_empty() {
            let x = left + m as f64 * CELL.0 + 8.0;
            body += &format!("<text x=\"{x}\" y=\"{}\" font-size=\"12\">{}</text>", top - 5.0, escape(self.beside_title));
        }
        for (i, label) in self.rows.iter().enumerate() {
            let (y, base) = (top + i as f64 * CELL.1, top + (i as f64 + 0.7) * CELL.1);
            body +=
                &format!("<text x=\"{}\" y=\"{base}\" font-size=\"12\" text-anchor=\"end\">{}</text>", left - 6.0, escape(label));
            for j in 0..m {
                body += &self.cell(self.values[i * m + j], (left + j as f64 * CELL.0, y));
            }
            if let Some(beside) = self.beside.get(i) {
                let x = left + m as f64 * CELL.0 + 8.0;
                body += &format!("<text x=\"{x}\" y=\"{base}\" font-size=\"12\">{}</text>", escape(beside));
            }
        }
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" fill=\"{2}\" role=\"img\">\
             <title>{3}</title><desc>{4}</desc>{body}</svg>",
            size.0,
            size.1,
            Ink::Text.css(),
            escape(&self.title),
            escape(&self.caption)
        );
        let glyph = |value: f64| {
            let ink = if value < 0.0 { Ink::Data } else { Ink::Posterior };
            Glyph::Patch(ink, (100.0 * OPACITY * value.abs()).round() as u8)
        };
        let key = self.key.into_iter().map(|(value, words)| (glyph(value), words)).collect();
        let head: Vec<String> =
            std::iter::once("row".into()).chain(self.columns.iter().map(|name| column(name, self.unit))).collect();
        let line =
            |(label, values): (&String, &[f64])| std::iter::once(label.clone()).chain(values.iter().map(|x| plain(*x))).collect();
        let data = csv(&head, self.rows.iter().zip(self.values.chunks(m.max(1))).map(line));
        Figure { id: self.id.into(), title: self.title, caption: self.caption, svg, size, key, data }
    }

    fn cell(&self, value: f64, (x, y): (f64, f64)) -> String {
        let ink = if value < 0.0 { Ink::Data } else { Ink::Posterior };
        let shade = if value.is_finite() { OPACITY * value.abs().min(1.0) } else { 0.0 };
        let text = (self.text)(value);
        format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" fill-opacity=\"{shade:.3}\"/>\
             <text x=\"{}\" y=\"{}\" font-size=\"10\" text-anchor=\"middle\">{text}</text>",
            x + 0.5,
            y + 0.5,
            CELL.0 - 1.0,
            CELL.1 - 1.0,
            ink.css(),
            x + 0.5 * CELL.0,
            y + 0.68 * CELL.1
        )
    }
}
