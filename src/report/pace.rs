//! Throughput by rank: who is slow, at a glance. More ranks than [`MOST`] are shown in groups of neighbours, and the slowest by name.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::Value;

use crate::report::chart::Ink;
use crate::report::figure::Figure;
use crate::report::format::number;
use crate::report::tables::{csv, plain};
use crate::report::text::{cut, table};
use crate::report::{Input, timeline};

/// Most lines.
const MOST: usize = 32;
/// Length of the longest bar.
const BAR: f64 = 32.0;
/// Widest name of a host.
const HOST: usize = 24;

/// What a rank has done over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Tasks a second.
    pub rate: f64,
    /// Share of the time of its threads that they took.
    pub busy: f64,
    /// Whether it still has tasks to bring back.
    pub owes: bool,
}

/// What a rank does in a second, or each of some neighbours on average. As a word: `0@n01:12.3:97%`, `0-31@n01..n04:11.8:64%`.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pace {
    /// The first rank and the last.
    ranks: (usize, usize),
    /// The host, or the first and the last.
    host: String,
    /// Tasks a second and rank.
    rate: f64,
    /// Share of the time of its threads that they took.
    busy: f64,
}

impl Pace {
    fn parse(word: &str) -> Option<Pace> {
        let (ranks, rest) = word.split_once('@')?;
        let (rest, busy) = rest.rsplit_once(':')?;
        let (host, rate) = rest.rsplit_once(':')?;
        let busy = 0.01 * busy.strip_suffix('%')?.parse::<f64>().ok()?;
        let (first, last) = ranks.split_once('-').unwrap_or((ranks, ranks));
        Some(Pace { ranks: (first.parse().ok()?, last.parse().ok()?), host: host.into(), rate: rate.parse().ok()?, busy })
    }

    fn ranks(&self) -> String {
        let (first, last) = self.ranks;
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    }
}

impl Display for Pace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{:.3}:{:.0}%", self.ranks(), self.host, self.rate, 100.0 * self.busy)
    }
}

/// Throughput of several ranks. As words of a heartbeat: `by_rank=0@n01:12.3:97%,1@n02:11.8:95% slowest=1@n02:11.8:95%`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ByRank {
    /// Ranks or groups of neighbours, in order.
    groups: Vec<Pace>,
    slowest: Pace,
}

