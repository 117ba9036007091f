//! Reads the rows of an observation table; every refusal names line, column, legal range and a fix.

use std::path::Path;

use crate::error::{Error, Result};
use crate::spelling::nearest;
use crate::trial::table::{COLUMNS, LAST_MONTH, Row, TRIAL};
use crate::trial::vocabulary::{Endpoint, Kind, Role, Term, Word};

/// The text of a table and its name.
pub(super) struct Source<'a> {
    pub(super) name: &'a Path,
    pub(super) lines: &'a [&'a str],
}

impl Source<'_> {
    /// Line of a record. The reader's position is that of the comments and empty lines before it.
    pub(super) fn line(&self, position: Option<&csv::Position>) -> usize {
        let start = position.map_or(1, |p| p.line() as usize).max(1);
        let skipped = self.lines.iter().skip(start - 1).take_while(|line| line.is_empty() || line.starts_with('#'));
        (start + skipped.count()).min(self.lines.len().max(1))
    }

    pub(super) fn broken(&self, error: &csv::Error) -> Error {
        let problem = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the line has {len} fields, the header has {expected_len}")
            }
            _ => error.to_string(),
        };
        let fix = "one field per column; put a text that contains a comma between double quotes".to_string();
        self.error(self.line(error.position()), 0, "row", problem, fix)
    }

    /// An error at the `field`-th field of a line.
    pub(super) fn error(&self, line: usize, field: usize, key: &str, problem: String, fix: String) -> Error {
        let text = self.lines.get(line.saturating_sub(1)).copied().unwrap_or("");
        let (mut column, mut seen, mut quoted) = (1, 0, false);
        for (at, character) in text.chars().enumerate() {
            if seen == field {
                break;
            }
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    seen += 1;
                    column = at + 2;
                }
                _ => (),
            }
        }
        Error::Input { file: self.name.to_path_buf(), line, column, key: key.into(), problem, fix }
    }
}

/// Where each of [`COLUMNS`] stands in the file, then [`TRIAL`], if it is there.
pub(super) fn columns(header: &csv::StringRecord, line: usize, source: &Source<'_>) -> Result<Vec<usize>> {
    for (field, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.trim()) && name.trim() != TRIAL {
            let fix = format!("did you mean \"{}\"? known: {}, {TRIAL}", nearest(name, COLUMNS), COLUMNS.join(", "));
            return Err(source.error(line, field, name, "unknown column".into(), fix));
        }
        if header.iter().take(field).any(|earlier| earlier.trim() == name.trim()) {
            return Err(source.error(line, field, name, "the column stands twice".into(), "remove one".into()));
        }
    }
    let place = |column: &str| header.iter().position(|name| name.trim() == column);
    let required = COLUMNS.iter().map(|column| {
        place(column).ok_or_else(|| {
            let fix = format!("add the column; a table has {}", COLUMNS.join(", "));
            source.error(line, 0, column, "the column is missing".into(), fix)
        })
    });
    required.chain(place(TRIAL).map(Ok)).collect()
}

/// The fields of one line.
pub(super) struct Fields<'a> {
    pub(super) record: &'a csv::StringRecord,
    pub(super) order: &'a [usize],
    pub(super) line: usize,
    pub(super) source: &'a Source<'a>,
}

