//! A table of published observations: one row per figure, strictly read.
//!
//! Columns (any order, all required): `id`, `fit_role` (fit, held_out, context), `group` (rows whose errors are
//! correlated share one), `endpoint`, `kind`, `given` (see [`vocabulary`](crate::trial::vocabulary)), `month`, `value`
//! (as printed: its last digit tells how far it was rounded), `n` (denominator), `se` (standard error, empty = binomial
//! of `n`), `level` and `level_se` (of a product only: its Kaplan-Meier factor; `n` is then the denominator of the other
//! factor), `se_basis`, `definition`, `reason`, `source` (free text). A line that starts with `#` is a comment. A table of several trials
//! has a further column, [`TRIAL`], and the rows of a group are of one trial.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::spelling::misspelt;
use crate::trial::read::{Fields, Source, columns};
use crate::trial::vocabulary::{Endpoint, Kind, Role, Term, Word};

/// The columns, in the order of the shipped tables.
pub const COLUMNS: [&str; 16] = [
    "id",
    "fit_role",
    "group",
    "endpoint",
    "kind",
    "given",
    "month",
    "value",
    "n",
    "se",
    "level",
    "level_se",
    "se_basis",
    "definition",
    "reason",
    "source",
];

/// The column that says which trial a row is of, in a table of several.
pub const TRIAL: &str = "trial";

/// The last month that a row can be about.
pub(super) const LAST_MONTH: f64 = 1200.0;

/// One published figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Unique name.
    pub id: String,
    /// The trial that it is of; empty where a table has but one.
    pub trial: String,
    /// What it is for.
    pub role: Role,
    /// Rows of one group may have correlated errors; groups are independent.
    pub group: String,
    /// What.
    pub endpoint: Endpoint,
    /// How.
    pub kind: Kind,
    /// Among whom; empty: all patients.
    pub given: Vec<Term>,
    /// When, months since the start of treatment, of a relapse since the stop; of an annual rate the end of the year.
    pub month: f64,
    /// The figure, in [0, 1]; not a number where a row only asks for an estimate.
    pub value: f64,
    /// Denominator; `None` where it was not published.
    pub n: Option<f64>,
    /// Standard error of sampling; `None` only in context rows.
    pub se: Option<f64>,
    /// Unit of the last printed digit of the value.
    pub step: f64,
    /// Of a product: its Kaplan-Meier factor and that factor's standard error.
    pub level: Option<(f64, f64)>,
    /// How the standard error was found.
    pub se_basis: String,
    /// The published definition.
    pub definition: String,
    /// Why it has its role.
    pub reason: String,
    /// Where it was published.
    pub source: String,
    /// Where it stands: file and line; `None` for a row that no file names.
    pub place: Option<(PathBuf, usize)>,
}

impl Row {
    /// Variance of the printed figure: sampling, and rounding to the printed digit (uniform within the step).
    pub fn variance(&self) -> Option<f64> {
        self.se.map(|se| se * se + self.rounding())
    }

    /// Variance of rounding: step² / 12.
    pub fn rounding(&self) -> f64 {
        self.step * self.step / 12.0
    }

    /// The condition as it stands in a table.
    pub fn given_text(&self) -> String {
        self.given.iter().map(Term::text).collect::<Vec<_>>().join(" & ")
    }

    /// A text about the row, with the name of its trial before it if it has one.
    pub fn of_trial(&self, text: &str) -> String {
        if self.trial.is_empty() { text.into() } else { format!("{}: {text}", self.trial) }
    }

    /// An error about this row, at its place if it has one.
    pub fn error(&self, key: &str, problem: String, fix: String) -> Error {
        match &self.place {
            Some((file, line)) => Error::Input { file: file.clone(), line: *line, column: 1, key: key.into(), problem, fix },
            None => Error::Usage { problem, fix },
        }
    }

