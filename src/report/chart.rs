//! Charts as SVG, drawn with the `kuva` library, the only file that names it.
//!
//! Colours are roles: CSS variables that the page sets for light and dark, each with the light colour to fall back on, so
//! that the same drawing stands inside the page and alone (Okabe and Ito's palette, which colour-blind people can tell
//! apart; posterior and data differ in lightness and shape too). What the library leaves open is done here: a `viewBox`,
//! a name and a description for screen readers, and ids that depend on the figure alone, not on what was drawn before.

use std::sync::Arc;

use kuva::plot::band::BandPlot;
use kuva::plot::line::LinePlot;
use kuva::plot::scatter::{MarkerShape, ScatterPlot};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::theme::Theme;

use crate::report::format::{escape, number};

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Prior.
    Prior,
    /// Posterior.
    Posterior,
    /// Observed.
    Data,
    /// Text and axes.
    Text,
    /// Background.
    Paper,
    /// An arm of a scenario, below [`Ink::ARMS`].
    Arm(u8),
}

/// Roles, their CSS variable and the colour that stands in for it.
const INKS: [(Ink, &str, &str); 13] = [
    (Ink::Prior, "--prior", "#8a8a8a"),
    (Ink::Posterior, "--posterior", "#0072b2"),
    (Ink::Data, "--data", "#c04a00"),
    (Ink::Text, "--text", "#1f2328"),
    (Ink::Paper, "--paper", "#ffffff"),
    (Ink::Arm(0), "--arm-0", "#0072b2"),
    (Ink::Arm(1), "--arm-1", "#d55e00"),
    (Ink::Arm(2), "--arm-2", "#009e73"),
    (Ink::Arm(3), "--arm-3", "#cc79a7"),
    (Ink::Arm(4), "--arm-4", "#b07d00"),
    (Ink::Arm(5), "--arm-5", "#56b4e9"),
    (Ink::Arm(6), "--arm-6", "#6f4aa8"),
    (Ink::Arm(7), "--arm-7", "#7a7a52"),
];
/// Grid lines.
const GRID: (&str, &str) = ("--grid", "#e3e6ea");

impl Ink {
    /// Number of inks for arms.
    pub(super) const ARMS: usize = 8;

    /// The colour with its fall-back, as CSS.
    pub(super) fn css(self) -> String {
        INKS.iter().find(|ink| ink.0 == self).map_or(String::new(), |(_, name, colour)| format!("var({name}, {colour})"))
    }
}

/// The fall-back colours in place of variables, for programs that know no CSS variables.
pub(super) fn plain_colours(svg: &str) -> String {
    let variables = INKS.iter().map(|(_, name, colour)| (*name, *colour)).chain([GRID]);
    variables.fold(svg.to_string(), |svg, (name, colour)| svg.replace(&format!("var({name}, {colour})"), colour))
}

/// Shape of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Filled circle.
    Dot,
    /// Circle with the background inside.
    Ring,
    /// Upright cross.
    Cross,
}

/// One axis.
#[derive(Clone)]
pub(super) struct Axis {
    /// Quantity and unit.
    pub label: String,
    /// Range that is shown.
    pub range: (f64, f64),
    /// Distance of ticks; `None` leaves it to the library.
    pub step: Option<f64>,
    /// Whether it is logarithmic.
    pub log: bool,
    /// How ticks are written.
    pub ticks: Ticks,
}

/// How ticks are written.
#[derive(Clone)]
pub(super) enum Ticks {
    /// As numbers.
    Number,
    /// Shares in per cent.
    Percent,
    /// As numbers, of a logarithmic axis only the powers of ten.
    Few,
    /// As numbers, none below 0.
    Positive,
    /// Not at all, and the line of the axis neither.
    Hidden,
}

impl Axis {
    /// A linear axis.
    pub(super) fn linear(label: impl Into<String>, range: (f64, f64)) -> Axis {
        Axis { label: label.into(), range, step: None, log: false, ticks: Ticks::Number }
    }

    fn scale(&self) -> f64 {
        // The library takes no logarithm below 1e-10; ticks are divided by the factor again.
        if self.log && self.range.0 < 1e-6 { libm::pow(10.0, -libm::floor(libm::log10(self.range.0))) } else { 1.0 }
    }

    fn format(&self) -> TickFormat {
        let scale = self.scale();
        match self.ticks.clone() {
            Ticks::Number => TickFormat::Custom(Arc::new(move |v| tick(v / scale))),
            Ticks::Positive => TickFormat::Custom(Arc::new(move |v| if v < 0.0 { String::new() } else { tick(v / scale) })),
            Ticks::Percent => TickFormat::Custom(Arc::new(|v| tick(100.0 * v))),
            Ticks::Few => {
                let log = self.log;
                TickFormat::Custom(Arc::new(move |v| {
                    let decade = libm::log10(v / scale);
                    if log && (decade - decade.round()).abs() > 1e-6 { String::new() } else { tick(v / scale) }
                }))
            }
            Ticks::Hidden => TickFormat::Custom(Arc::new(|_| String::new())),
        }
    }
}

