//! What a result file says of its job.

use super::Job;
use crate::error::Result;
use crate::store::{Column, Header, PredictedRow};
use crate::trial::vocabulary::Word;

impl Job {
    /// Everything about the run that is known before it starts; enough to run it again from the file alone.
    ///
    /// # Errors
    /// Those of [`Job::problem`].
    pub fn header(&self) -> Result<Header> {
        let model = self.fit_model()?;
        let table = model.parameters();
        let column = |index: usize| Column {
            name: table[index].name.into(),
            unit: table[index].unit.into(),
            long_name: table[index].meaning.into(),
        };
        let inferred: Vec<usize> = self.inferred.iter().map(|(index, _)| *index).collect();
        let fixed = (0..table.len()).filter(|index| !inferred.contains(index));
        let observed = self.observed(model.as_ref())?;
        let name = self.definition.observations.get_ref().file.as_ref().map(|f| f.get_ref().display().to_string());
        Ok(Header {
            job_name: self.definition.name.get_ref().clone(),
            job_text: self.source.text.clone(),
            job_canonical: self.canonical(),
            observations_name: name.unwrap_or_default(),
            observations_text: self.table.as_ref().map(|t| t.text().to_string()).unwrap_or_default(),
            observations_sha256: self.table.as_ref().map(|t| t.sha256()).unwrap_or_default(),
            parameters: inferred.iter().map(|index| column(*index)).collect(),
            summaries: self.summary_columns(model.as_ref()),
            fixed: fixed.map(|index| (column(index), self.base[index])).collect(),
            rows: self.predicted(model.as_ref(), &observed),
            observed,
        })
    }

    fn summary_columns(&self, model: &dyn crate::model::Model) -> Vec<Column> {
        let rows = self.fitted_rows();
        let long = |k: usize| rows.get(k).map_or(String::new(), |row| row.of_trial(&row.definition));
        let summaries = model.summaries().iter().enumerate();
        summaries.map(|(k, s)| Column { name: s.name.clone(), unit: s.unit.clone(), long_name: long(k) }).collect()
    }

    fn predicted(&self, model: &dyn crate::model::Model, observed: &[f64]) -> Vec<PredictedRow> {
        let fitted = self.fitted_rows().len();
        if self.table.is_none() {
            let rows = model.summaries().iter().zip(observed);
            return rows
                .map(|(summary, value)| PredictedRow {
                    id: summary.name.clone(),
                    label: summary.name.clone(),
                    role: "fit".into(),
                    unit: summary.unit.clone(),
                    month: f64::NAN,
                    value: *value,
                    se: f64::NAN,
                    ..PredictedRow::default()
                })
                .collect();
        }
        let rows = self.predicted_rows().into_iter().enumerate();
        rows.map(|(k, row)| PredictedRow {
            id: row.id.clone(),
            label: row.of_trial(&row.definition),
            trial: row.trial.clone(),
            role: if k < fitted { "fit".into() } else { "held_out".into() },
            unit: "-".into(),
            month: row.month,
            value: row.value,
            se: row.variance().map_or(f64::NAN, f64::sqrt),
            n: row.n.unwrap_or(0.0) as u64,
            endpoint: row.endpoint.name().into(),
            kind: row.kind.name().into(),
            given: row.given_text(),
            source: row.source.clone(),
        })
        .collect()
    }
}