    /// A row that asks for an estimate without an observation: context, named after what it asks for, as in
    /// `mmr_ever_12`, with a value that is not a number and no place.
    ///
    /// # Errors
    /// The problem and what to do: an endpoint that cannot be estimated that way, conditions where none can be taken, a
    /// month outside (0, 1200].
    pub fn asked(endpoint: Endpoint, kind: Kind, given: Vec<Term>, month: f64) -> Result<Row, (String, String)> {
        endpoint.check_kind(kind)?;
        if !(month > 0.0 && month <= LAST_MONTH) {
            let problem = format!("month {month} is outside (0, {LAST_MONTH}]");
            return Err((problem, "give it in months since the start of treatment, as in 12".into()));
        }
        endpoint.check_given(kind, &given, month)?;
        let words: Vec<String> = given.iter().map(|term| term.text().replace(' ', "_")).collect();
        let among = if given.is_empty() { String::new() } else { format!("{}_", words.join("_and_")) };
        let id = format!("{}_{}_{among}{month}", endpoint.name(), kind.name());
        Ok(Row {
            group: id.clone(),
            id,
            trial: String::new(),
            role: Role::Context,
            endpoint,
            kind,
            given,
            month,
            value: f64::NAN,
            n: None,
            se: None,
            step: 0.0,
            level: None,
            se_basis: String::new(),
            definition: String::new(),
            reason: String::new(),
            source: String::new(),
            place: None,
        })
    }
}