/// A tick without needless zeros.
fn tick(v: f64) -> String {
    let text = number(if v.abs() < 1e-12 && v.abs() > 0.0 && !v.is_normal() { 0.0 } else { v });
    let (mantissa, exponent) = text.split_once('e').map_or((text.as_str(), ""), |(m, e)| (m, e));
    let short = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    if exponent.is_empty() { short.to_string() } else { format!("{short}e{exponent}") }
}

/// A chart in the making: layers in the order in which they are drawn.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    size: (f64, f64),
    margins: Option<[f64; 4]>,
    grid: bool,
    sparse: bool,
    plots: Vec<Plot>,
    /// Markup below what the library draws.
    below: String,
}

impl Chart {
    /// An empty chart of that width and height.
    pub(super) fn new(x: Axis, y: Axis, size: (f64, f64)) -> Chart {
        Chart { x, y, size, margins: None, grid: true, sparse: false, plots: Vec::new(), below: String::new() }
    }

    /// Fixes the margins: left, right, top, bottom.
    pub(super) fn margins(mut self, margins: [f64; 4]) -> Chart {
        self.margins = Some(margins);
        self
    }

    /// Leaves the grid out.
    pub(super) fn bare(mut self) -> Chart {
        self.grid = false;
        self
    }

    /// Few and small ticks.
    pub(super) fn sparse(mut self) -> Chart {
        self.sparse = true;
        self
    }

    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (x * self.x.scale(), y * self.y.scale())
    }

    /// A filled band; points are (x, low, high).
    pub(super) fn band(&mut self, points: &[(f64, f64, f64)], ink: Ink, opacity: f64) {
        let x: Vec<f64> = points.iter().map(|p| self.at(p.0, 0.0).0).collect();
        let low: Vec<f64> = points.iter().map(|p| self.at(0.0, p.1).1).collect();
        let high: Vec<f64> = points.iter().map(|p| self.at(0.0, p.2).1).collect();
        self.plots.push(BandPlot::new(x, low, high).with_color(ink.css()).with_opacity(opacity).into());
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], ink: Ink, width: f64, dashed: bool) {
        let points: Vec<(f64, f64)> = points.iter().map(|p| self.at(p.0, p.1)).collect();
        let line = LinePlot::new().with_data(points).with_color(ink.css()).with_stroke_width(width);
        self.plots.push(if dashed { line.with_dashed() } else { line }.into());
    }

    /// Points.
    pub(super) fn points(&mut self, points: &[(f64, f64)], mark: Mark, size: f64, ink: Ink) {
        if points.is_empty() {
            return;
        }
        let points: Vec<(f64, f64)> = points.iter().map(|p| self.at(p.0, p.1)).collect();
        let scatter = |ink: Ink| ScatterPlot::new().with_data(points.clone()).with_size(size).with_color(ink.css());
        match mark {
            Mark::Dot => self.plots.push(scatter(ink).into()),
            Mark::Ring => {
                self.plots.push(scatter(Ink::Paper).into());
                let ring = scatter(ink).with_marker_opacity(0.0).with_marker_stroke_width(2.0);
                self.plots.push(ring.into());
            }
            Mark::Cross => self.plots.push(scatter(ink).with_marker(MarkerShape::Plus).into()),
        }
    }

    /// A cloud of small, translucent points below everything else; the margins must be fixed. The library writes an element for
    /// each point, six times as long.
    pub(super) fn cloud(&mut self, points: &[(f64, f64)], ink: Ink) {
        const LAYERS: usize = 6;
        let [left, right, top, bottom] = self.margins.unwrap_or_default();
        let share = |axis: &Axis, v: f64| {
            let of = |v: f64| if axis.log { libm::log(v) } else { v };
            (of(v) - of(axis.range.0)) / (of(axis.range.1) - of(axis.range.0))
        };
        let shown = |axis: &Axis, v: f64| (axis.range.0..=axis.range.1).contains(&v);
        let within: Vec<&(f64, f64)> = points.iter().filter(|p| shown(&self.x, p.0) && shown(&self.y, p.1)).collect();
        // One path does not darken where it meets itself; several do where they meet.
        for layer in 0..LAYERS {
            let dots = within.iter().skip(layer).step_by(LAYERS).map(|p| {
                let x = left + (self.size.0 - left - right) * share(&self.x, p.0);
                let y = self.size.1 - bottom - (self.size.1 - top - bottom) * share(&self.y, p.1);
                format!("M{x:.1} {y:.1}h0")
            });
            self.below += &format!(
                "<path d=\"{}\" stroke=\"{}\" stroke-width=\"3.2\" stroke-linecap=\"round\" stroke-opacity=\"0.35\"/>",
                dots.collect::<String>(),
                ink.css()
            );
        }
    }

    /// A straight piece from one point to another.
    pub(super) fn bar(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, width: f64) {
        self.line(&[from, to], ink, width, false);
    }

    /// The drawing; `id` makes its inner ids unique, `name` and `about` are read out by screen readers.
    pub(super) fn draw(mut self, id: &str, name: &str, about: &str) -> String {
        let (width, height) = self.size;
        // The library takes no chart without a plot.
        if self.plots.is_empty() {
            let (from, to) = ((self.x.range.0, self.y.range.0), (self.x.range.1, self.y.range.1));
            self.line(&[from, to], Ink::Paper, 0.0, false);
        }
        let layout = self.layout();
        let hidden = self.margins.filter(|_| matches!(self.y.ticks, Ticks::Hidden));
        let below = self.below;
        let svg = kuva::render_to_svg(self.plots, layout);
        let svg = own_ids(&svg, id);
        // The library writes: <svg …><!-- made by --> …; the head is replaced, the body kept.
        let body = svg.split_once("-->").map_or("", |(_, body)| body);
        let body = hidden.map_or(body.to_string(), |margins| without_y_axis(body, margins));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" \
             fill=\"{}\" role=\"img\"><title>{}</title><desc>{}</desc>{below}{body}",
            Ink::Text.css(),
            escape(name),
            escape(about)
        )
    }

    fn layout(&self) -> Layout {
        let mut theme = Theme::light();
        theme.background = "none".into();
        theme.axis_color = Ink::Text.css();
        theme.tick_color = Ink::Text.css();
        theme.text_color = Ink::Text.css();
        theme.grid_color = format!("var({}, {})", GRID.0, GRID.1);
        let (x0, y0) = self.at(self.x.range.0, self.y.range.0);
        let (x1, y1) = self.at(self.x.range.1, self.y.range.1);
        let mut layout = Layout::auto_from_plots(&self.plots)
            .with_width(self.size.0)
            .with_height(self.size.1)
            .with_theme(theme)
            .with_show_grid(self.grid)
            .with_tick_size(if self.sparse { 10 } else { 12 })
            .with_ticks(if self.sparse { 3 } else { 5 })
            .with_label_size(13)
            .with_x_axis_min(x0)
            .with_x_axis_max(x1)
            .with_y_axis_min(y0)
            .with_y_axis_max(y1)
            .with_x_tick_format(self.x.format())
            .with_y_tick_format(self.y.format());
        if !self.x.label.is_empty() {
            layout = layout.with_x_label(self.x.label.clone());
        }
        if !self.y.label.is_empty() {
            layout = layout.with_y_label(self.y.label.clone());
        }
        layout = if self.x.log { layout.with_log_x() } else { layout };
        layout = if self.y.log { layout.with_log_y() } else { layout };
        // One tick, at most, where none has a number.
        let step = |axis: &Axis| match axis.ticks {
            Ticks::Hidden => Some(10.0 * (axis.range.1 - axis.range.0)),
            _ => axis.step,
        };
        if let Some(step) = step(&self.x) {
            layout = layout.with_x_tick_step(step);
        }
        if let Some(step) = step(&self.y) {
            layout = layout.with_y_tick_step(step);
        }
        match self.margins {
            Some([left, right, top, bottom]) => layout.with_force_margins(left, right).with_force_margins_y(top, bottom),
            None => layout,
        }
    }
}

/// Takes out the line of the y axis and its tick, which the library draws in any case.
fn without_y_axis(svg: &str, [left, _, top, _]: [f64; 4]) -> String {
    let mut out = svg.to_string();
    for start in [format!("<line x1=\"{left}\" y1=\"{top}\" x2=\"{left}\" "), format!("<line x1=\"{}\" ", left - 5.0)] {
        if let Some(at) = out.find(&start)
            && let Some(end) = out[at..].find("/>")
        {
            out.replace_range(at..at + end + 2, "");
        }
    }
    out
}

/// The library numbers its clip paths over the life of the process; here they are numbered within the figure.
fn own_ids(svg: &str, id: &str) -> String {
    const MARK: &str = "kuva-clip-";
    let mut found: Vec<String> = Vec::new();
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = rest.split_at(at);
        let after = &after[MARK.len()..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = after.split_at(digits);
        let known = found.iter().position(|n| n == number);
        let index = known.unwrap_or_else(|| {
            found.push(number.to_string());
            found.len() - 1
        });
        out.push_str(&format!("{before}{id}-clip-{index}"));
        rest = tail;
    }
    out + rest
}
