//! The pages of reports in a real browser: what is looked for stands in `browser.js`, and here how the browser is told.
//!
//! A Chromium that `NICHO_BROWSER` names is spoken to by the DevTools protocol (chromedevtools.github.io/devtools-protocol) over two
//! pipes: JSON documents with a zero byte behind each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{folder, left_out, succeed, text};

/// Widths of a telephone, a tablet and a desk, in CSS pixels.
const WIDTHS: [u64; 3] = [390, 768, 1280];
/// Width of A4 between margins of 1 cm, at 96 dots per inch.
const PAPER: u64 = 718;
/// What is looked for on a page that was just loaded, but for what needs keys.
const CHECKS: [&str; 7] = ["width", "frame", "headings", "tables", "figures", "letters", "contrast"];

/// A browser with one window.
struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    count: u64,
    /// What it told by itself since the last page was opened.
    told: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// The one that `NICHO_BROWSER` names; `None`, and said so, without one.
    fn open(test: &str) -> Option<Browser> {
        let Some(program) = std::env::var_os("NICHO_BROWSER").filter(|path| !path.is_empty()) else {
            left_out(test, "NICHO_BROWSER is not set; it names a Chromium (./tests/run finds or installs one and sets it)");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI leaves nothing out: set NICHO_BROWSER");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // It listens at descriptor 3 and speaks at 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec \"$@\"", "sh"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Browser { child, to, from, session: None, count: 0, told: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = session["sessionId"].as_str().map(String::from);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn hear(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has gone");
        serde_json::from_slice(&message).unwrap()
    }

    /// Calls a method of the protocol; its result.
    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.count += 1;
        let mut message = json!({ "id": self.count, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut heard = self.hear();
            if heard["id"] == json!(self.count) {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].take();
            }
            self.told.push(heard);
        }
    }

    /// Waits until it tells of an event.
    fn wait(&mut self, event: &str) {
        while !self.told.iter().any(|told| told["method"] == event) {
            let heard = self.hear();
            self.told.push(heard);
        }
    }

    /// The value of an expression in the page.
    #[track_caller]
    fn value(&mut self, expression: &str) -> Value {
        let said =
            self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }));
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].clone()
    }

    /// Opens a page in a window of that width, in the colours and for the medium that are asked for.
    fn show(&mut self, page: &Path, width: u64, scheme: &str, medium: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": medium, "features": features }));
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.told.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        self.wait("Page.loadEventFired");
        self.value(&text("tests/suite/browser.js"));
    }

    /// What checks find, a sentence for each.
    #[track_caller]
    fn defects(&mut self, checks: &[&str]) -> Vec<String> {
        serde_json::from_value(self.value(&format!("report.defects(...{})", json!(checks)))).unwrap()
    }

    /// What the keyboard does not reach, or not so that one sees it, once Tab has gone around the page.
    fn keyboard(&mut self) -> Vec<String> {
        let stops = self.value("report.watch()").as_u64().unwrap();
        let key = |kind: &str| json!({ "type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
        for _ in 0..stops + 3 {
            self.call("Input.dispatchKeyEvent", key("keyDown"));
            self.call("Input.dispatchKeyEvent", key("keyUp"));
        }
        self.defects(&["keyboard"])
    }

    /// Requests to anywhere, and errors and warnings of the console, since the page was opened.
    fn noise(&self) -> Vec<String> {
        let of = |told: &Value| {
            let of = &told["params"];
            match told["method"].as_str()? {
                "Network.requestWillBeSent" => {
                    let url = of["request"]["url"].as_str()?;
                    (!url.starts_with("file:") && !url.starts_with("data:")).then(|| format!("network: {url}"))
                }
                "Log.entryAdded" => Some(format!("console: {}", of["entry"]["text"])),
                "Runtime.consoleAPICalled" => Some(format!("console: {}", of["args"])),
                "Runtime.exceptionThrown" => Some(format!("console: {}", of["exceptionDetails"])),
                _ => None,
            }
        };
        self.told.iter().filter_map(of).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything that is looked for, at every width, in light and dark, and on paper.
fn look(browser: &mut Browser, page: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut found = |at: String, defects: Vec<String>| wrong.extend(defects.into_iter().map(|defect| format!("{at}: {defect}")));
    for width in WIDTHS {
        for scheme in ["light", "dark"] {
            browser.show(page, width, scheme, "screen");
            found(format!("{width} {scheme}"), browser.defects(&CHECKS));
            found(format!("{width} {scheme}"), browser.noise());
        }
        found(format!("{width}"), browser.keyboard());
        // What is behind a summary as well.
        browser.value("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        found(format!("{width} unfolded"), browser.defects(&["width", "contrast"]));
    }
    browser.show(page, PAPER, "dark", "print");
    found("paper".into(), browser.defects(&["width", "contrast", "letters", "folded"]));
    wrong
}

/// Lines of a table without its head.
fn lines(csv: &str) -> usize {
    csv.lines().count() - 1
}

type Saved = BTreeMap<String, BTreeMap<String, String>>;

/// The drawing and the data that the links of each figure hold; the drawings are the files beside the page.
fn saved(browser: &mut Browser, page: &Path) -> Saved {
    let saved: Saved = serde_json::from_value(browser.value("report.contents()")).unwrap();
    for (id, of) in &saved {
        let beside = std::fs::read_to_string(page.with_file_name(format!("figures/{id}.svg"))).unwrap();
        assert_eq!(of["svg"], beside, "{id}");
    }
    assert_eq!(std::fs::read_dir(page.with_file_name("figures")).unwrap().count(), saved.len());
    saved
}

#[test]
fn a_page_with_a_trial_and_a_scenario_holds_up() {
    let Some(mut browser) = Browser::open("a_page_with_a_trial_and_a_scenario_holds_up") else { return };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/iris-smoke.toml"]);
    succeed(folder.path(), &["predict", "iris-smoke.h5", "jobs/scenarios/dose-halving.toml"]);
    succeed(folder.path(), &["report", "iris-smoke.h5"]);
    let page = folder.path().join("iris-smoke.report/report.html");
    let wrong = look(&mut browser, &page);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // As many numbers as are drawn: every row once, 300 draws, a density at 161 points, four generations, two arms in each month.
    let saved = saved(&mut browser, &page);
    let of = |start: &str| saved.iter().filter(|(id, _)| id.starts_with(start)).map(|(_, of)| lines(&of["csv"])).sum::<usize>();
    let rows = std::fs::read_to_string(page.with_file_name("rows.csv")).unwrap();
    assert_eq!(of("curve-") + of("forest-"), lines(&rows));
    assert_eq!([of("pairs"), of("marginal-"), of("generations-acceptance"), of("directions")], [300, 4 * 161, 4, 4]);
    assert_eq!(of("scenario-dose-halving-"), 2 * (7 + 7 + 4));
    // A link that is pressed saves what it holds.
    let target = folder.path().join("saved");
    std::fs::create_dir(&target).unwrap();
    let session = browser.session.take();
    browser.call("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": target, "eventsEnabled": true }));
    browser.session = session;
    browser.value("document.querySelector('#pairs a[download$=\".csv\"]').click()");
    while !browser.told.iter().any(|told| told["params"]["state"] == "completed") {
        let heard = browser.hear();
        browser.told.push(heard);
    }
    assert_eq!(std::fs::read_to_string(target.join("pairs.csv")).unwrap(), saved["pairs"]["csv"]);
}

#[test]
fn pages_of_a_comparison_and_of_a_coin_hold_up() {
    let Some(mut browser) = Browser::open("pages_of_a_comparison_and_of_a_coin_hold_up") else { return };
    let folder = folder();
    // A tenth of the comparison, as the test of shipped jobs cuts them.
    let job = text("jobs/niche-variants.toml")
        .replace("patients = 553", "patients = 100")
        .replace("population = 1000", "population = 60")
        .replace("generations = 9", "generations = 3")
        .replace("draws = 400", "draws = 20")
        .replace("iris.csv\"", "iris.csv\"\nexclude = [\"mmr_given_ccyr_3\", \"is1_given_ccyr_3\", \"mmr_given_ccyr_6\"]");
    std::fs::write(folder.path().join("jobs/small.toml"), job).unwrap();
    for (job, output) in [("small", "niche-variants"), ("coin", "coin")] {
        succeed(folder.path(), &["run", &format!("jobs/{job}.toml")]);
        let page = folder.path().join(format!("{output}.report/report.html"));
        let wrong = look(&mut browser, &page);
        assert!(wrong.is_empty(), "{job}\n{}", wrong.join("\n"));
        let saved = saved(&mut browser, &page);
        assert!(output == "coin" || lines(&saved["models-course"]["csv"]) == 3);
    }
}

/// Two runs over each other, on one page without a folder.
#[test]
fn a_page_of_two_runs_holds_up() {
    let Some(mut browser) = Browser::open("a_page_of_two_runs_holds_up") else { return };
    let folder = folder();
    for (seed, name) in [("1", "first.h5"), ("2", "second.h5")] {
        succeed(folder.path(), &["run", "jobs/iris-smoke.toml", "--seed", seed, "-o", name]);
        succeed(folder.path(), &["predict", name, "jobs/scenarios/dose-halving.toml"]);
    }
    succeed(folder.path(), &["compare", "first.h5", "second.h5", "-o", "two.html"]);
    let wrong = look(&mut browser, &folder.path().join("two.html"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Defects, each with the check that must find it and that alone, and what it says of it.
const PLANTED: [(&str, &str, &str); 23] = [
    ("width", "document.querySelector('h1').style.width = '3000px'", "in a window of"),
    (
        "width",
        "document.querySelector('.scroll').style.overflow = 'hidden'; document.querySelector('table').style.minWidth = '3000px'",
        "<table>",
    ),
    ("frame", "document.documentElement.lang = ''", "no language"),
    ("frame", "document.title = ''", "no title"),
    ("frame", "document.querySelector('.skip').remove()", "does not skip"),
    ("frame", "document.querySelector('nav a').href = '#nowhere'", "leads nowhere"),
    (
        "headings",
        "document.querySelector('section').insertAdjacentHTML('beforeend', '<h4>deep</h4>')",
        "after a heading of level 2",
    ),
    ("tables", "document.querySelector('caption').remove()", "no caption"),
    ("tables", "document.querySelector('tbody th').removeAttribute('scope')", "no scope"),
    ("tables", "document.querySelector('tbody td').remove()", "cells under"),
    ("figures", "document.querySelector('figure').removeAttribute('aria-labelledby')", "no name"),
    ("figures", "document.querySelector('figcaption').firstChild.remove()", "no caption"),
    ("figures", "document.querySelector('a[download$=\".csv\"]').remove()", "no CSV to save"),
    (
        "figures",
        "document.querySelector('a[download$=\".svg\"]').href = 'data:image/svg+xml,%3Csvg%3E%3Cg%3E%3C/svg%3E'",
        "not well-formed",
    ),
    (
        "figures",
        "document.querySelector('a[download$=\".csv\"]').href = 'data:text/csv,time,share [1]%0A1,2%0A'",
        "column time of its CSV has no unit",
    ),
    (
        "figures",
        "document.querySelector('a[download$=\".csv\"]').href = 'data:text/csv,time [s],share [1]%0A1%0A'",
        "1 fields under 2",
    ),
    ("letters", "document.querySelector('figure svg text').setAttribute('x', '-90')", "leaves the drawing"),
    ("letters", "{ const text = document.querySelector('figure svg text'); text.after(text.cloneNode(true)) }", "lies on"),
    ("letters", "document.querySelector('.key svg').style.width = '90px'", "is 90 wide"),
    ("contrast", "document.querySelector('p').style.color = '#8a8a8a'", "has a contrast of 3."),
    ("contrast", "document.querySelector('figure svg text').style.fill = '#8a8a8a'", "has a contrast of 3."),
    ("keyboard", "document.querySelector('summary').tabIndex = -1", "is not reached"),
    (
        "keyboard",
        "document.head.insertAdjacentHTML('beforeend', '<style>:focus-visible { outline: none }</style>')",
        "an outline of 0",
    ),
];

/// Each check is seen to find what it is for, and only that one does; a page as it is has none of it.
#[test]
fn the_checks_see_what_is_planted() {
    let Some(mut browser) = Browser::open("the_checks_see_what_is_planted") else { return };
    let folder = folder();
    succeed(folder.path(), &["run", "jobs/coin.toml"]);
    let page = folder.path().join("coin.report/report.html");
    for (check, plant, says) in PLANTED {
        browser.show(&page, 768, "light", "screen");
        browser.value(plant);
        let mut found = if check == "keyboard" { browser.keyboard() } else { browser.defects(&CHECKS) };
        assert!(found.iter().any(|defect| defect.starts_with(check) && defect.contains(says)), "{plant}\n{}", found.join("\n"));
        found.retain(|defect| !defect.starts_with(check));
        assert!(found.is_empty(), "{plant}\n{}", found.join("\n"));
    }
    // On paper everything is unfolded; planted: nothing is.
    browser.show(&page, PAPER, "light", "print");
    assert!(browser.defects(&["folded"]).is_empty());
    browser.value(
        "document.head.insertAdjacentHTML('beforeend', '<style>details::details-content { content-visibility: hidden !important }</style>')",
    );
    assert!(browser.defects(&["folded"]).iter().any(|defect| defect.contains("stays folded")));
    // What the page asks for, and what it says on the console; its policy, which stops both, is seen to do so.
    let asking =
        std::fs::read_to_string(&page).unwrap().replace("</main>", "<img alt=\"\" src=\"http://127.0.0.1:9/x.png\"/></main>");
    let start = asking.find("<meta http-equiv").unwrap();
    let free = format!("{}{}", &asking[..start], &asking[start + asking[start..].find("/>").unwrap() + 2..]);
    for (name, markup, says) in [("asking", &asking, "console: "), ("free", &free, "network: http://127.0.0.1:9/x.png")] {
        let planted = page.with_file_name(format!("{name}.html"));
        std::fs::write(&planted, markup).unwrap();
        browser.show(&planted, 768, "light", "screen");
        assert!(browser.noise().iter().any(|noise| noise.starts_with(says)), "{name}: {:?}", browser.noise());
    }
}