impl Fields<'_> {
    fn field(&self, column: &str) -> usize {
        COLUMNS.iter().position(|name| *name == column).map_or(0, |at| self.order[at])
    }

    fn trial(&self) -> &str {
        self.order.get(COLUMNS.len()).and_then(|field| self.record.get(*field)).unwrap_or("").trim()
    }

    fn text(&self, column: &str) -> &str {
        self.record.get(self.field(column)).unwrap_or("").trim()
    }

    pub(super) fn error(&self, column: &str, problem: String, fix: String) -> Error {
        self.source.error(self.line, self.field(column), column, problem, fix)
    }

    fn word<W: Word>(&self, column: &str) -> Result<W> {
        let text = self.text(column);
        W::parse(text).ok_or_else(|| {
            let known: Vec<&str> = W::ALL.iter().map(|(name, _)| *name).collect();
            let fix = format!("did you mean \"{}\"? known: {}", nearest(text, known.iter().copied()), known.join(", "));
            self.error(column, format!("unknown {column} \"{text}\""), fix)
        })
    }

    /// A number in a range, or `None` for an empty field.
    fn number(&self, column: &str, legal: std::ops::RangeInclusive<f64>) -> Result<Option<f64>> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let (low, high) = (legal.start(), legal.end());
        let range = if high.is_finite() { format!("[{low}, {high}]") } else { format!("[{low}, infinity)") };
        match text.parse::<f64>() {
            Err(_) => {
                let fix = format!("write a number in {range} with a point for the decimals, as in 0.69");
                Err(self.error(column, format!("\"{text}\" is not a number"), fix))
            }
            Ok(number) if !number.is_finite() || !legal.contains(&number) => {
                let fix = if *high == 1.0 { "write a share, not a per cent: 0.69, not 69" } else { "check the figure" };
                Err(self.error(column, format!("{text} is outside {range}"), fix.into()))
            }
            Ok(number) => Ok(Some(number)),
        }
    }

    fn required(&self, column: &str, legal: std::ops::RangeInclusive<f64>) -> Result<f64> {
        let range = format!("[{}, {}]", legal.start(), legal.end());
        self.number(column, legal)?
            .ok_or_else(|| self.error(column, format!("no number, expected one in {range}"), "fill it in".into()))
    }

    fn given(&self) -> Result<Vec<Term>> {
        Term::parse_all(self.text("given")).map_err(|(problem, name)| {
            let known = Endpoint::ALL.iter().filter(|(_, e)| e.is_response()).map(|(name, _)| *name);
            let near = if name.is_empty() {
                "write a month above 0 after the @".to_string()
            } else {
                format!("did you mean \"{}\"?", nearest(&name, known))
            };
            let fix = format!("{near} a condition is as in: ccyr, ccyr@12, not mmr@18, ccyr@18 & not mmr@18");
            self.error("given", problem, fix)
        })
    }

    pub(super) fn row(&self) -> Result<Row> {
        let id = self.text("id");
        if id.is_empty() {
            return Err(self.error("id", "the row has no id".into(), "give every row its own id".into()));
        }
        let role: Role = self.word("fit_role")?;
        let (endpoint, kind) = (self.word::<Endpoint>("endpoint")?, self.word::<Kind>("kind")?);
        endpoint.check_kind(kind).map_err(|(problem, fix)| self.error("kind", problem, fix))?;
        let value = self.required("value", 0.0..=1.0)?;
        let n = self.number("n", 1.0..=f64::INFINITY)?;
        let given_se = self.number("se", 0.0..=1.0)?;
        let level = self.level(kind, value)?;
        if given_se == Some(0.0) {
            let fix = "leave se empty to have the binomial one of n".to_string();
            return Err(self.error("se", "a standard error of 0 would outweigh every other row".into(), fix));
        }
        let se = given_se.or_else(|| n.map(|n| standard_error(value, n, level)));
        if se.is_none() && role != Role::Context {
            let problem = format!("a {} row needs a standard error, and neither se nor n is given", role.name());
            return Err(self.error("se", problem, "give n (binomial error) or se in (0, 1], or make it context".into()));
        }
        let given = self.given()?;
        let month = self.required("month", 0.0..=LAST_MONTH)?;
        endpoint.check_given(kind, &given, month).map_err(|(problem, fix)| self.error("given", problem, fix))?;
        let group = self.text("group");
        let group = if group.is_empty() { id } else { group };
        Ok(Row {
            id: id.into(),
            trial: self.trial().into(),
            role,
            group: group.into(),
            endpoint,
            kind,
            given,
            month,
            value,
            n,
            se,
            step: step(self.text("value")),
            level,
            se_basis: self.text("se_basis").into(),
            definition: self.text("definition").into(),
            reason: self.text("reason").into(),
            source: self.text("source").into(),
            place: Some((self.source.name.to_path_buf(), self.line)),
        })
    }

    fn level(&self, kind: Kind, value: f64) -> Result<Option<(f64, f64)>> {
        let pair = (self.number("level", 0.0..=1.0)?, self.number("level_se", 0.0..=1.0)?);
        match (kind, pair) {
            (Kind::Product, (Some(level), Some(se))) if level >= value && level > 0.0 => Ok(Some((level, se))),
            (Kind::Product, (Some(level), Some(_))) => {
                let problem = format!("the factor {level} is below the product {value}");
                Err(self.error("level", problem, format!("a factor lies in [{value}, 1]")))
            }
            (Kind::Product, _) => {
                let fix = "give level and level_se, the Kaplan-Meier rate of ccyr and its standard error".to_string();
                Err(self.error("level", "a product needs its first factor".into(), fix))
            }
            (_, (None, None)) => Ok(None),
            _ => Err(self.error("level", "only a product has a level".into(), "leave level and level_se empty".into())),
        }
    }
}

/// Standard error of a share of `n`, at 0 and 1 that of half a patient more and half a patient less; of a product
/// F p by the delta method: Var = p² Var(F) + F² p (1 − p) / n.
fn standard_error(value: f64, n: f64, level: Option<(f64, f64)>) -> f64 {
    let share = |p: f64| {
        let p = p.clamp(0.5 / (n + 1.0), 1.0 - 0.5 / (n + 1.0));
        p * (1.0 - p) / n
    };
    match level {
        None => share(value).sqrt(),
        Some((f, se)) => {
            let p = value / f;
            (p * p * se * se + f * f * share(p)).sqrt()
        }
    }
}

/// Unit of the last printed digit.
fn step(text: &str) -> f64 {
    let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    libm::pow(10.0, -(decimals.min(15) as f64))
}
