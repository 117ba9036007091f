//! Numbers as people read them. What is not a number is a dash, never `NaN`.

/// What stands where there is no number.
pub(super) const NONE: &str = "-";

/// `x` with `digits` significant digits; in scientific form outside 10⁻⁴ … 10⁶.
pub(super) fn significant(x: f64, digits: i32) -> String {
    if !x.is_finite() {
        return NONE.into();
    }
    if x == 0.0 {
        return "0".into();
    }
    let exponent = libm::floor(libm::log10(x.abs())) as i32;
    if !(-4..6).contains(&exponent) {
        let text = format!("{x:.*e}", (digits - 1).max(0) as usize);
        return text;
    }
    format!("{x:.*}", (digits - 1 - exponent).max(0) as usize)
}

/// Three significant digits.
pub(super) fn number(x: f64) -> String {
    significant(x, 3)
}

/// A share in per cent with one decimal, without the sign.
pub(super) fn percent(x: f64) -> String {
    if x.is_finite() { format!("{:.1}", clean(100.0 * x, 0.05)) } else { NONE.into() }
}

/// Two decimals with a sign, or a dash.
pub(super) fn signed(x: Option<f64>) -> String {
    x.filter(|x| x.is_finite()).map_or(NONE.into(), |x| format!("{:+.2}", clean(x, 0.005)))
}

/// A value of a row: per cent if it is a share, else three significant digits.
pub(super) fn value(x: f64, share: bool) -> String {
    if share { percent(x) } else { number(x) }
}

/// Thousands apart: 1,234,567.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: 1 row, 2 rows.
pub(super) fn plural(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// No negative zero.
fn clean(x: f64, half: f64) -> f64 {
    if x.abs() < half { 0.0 } else { x }
}

/// Date and time, in UTC, of seconds since 1970 (Hinnant 2013, days to civil dates).
pub(super) fn date(unix: u64) -> String {
    let (days, second) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

/// Text for markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Name of a parameter with its unit in brackets.
pub(super) fn with_unit(name: &str, unit: &str) -> String {
    if unit == "-" || unit.is_empty() { name.into() } else { format!("{name} [{unit}]") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_those_of_the_calendar() {
        let of = |unix, text: &str| assert_eq!(super::date(unix), text);
        of(0, "1970-01-01 00:00");
        of(951_827_696, "2000-02-29 12:34");
        of(1_735_689_599, "2024-12-31 23:59");
    }
}