impl ByRank {
    /// That of ranks on such hosts; `None` of a rank that is alone, or where no task is done: that all ranks are at one says nothing yet.
    pub fn of(hosts: &[String], work: &[Work]) -> Option<ByRank> {
        let (idle, owing) = (work.iter().all(|work| work.rate == 0.0), work.iter().filter(|work| work.owes).count());
        if work.len() < 2 || hosts.len() != work.len() || idle && [0, work.len()].contains(&owing) {
            return None;
        }
        let size = work.len().div_ceil(MOST);
        let pace = |first: usize, work: &[Work]| {
            let ranks = (first, first + work.len() - 1);
            let (from, to) = (&hosts[ranks.0], &hosts[ranks.1]);
            let host = if from == to { from.clone() } else { format!("{from}..{to}") };
            let mean = |get: fn(&Work) -> f64| work.iter().map(get).sum::<f64>() / work.len() as f64;
            Pace { ranks, host, rate: mean(|work| work.rate), busy: mean(|work| work.busy) }
        };
        // Where a rank hangs the others soon have nothing to do: it is the one that still owes something.
        let rank = |k: &usize| (!work[*k].owes, work[*k].rate);
        let slowest = (0..work.len()).min_by(|a, b| rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1)))?;
        let groups = work.chunks(size).enumerate().map(|(k, work)| pace(k * size, work));
        Some(ByRank { groups: groups.collect(), slowest: pace(slowest, &work[slowest..=slowest]) })
    }

    /// That of a whole run, from the record of its session; `None` if it had one rank, or is of a version that did not record it. What
    /// other verbs did at the file is not that of the run.
    pub fn of_session(session: &Value) -> Option<ByRank> {
        let column = |name: &str| -> Option<Vec<f64>> {
            Some(session["work_by_rank"][name].as_array()?.iter().filter_map(Value::as_f64).collect())
        };
        let seconds = session["seconds"].as_f64().filter(|seconds| *seconds > 0.0 && session["verb"] == "run")?;
        let (tasks, busy, threads) = (column("tasks")?, column("busy_seconds")?, column("threads")?);
        let work = |((tasks, busy), threads)| Work { rate: tasks / seconds, busy: busy / (threads * seconds), owes: false };
        let work: Vec<Work> = tasks.into_iter().zip(busy).zip(threads).map(work).collect();
        ByRank::of(&hosts(session["hosts"].as_str()?), &work)
    }

    /// Reads the words of a heartbeat.
    pub fn parse(by_rank: &str, slowest: &str) -> Option<ByRank> {
        let groups: Vec<Pace> = by_rank.split(',').map(Pace::parse).collect::<Option<_>>()?;
        Some(ByRank { groups, slowest: Pace::parse(slowest)? })
    }

    /// A line for each rank or group; `blocks` draws with Unicode's block elements in place of ASCII.
    pub fn text(&self, blocks: bool) -> String {
        let top = self.groups.iter().map(|pace| pace.rate).fold(0.0, f64::max);
        let grouped = self.groups.iter().any(|pace| pace.ranks.0 < pace.ranks.1);
        let line = |pace: &Pace| {
            let full = if top > 0.0 { (BAR * pace.rate / top).round() as usize } else { 0 };
            let bar = if blocks { "█" } else { "#" }.repeat(full);
            vec![pace.ranks(), cut(&pace.host, HOST), bar, number(pace.rate), format!("{:.0} %", 100.0 * pace.busy)]
        };
        let lines = self.groups.iter().map(line).collect();
        let head =
            if grouped { ["ranks", "hosts", "", "a second and rank", "busy"] } else { ["rank", "host", "", "a second", "busy"] };
        let mut out = table(&head, lines, 3);
        if top == 0.0 {
            out += &format!("nothing comes back: the others wait for rank {} on {}\n", self.slowest.ranks(), self.slowest.host);
        } else if grouped {
            let Pace { ranks, host, rate, .. } = &self.slowest;
            out += &format!("the slowest: rank {} on {host}, {} a second\n", ranks.0, number(*rate));
        }
        out
    }
}

impl Display for ByRank {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
        write!(f, "by_rank={} slowest={}", groups.join(","), self.slowest)
    }
}

/// Tasks a second of the ranks of the last session of the run that had several.
pub(super) fn figure(input: &Input<'_>) -> Option<Figure> {
    let sessions = input.store.sessions();
    let (session, all) = sessions.iter().rev().find_map(|session| Some((session, ByRank::of_session(session)?)))?;
    let column = |name: &str| session["work_by_rank"][name].as_array().into_iter().flatten().filter_map(Value::as_f64).map(plain);
    let hosts = hosts(session["hosts"].as_str()?);
    let lines = column("tasks").zip(column("busy_seconds")).zip(hosts).enumerate();
    let lines = lines.map(|(rank, ((tasks, seconds), host))| vec![rank.to_string(), host, tasks, seconds]);
    let data = csv(&["rank", "host", "done [tasks]", "busy [thread s]"], lines);
    let one = |pace: &Pace| if pace.ranks.0 == pace.ranks.1 { "rank" } else { "ranks" };
    let label = |pace: &Pace| {
        format!("{} {} on {}: {}, busy {:.0} %", one(pace), pace.ranks(), pace.host, number(pace.rate), 100.0 * pace.busy)
    };
    let bars = all.groups.iter().map(|pace| (label(pace), pace.rate, Ink::Posterior)).collect();
    let caption = format!(
        "What each rank did in a second of the last session on several ranks: simulations of the inference, of predictions and of the \
         refinement alike. The slowest, rank {} on {}, did {} a second. One whose threads were busy and did little is slow; one \
         whose threads were not waited for work, or for another rank.",
        all.slowest.ranks(),
        all.slowest.host,
        number(all.slowest.rate)
    );
    Some(timeline::strips("by-rank", "Throughput by rank".into(), caption, "Tasks a second and rank", bars, data))
}