/// A table of observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    rows: Vec<Row>,
    text: String,
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or [`Table::parse`] refuses it.
    pub fn load(path: &Path) -> Result<Table> {
        let misspelt = |error| Error::io(path, "read the observation table")(misspelt(path, "csv", error));
        let text = std::fs::read_to_string(path).map_err(misspelt)?;
        Table::parse(&text, path)
    }

    /// Reads a table from its text; `name` appears in errors.
    ///
    /// # Errors
    /// [`Error::Input`] with line and column: a column unknown or missing; a field that is not a number or outside its
    /// range; a word that is not in the vocabulary; an endpoint that cannot be estimated that way; an id used twice; a
    /// fitted or held-out row without any standard error; no row at all.
    pub fn parse(text: &str, name: &Path) -> Result<Table> {
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
        let lines: Vec<&str> = text.lines().collect();
        let source = Source { name, lines: &lines };
        let header = reader.headers().map_err(|e| source.broken(&e))?.clone();
        let header_line = source.line(header.position());
        let order = columns(&header, header_line, &source)?;
        let mut rows: Vec<Row> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|e| source.broken(&e))?;
            let line = source.line(record.position());
            let fields = Fields { record: &record, order: &order, line, source: &source };
            let row = fields.row()?;
            if let Some(first) = rows.iter().find(|r| r.id == row.id) {
                let earlier = first.place.as_ref().map_or(0, |place| place.1);
                let problem = format!("\"{}\" already names the row in line {earlier}", row.id);
                return Err(fields.error("id", problem, "give every row its own id".into()));
            }
            if let Some(other) = rows.iter().find(|other| other.group == row.group && other.trial != row.trial) {
                let problem = format!(
                    "\"{}\" is a group of the trial \"{}\" as well, and trials share no patients",
                    row.group, other.trial
                );
                return Err(fields.error("group", problem, "give the rows of each trial groups of their own".into()));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            let fix = "add at least one row below the header".to_string();
            return Err(source.error(header_line, 0, "id", "the table has no rows".into(), fix));
        }
        Ok(Table { rows, text: text.to_string() })
    }

    /// All rows, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The text that was read, comments included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rows of one role, in the order of the file.
    pub fn with_role(&self, role: Role) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.role == role).collect()
    }

    /// The fitted rows.
    pub fn fitted(&self) -> Vec<&Row> {
        self.with_role(Role::Fit)
    }

    /// SHA-256, lower-case hex, of all that can change a result: every field but the free text.
    pub fn sha256(&self) -> String {
        self.hash(|row| {
            let option = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
            [
                row.id.clone(),
                row.role.name().into(),
                row.group.clone(),
                row.endpoint.name().into(),
                row.kind.name().into(),
                row.given_text(),
                row.month.to_string(),
                row.value.to_string(),
                option(row.n),
                option(row.se),
                row.step.to_string(),
                option(row.level.map(|l| l.0)),
                option(row.level.map(|l| l.1)),
            ]
            .into_iter()
            // Behind the rest, so that a table of one trial keeps its hash.
            .chain((!row.trial.is_empty()).then(|| row.trial.clone()))
            .collect::<Vec<_>>()
            .join("\u{1f}")
        })
    }

    /// SHA-256, lower-case hex, of (id, fit_role, value, se): the split into fitted and held-out rows. It is frozen
    /// before the first fit; a test holds it.
    pub fn split_sha256(&self) -> String {
        self.hash(|row| {
            let se = row.se.map_or(String::new(), |x| x.to_string());
            format!("{},{},{},{se}", row.id, row.role.name(), row.value)
        })
    }

    fn hash(&self, line: impl Fn(&Row) -> String) -> String {
        let mut hasher = Sha256::new();
        for row in &self.rows {
            hasher.update(line(row).as_bytes());
            hasher.update(b"\n");
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::estimate::Estimator;
    use crate::trial::history::Plan;

    const IRIS: &str = include_str!("../../jobs/data/iris.csv");
    const HEADER: &str =
        "id,fit_role,group,endpoint,kind,given,month,value,n,se,level,level_se,se_basis,definition,reason,source\n";

    fn iris() -> Table {
        Table::parse(IRIS, Path::new("iris.csv")).unwrap()
    }

    fn refusal(rows: &str) -> String {
        Table::parse(&format!("# a comment\n{HEADER}{rows}"), Path::new("t.csv")).unwrap_err().to_string()
    }

    #[test]
    fn the_split_into_fitted_and_held_out_rows_is_frozen() {
        let table = iris();
        assert_eq!([Role::Fit, Role::HeldOut, Role::Context].map(|role| table.with_role(role).len()), [31, 35, 39]);
        assert_eq!(table.split_sha256(), "4089c3409deab68d50b02e2912f8309420030c4a50b946346148284a74cdf95b");
    }

    #[test]
    fn every_shipped_row_keeps_the_rules_of_the_split() {
        let table = iris();
        for row in table.rows() {
            match row.role {
                Role::Fit => assert!(row.month <= 60.0 && row.given.iter().all(|t| t.month.is_none_or(|m| m <= 60.0))),
                Role::HeldOut => {
                    assert!(row.month > 60.0 && row.month <= 120.0 && !row.reason.is_empty(), "{}", row.id)
                }
                Role::Context => assert!(!row.reason.is_empty(), "{}", row.id),
            }
            assert!(!row.source.is_empty() && !row.definition.is_empty());
        }
        assert!(Estimator::new(&table.rows().iter().collect::<Vec<_>>(), &Plan::iris(132.0)).is_ok());
    }

    #[test]
    fn no_figure_is_fitted_or_scored_twice() {
        let table = iris();
        let counted: Vec<&Row> = table.rows().iter().filter(|row| row.role != Role::Context).collect();
        for (at, a) in counted.iter().enumerate() {
            for b in &counted[at + 1..] {
                // A status at a month is another fact than ever having reached it, a rate another than a level.
                let other = |row: &Row| matches!(row.kind, Kind::At | Kind::Annual);
                let alike = other(a) == other(b) && a.given == b.given;
                let same = a.endpoint == b.endpoint && a.month == b.month && alike;
                assert!(!same, "{} and {}", a.id, b.id);
            }
        }
    }

    #[test]
    fn standard_errors_are_what_their_basis_says() {
        let table = iris();
        for row in table.rows() {
            let Some(se) = row.se else { continue };
            if row.level.is_none() && row.se_basis.starts_with("binomial of") {
                let n = row.n.unwrap();
                assert!((se - (row.value * (1.0 - row.value) / n).sqrt()).abs() < 1e-12, "{}", row.id);
            }
        }
        // By hand: p = .36/.69; p² .0205² + .69² p (1 − p) / 333.
        let product = table.rows().iter().find(|row| row.id == "mmr_product_12").unwrap();
        let p: f64 = 0.36 / 0.69;
        let by_hand = (p * p * 0.0205f64.powi(2) + 0.69f64.powi(2) * p * (1.0 - p) / 333.0).sqrt();
        assert!((product.se.unwrap() - by_hand).abs() < 1e-12 && (by_hand - 0.0217).abs() < 1e-4);
        // 0.36 is printed to two digits.
        assert!((product.variance().unwrap() - by_hand * by_hand - 1e-4 / 12.0).abs() < 1e-15);
    }

    #[test]
    fn the_hash_sees_content_and_no_comments() {
        let table = iris();
        let commented = Table::parse(&format!("# one more\n{IRIS}"), Path::new("elsewhere.csv")).unwrap();
        assert_eq!(table.sha256(), commented.sha256());
        assert_ne!(table.text(), commented.text());
        let changed = IRIS.replace("ever,,30,0.95,553", "ever,,30,0.94,553");
        let changed = Table::parse(&changed, Path::new("iris.csv")).unwrap();
        assert_ne!(table.sha256(), changed.sha256());
        assert_ne!(table.split_sha256(), changed.split_sha256());
    }

    #[test]
    fn a_wrong_field_is_named_with_line_column_range_and_fix() {
        let good = "a,fit,g,ccyr,ever,,30,0.79,553,,,,b,d,,s\n";
        let cases = [
            ("a,fit,g,ccyr,ever,,30,69,553,,,,b,d,,s\n", "t.csv:3:23: value: 69 is outside [0, 1]", "not a per cent"),
            ("a,fit,g,ccyr,ever,,30,\"0,7\",553,,,,b,d,,s\n", "t.csv:3:23: value: \"0,7\" is not a number", "[0, 1]"),
            ("a,fit,g,ccyr,ever,,30,NaN,553,,,,b,d,,s\n", "NaN is outside [0, 1]", "share"),
            ("a,fit,g,ccyr,ever,,30,,553,,,,b,d,,s\n", "t.csv:3:23: value: no number", "[0, 1]"),
            ("a,fit,g,cyr,ever,,30,.7,553,,,,b,d,,s\n", "t.csv:3:9: endpoint: unknown endpoint \"cyr\"", "\"ccyr\"?"),
            ("a,fit,g,ccyr,evr,,30,.7,553,,,,b,d,,s\n", "t.csv:3:14: kind: unknown kind \"evr\"", "\"ever\"?"),
            ("a,heldout,g,ccyr,ever,,30,.7,553,,,,b,d,,s\n", "unknown fit_role \"heldout\"", "\"held_out\"?"),
            ("a,fit,g,relapse,ever,ccyr@12,30,.7,99,,,,b,d,,s\n", "t.csv:3:22: given: relapse as ever takes no", "leave given"),
            ("a,fit,g,os,annual,mmr,24,.7,99,,,,b,d,,s\n", "given: os as annual takes no condition", "leave given empty"),
            ("a,fit,g,relapse,annual,,24,.7,99,,,,b,d,,s\n", "t.csv:3:17: kind: relapse cannot", "km_survival, ever"),
            ("a,fit,g,os,confirmed,,30,.7,553,,,,b,d,,s\n", "os cannot be estimated as confirmed", "km_survival"),
            ("a,fit,g,mmr,at,ccy@3,3,.7,51,,,,b,d,,s\n", "t.csv:3:16: given: \"ccy\" is not a response", "\"ccyr\"?"),
            ("a,fit,g,mmr,at,ccyr@x,3,.7,51,,,,b,d,,s\n", "\"x\" is not a month", "ccyr@12"),
            ("a,fit,g,ccyr,ever,,30,.7,,,,,b,d,,s\n", "t.csv:3:27: se: a fit row needs a standard error", "give n"),
            ("a,fit,g,ccyr,ever,,30,.7,0,,,,b,d,,s\n", "t.csv:3:26: n: 0 is outside [1, infinity)", "figure"),
            ("a,fit,g,mmr,product,,12,.4,333,,,,b,d,,s\n", "a product needs its first factor", "level_se"),
            ("a,fit,g,ccyr,ever\n", "t.csv:3:1: row: the line has 5 fields, the header has 16", "quotes"),
            (&format!("{good}\n# between\n{good}"), "t.csv:6:1: id: \"a\" already names the row in line 3", "own id"),
            ("", "t.csv:2:1: id: the table has no rows", "add"),
        ];
        for (rows, problem, fix) in cases {
            let message = refusal(rows);
            assert!(message.contains(problem) && message.contains("fix: ") && message.contains(fix), "{message}");
        }
        let unknown = Table::parse("id,fit_rol\na,fit\n", Path::new("t.csv")).unwrap_err().to_string();
        assert!(unknown.starts_with("t.csv:1:4: fit_rol: unknown column") && unknown.contains("\"fit_role\"?"), "{unknown}");
        let missing = Table::parse(&HEADER.replace(",group", ""), Path::new("t.csv")).unwrap_err().to_string();
        assert!(missing.contains("group: the column is missing"), "{missing}");
        let absent = Table::load(Path::new("no/such.csv")).unwrap_err();
        assert!(absent.to_string().contains("no/such.csv: cannot read the observation table") && absent.exit_code() == 6);
        assert!(Table::parse(&format!("{HEADER}{good}"), Path::new("t.csv")).is_ok());
    }

    #[test]
    fn a_row_that_only_asks_needs_no_file() {
        let ccyr = |text: &str| Term::parse_all(text).unwrap();
        let row = Row::asked(Endpoint::Mmr, Kind::Ever, Vec::new(), 12.0).unwrap();
        assert_eq!(
            (row.id.as_str(), row.group.as_str(), row.role, row.place.is_none()),
            ("mmr_ever_12", "mmr_ever_12", Role::Context, true)
        );
        assert!(row.value.is_nan() && row.se.is_none() && row.n.is_none() && row.variance().is_none());
        let row = Row::asked(Endpoint::Efs, Kind::KmSurvival, ccyr("ccyr@18 & not mmr@18"), 84.5).unwrap();
        assert_eq!(
            (row.id.as_str(), row.given_text().as_str()),
            ("efs_km_survival_ccyr@18_and_not_mmr@18_84.5", "ccyr@18 & not mmr@18")
        );
        for (of, kind, given, month, problem, fix) in [
            (Endpoint::Os, Kind::Confirmed, "", 12.0, "os cannot be estimated as confirmed", "km_survival"),
            (Endpoint::Relapse, Kind::At, "", 12.0, "relapse cannot be estimated as at", "km_incidence, km_survival, ever"),
            (Endpoint::Relapse, Kind::KmSurvival, "mr4", 12.0, "relapse as km_survival takes no condition", "leave given empty"),
            (Endpoint::Mmr, Kind::Product, "ccyr@12", 12.0, "mmr as product takes no condition", "leave given empty"),
            (Endpoint::Mmr, Kind::At, "", 0.0, "month 0 is outside (0, 1200]", "months"),
            (Endpoint::Mmr, Kind::At, "", f64::NAN, "month NaN is outside", "months"),
        ] {
            let refusal = Row::asked(of, kind, ccyr(given), month).unwrap_err();
            assert!(refusal.0.contains(problem) && refusal.1.contains(fix), "{refusal:?}");
        }
    }

    #[test]
    fn rows_that_ask_are_estimated_as_rows_of_a_table_are() {
        let asked = |of, kind, month| Row::asked(of, kind, Vec::new(), month).unwrap();
        let mut rows = [
            asked(Endpoint::Mmr, Kind::Ever, 12.0),
            asked(Endpoint::Ccyr, Kind::KmIncidence, 24.0),
            asked(Endpoint::Mmr, Kind::Product, 24.0),
        ];
        let plan = Plan::iris(24.0);
        let estimator = Estimator::new(&rows.iter().collect::<Vec<_>>(), &plan).unwrap();
        let mut history = crate::trial::history::History { attended: plan.by(24.0), ..Default::default() };
        (history.found.mmr, history.found.ccyr) = (plan.by(24.0), plan.marrow);
        let mut out = [f64::NAN; 3];
        estimator.estimate(&[history, Default::default()], &mut out);
        assert_eq!(out, [0.5, 1.0, 1.0]);
        // Without a place an error is one of usage; a caller that knows the place gives it.
        let refused = |row: &Row| Estimator::new(&[row], &Plan::iris(12.0)).unwrap_err();
        let error = refused(&rows[1]);
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().starts_with("row ccyr_km_incidence_24 at month 24 lies after the horizon 12\n  fix: "),
            "{error}"
        );
        rows[1].place = Some(("scenario.toml".into(), 7));
        assert!(refused(&rows[1]).to_string().starts_with("scenario.toml:7:1: month: row ccyr"));
    }
}
