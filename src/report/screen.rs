//! Which parameters move which endpoints, as tables and as a heat map.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Result;
use crate::report::figure::Figure;
use crate::report::heat::Heat;
use crate::report::put_all;
use crate::report::tables::{plain, quoted};
use crate::report::text::table;
use crate::validate::Screen;

/// Parameters of the heat map, those that move most.
const MOST: usize = 40;
/// A share below this is no number in the heat map.
const SHOWN: f64 = 0.015;

/// A screen with the names of its parameters and endpoints.
pub struct Screened<'a> {
    /// The shares.
    pub screen: &'a Screen,
    /// Names of the parameters.
    pub parameters: Vec<&'a str>,
    /// Names of the endpoints.
    pub endpoints: Vec<&'a str>,
    /// Draws of the prior that were simulated.
    pub draws: usize,
}

impl Screened<'_> {
    /// Parameters, those that move most first, each with the three endpoints that it moves most.
    pub fn text(&self) -> String {
        let screen = self.screen;
        let line = |k: usize| {
            let shares = screen.monotone.row(k);
            let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
            order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]).then(a.cmp(b)));
            let most = order.iter().take(3).map(|m| format!("{} {:.0} %", self.endpoints[*m], 100.0 * shares[*m]));
            let any = screen.any_shape.row(k).mean().unwrap_or(0.0).max(0.0);
            let [mean, any] = [screen.mean(k), any].map(|share| format!("{:.1} %", 100.0 * share));
            vec![self.parameters[k].into(), most.collect::<Vec<_>>().join(", "), mean, any]
        };
        let mut rest: Vec<f64> = (0..self.endpoints.len()).map(|m| screen.rest(m)).collect();
        rest.sort_by(f64::total_cmp);
        format!(
            "Share of the rank variance of the fitted rows that each parameter explains, {} draws of the prior{}.\n\
             mean: over all rows, of a monotone effect; any shape: of one that may turn back; below {:.1} % it is noise.\n\n\
             {}\nNo parameter by itself explains {:.0} % of a row (median of the rows; {:.0} to {:.0} %): interactions, and chance.\n",
            self.draws,
            if screen.used < self.draws { format!(", {} whole", screen.used) } else { String::new() },
            400.0 / screen.used as f64,
            table(&["parameter", "most moved rows", "mean", "any shape"], screen.order().into_iter().map(line).collect(), 2),
            100.0 * rest[rest.len() / 2],
            100.0 * rest[0],
            100.0 * rest[rest.len() - 1],
        )
    }

    /// A line for each pair, in the order of the table.
    pub fn csv(&self) -> String {
        let mut out = String::from("parameter,row,monotone [share of rank variance],any_shape [share of rank variance]\n");
        for k in self.screen.order() {
            for (m, endpoint) in self.endpoints.iter().enumerate() {
                let shares = [&self.screen.monotone, &self.screen.any_shape].map(|of| plain(of[(k, m)]));
                out += &format!("{},{},{}\n", quoted(self.parameters[k]), quoted(endpoint), shares.join(","));
            }
        }
        out
    }

    /// The same as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        let of = |k: usize| {
            json!({
                "parameter": self.parameters[k],
                "mean": self.screen.mean(k),
                "monotone": self.screen.monotone.row(k).to_vec(),
                "any_shape": self.screen.any_shape.row(k).to_vec(),
            })
        };
        let rest: Vec<f64> = (0..self.endpoints.len()).map(|m| self.screen.rest(m)).collect();
        json!({
            "draws": self.draws,
            "used": self.screen.used,
            "rows": self.endpoints,
            "unexplained": rest,
            "parameters": self.screen.order().into_iter().map(of).collect::<Vec<_>>(),
        })
    }

    /// Writes `screen.csv` and `screen.svg` into `folder`; what was written.
    ///
    /// # Errors
    /// `Io` if the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        put_all(folder, vec![("screen.csv".into(), self.csv()), ("screen.svg".into(), self.figure().standalone())])
    }

    /// Rows are parameters, those that move most above; endpoints stand in the order of the parameter that moves them most, so
    /// that what belongs together lies about a diagonal.
    fn figure(&self) -> Figure {
        let shares = &self.screen.monotone;
        let mut order = self.screen.order();
        order.truncate(MOST);
        let strongest = |m: usize| {
            let best =
                order.iter().enumerate().max_by(|a, b| shares[(*a.1, m)].total_cmp(&shares[(*b.1, m)]).then(b.0.cmp(&a.0)));
            best.map_or((0, 0.0), |(place, k)| (place, shares[(*k, m)]))
        };
        let mut columns: Vec<(usize, f64, usize)> =
            (0..self.endpoints.len()).map(|m| (strongest(m).0, strongest(m).1, m)).collect();
        columns.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let cut = if order.len() < self.parameters.len() {
            format!(" The {} of {} parameters that move most are shown.", order.len(), self.parameters.len())
        } else {
            String::new()
        };
        Heat {
            id: "screen",
            title: "Share of the variance of each endpoint that a parameter explains, in %".into(),
            caption: format!("Squared rank correlation over {} draws of the prior.{cut}", self.screen.used),
            rows: order.iter().map(|k| self.parameters[*k].to_string()).collect(),
            columns: columns.iter().map(|(.., m)| self.endpoints[*m].to_string()).collect(),
            beside: order.iter().map(|k| format!("{:.1}", 100.0 * self.screen.mean(*k))).collect(),
            beside_title: "mean",
            values: order.iter().flat_map(|k| columns.iter().map(move |(.., m)| shares[(*k, *m)])).collect(),
            unit: "share of rank variance",
            text: |share| if share < SHOWN { String::new() } else { format!("{:.0}", 100.0 * share) },
            key: [0.1, 0.5, 1.0].map(|share| (share, format!("{:.0} %", 100.0 * share))).into(),
        }
        .figure()
    }
}
