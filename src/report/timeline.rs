//! Where the time of a run went: its sessions, and what each of their stages took.
//!
//! A stage is a generation, or one of the works that follow the inference. It lasts from the end of the one before to its own, so
//! that what a session did between two of them is counted with the second.

use serde_json::Value;

use crate::report::Input;
use crate::report::chart::{Axis, Chart, Ink, Ticks};
use crate::report::figure::Figure;
use crate::report::format::{NONE, count, date, escape, number};
use crate::report::page::{line, table};
use crate::report::tables::{csv, plain};

/// Width of the figure, and height of the strip of one stage.
const SIZE: (f64, f64) = (400.0, 30.0);
const TOP: f64 = 4.0;
const BOTTOM: f64 = 46.0;

/// What a stage took, over all sessions that worked at it.
struct Stage {
    what: String,
    seconds: f64,
    /// Simulations that were begun; of a generation alone.
    begun: Option<u64>,
}

/// Stages in the order in which they first ended; none of a run that an older version made.
fn stages(sessions: &[Value]) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    // A calibration is not the run's, and may take a hundred times as long.
    for session in sessions.iter().filter(|session| session["verb"] != "validate") {
        let verb = session["verb"].as_str().unwrap_or_default();
        let mut before = 0.0;
        let ended: Vec<&Value> = session["stages"].as_array().into_iter().flatten().collect();
        for (k, stage) in ended.iter().enumerate() {
            // The last one lasts until the file is written.
            let until = if k + 1 == ended.len() { &session["seconds"] } else { &stage["until"] };
            let (Some(name), Some(until)) = (stage["what"].as_str(), until.as_f64()) else { continue };
            let what = if verb == "run" { name.to_string() } else { format!("{verb}: {name}") };
            // What was begun on rank 0 is not all where there are more.
            let alone = session["ranks"] == 1;
            let of = |work: &&Value| alone && name == format!("generation {}", work["generation"]);
            let begun =
                session["simulations"].as_array().and_then(|all| all.iter().find(of)).and_then(|work| work["begun"].as_u64());
            let seconds = (until - before).max(0.0);
            before = until;
            match stages.iter_mut().find(|stage| stage.what == what) {
                Some(stage) => {
                    stage.seconds += seconds;
                    stage.begun = stage.begun.map(|sum| sum + begun.unwrap_or(0)).or(begun);
                }
                None => stages.push(Stage { what, seconds, begun }),
            }
        }
    }
    stages
}

/// A bar for each stage; `None` without a record of them.
pub(super) fn figure(input: &Input<'_>) -> Option<Figure> {
    let stages = stages(&input.store.sessions());
    let all: f64 = stages.iter().map(|stage| stage.seconds).sum();
    let longest = stages.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)).filter(|stage| stage.seconds > 0.0)?;
    let strip = |stage: &Stage| {
        let ink = if stage.what.starts_with("generation") { Ink::Posterior } else { Ink::Prior };
        let speed = stage.begun.map_or(String::new(), |begun| {
            // Of what is over in an instant the clock tells no speed.
            let rate = (stage.seconds >= 0.1).then(|| count((begun as f64 / stage.seconds).round() as u64));
            format!(", {} begun{}", count(begun), rate.map_or(String::new(), |rate| format!(", {rate} a second")))
        });
        (format!("{}: {:.2} s{speed}", stage.what, stage.seconds), stage.seconds, ink)
    };
    let caption = format!(
        "Wall time of each stage: generations (blue), and what follows them (grey). The longest, {}, took {:.0} % of {} s. Of the \
         simulations that were begun some were broken off early, and some came after the last that was needed.",
        longest.what,
        100.0 * longest.seconds / all,
        number(all)
    );
    let title = "Where the time went".to_string();
    let field = |stage: &Stage| {
        let begun = stage.begun.map_or(String::new(), |begun| begun.to_string());
        vec![stage.what.clone(), plain(stage.seconds), begun]
    };
    let data = csv(&["stage", "time [s]", "begun [simulations]"], stages.iter().map(field));
    Some(strips("timeline", title, caption, "Seconds", stages.iter().map(strip).collect(), data))
}

/// A figure of bars from zero, each below its label.
pub(super) fn strips(
    id: &str,
    title: String,
    caption: String,
    axis: &str,
    bars: Vec<(String, f64, Ink)>,
    data: String,
) -> Figure {
    let n = bars.len() as f64;
    let most = bars.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    let size = (SIZE.0, SIZE.1 * n + TOP + BOTTOM);
    let y = Axis { ticks: Ticks::Hidden, ..Axis::linear("", (0.0, n)) };
    let mut chart = Chart::new(Axis::linear(axis, (0.0, 1.02 * most)), y, size).bare().margins([16.0, 24.0, TOP, BOTTOM]);
    let mut labels = String::new();
    for (k, (label, value, ink)) in bars.into_iter().enumerate() {
        let at = n - k as f64 - 0.72;
        chart.bar((0.0, at), (value, at), ink, 7.0);
        let y = TOP + SIZE.1 * k as f64 + 12.0;
        labels += &format!("<text x=\"18\" y=\"{y}\" font-size=\"11.5\">{}</text>", escape(&label));
    }
    let svg = chart.draw(id, &title, &caption).replacen("</svg>", &format!("{labels}</svg>"), 1);
    Figure { id: id.into(), title, caption, svg, size, key: Vec::new(), data }
}

/// The sessions of a run; nothing if none left a record.
pub(super) fn html(input: &Input<'_>) -> String {
    let sessions = input.store.sessions();
    let row = |(k, session): (usize, &Value)| {
        let whole = |key: &str| session[key].as_u64().map_or(NONE.into(), count);
        let words = |key: &str| session[key].as_str().map_or(NONE.into(), escape);
        let seconds = session["seconds"].as_f64();
        let cells = [
            format!("{}", k + 1),
            words("verb"),
            session["started_unix"].as_u64().map_or(NONE.into(), date),
            seconds.map_or(NONE.into(), number),
            whole("ranks"),
            whole("threads"),
            whole("tasks"),
            session["busy"].as_f64().map_or(NONE.into(), |busy| number(100.0 * busy)),
            words("hosts"),
        ];
        line("", &cells, 0)
    };
    let head = [
        ("Session", ""),
        ("Command", ""),
        ("Began", "UTC"),
        ("Time", "s"),
        ("Ranks", ""),
        ("Threads", "of a rank"),
        ("Tasks", "done"),
        ("Threads busy", "% of the time"),
        ("Hosts", ""),
    ];
    let body: String = sessions.iter().enumerate().map(row).collect();
    if body.is_empty() { body } else { table("Sessions that worked at this file", &head, 0, &body) }
}