/// The host of each rank, of a list with its repetitions counted, as in `n1*4, n2*3`.
fn hosts(runs: &str) -> Vec<String> {
    let run = |run: &str| {
        let (host, times) = run.rsplit_once('*').and_then(|(host, n)| Some((host, n.parse().ok()?))).unwrap_or((run, 1));
        vec![host.to_string(); times]
    };
    runs.split(", ").flat_map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|k| format!("n{:02}", k / 4)).collect()
    }

    fn at(rates: &[f64]) -> Vec<Work> {
        rates.iter().map(|rate| Work { rate: *rate, busy: 0.5, owes: false }).collect()
    }

    #[test]
    fn each_of_a_few_ranks_has_its_line() {
        assert_eq!(ByRank::of(&names(1), &at(&[3.0])), None);
        let all = ByRank::of(&["a".into(), "b".into()], &at(&[12.0, 6.0])).unwrap();
        assert_eq!(all.to_string(), "by_rank=0@a:12.000:50%,1@b:6.000:50% slowest=1@b:6.000:50%");
        assert_eq!(ByRank::parse("0@a:12.000:50%,1@b:6.000:50%", "1@b:6.000:50%").as_ref(), Some(&all));
        let text = all.text(false);
        assert!(text.contains(&format!("\n0     a     {}      12.0  50 %\n", "#".repeat(32))), "{text}");
        assert!(text.contains(&format!("\n1     b     {:32}      6.00  50 %\n", "#".repeat(16))), "{text}");
        assert!(!text.contains("slowest"), "{text}");
        assert_eq!(ByRank::of(&["a".into(), "b".into()], &at(&[0.0, 0.0])), None);
        // One that hangs still owes something, while the others soon have nothing to do.
        let mut hangs = at(&[0.0, 0.0]);
        hangs[1].owes = true;
        let all = hangs.iter().map(|work| Work { owes: true, ..*work }).collect::<Vec<_>>();
        assert_eq!(ByRank::of(&["a".into(), "b".into()], &all), None, "simulations of minutes");
        let text = ByRank::of(&["a".into(), "b".into()], &hangs).unwrap().text(true);
        assert!(text.ends_with("\nnothing comes back: the others wait for rank 1 on b\n") && !text.contains('█'), "{text}");
    }

    /// 10,000 ranks on 2500 hosts, of which one is slow: a line of a heartbeat has room, and the slow one is named.
    #[test]
    fn many_ranks_are_grouped_and_the_slow_one_is_named() {
        let mut rates = vec![10.0; 10_000];
        rates[4321] = 0.25;
        let all = ByRank::of(&names(10_000), &at(&rates)).unwrap();
        assert_eq!((all.groups.len(), all.groups[31].ranks), (32, (9703, 9999)));
        assert!(all.to_string().len() < 1500, "{}", all.to_string().len());
        assert!(all.text(true).ends_with("the slowest: rank 4321 on n1080, 0.250 a second\n"), "{}", all.text(true));
        let (groups, slowest) = all.to_string().split_once(' ').map(|(a, b)| (a.to_string(), b.to_string())).unwrap();
        let again = ByRank::parse(&groups["by_rank=".len()..], &slowest["slowest=".len()..]).unwrap();
        assert_eq!(again.text(true), all.text(true));
    }

    #[test]
    fn the_pace_of_a_session_is_in_its_record() {
        let record = |hosts: &str| {
            let by_rank = serde_json::json!({ "tasks": [8, 4, 2], "busy_seconds": [4, 8, 1], "threads": [1, 2, 1] });
            serde_json::json!({ "verb": "run", "hosts": hosts, "seconds": 4.0, "work_by_rank": by_rank })
        };
        let all = ByRank::of_session(&record("a*2, b")).unwrap();
        assert_eq!(all.to_string(), "by_rank=0@a:2.000:100%,1@a:1.000:100%,2@b:0.500:25% slowest=2@b:0.500:25%");
        assert_eq!(ByRank::of_session(&record("a")), None);
        let mut other = record("a*2, b");
        other["verb"] = "validate".into();
        assert_eq!(ByRank::of_session(&other), None);
        assert_eq!(ByRank::of_session(&serde_json::json!({ "hosts": "a" })), None);
    }
}
