//! Who started this process: what `mpirun` and `srun` say of it in the environment.

use crate::error::Error;

/// A launcher that started this process, perhaps with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its name.
    pub by: &'static str,
    /// How many processes it started, if it says so.
    pub size: Option<usize>,
    /// Which of them this is.
    pub rank: usize,
}

impl Launch {
    /// Looks for a launcher. The innermost one counts: `mpirun` inside a Slurm job, not Slurm, which only started its daemons.
    pub fn detect() -> Option<Launch> {
        Self::from(&|name| std::env::var(name).ok())
    }

    fn from(variable: &dyn Fn(&str) -> Option<String>) -> Option<Launch> {
        let number = |name: &str| variable(name).and_then(|text| text.parse::<usize>().ok());
        let first = |names: &[&str]| names.iter().find_map(|name| number(name)).unwrap_or(0);
        // Hydra of MPICH and its relatives; also srun --mpi=pmi2.
        if let Some(size) = number("PMI_SIZE") {
            let by = if variable("MPI_LOCALNRANKS").is_some() { "mpirun" } else { "srun" };
            return Some(Launch { by, size: Some(size), rank: first(&["PMI_RANK"]) });
        }
        if let Some(size) = number("OMPI_COMM_WORLD_SIZE") {
            return Some(Launch { by: "mpirun", size: Some(size), rank: first(&["OMPI_COMM_WORLD_RANK"]) });
        }
        // A step of Slurm; the batch script itself is none.
        if variable("SLURM_STEP_ID").is_some() && variable("SLURM_PROCID").is_some() {
            return Some(Launch { by: "srun", size: number("SLURM_STEP_NUM_TASKS"), rank: first(&["SLURM_PROCID"]) });
        }
        let names = ["PMIX_RANK", "PMI_RANK"];
        let launched = names.iter().any(|name| variable(name).is_some());
        launched.then(|| Launch { by: "a launcher", size: None, rank: first(&names) })
    }

    /// These processes know nothing of each other, and the launcher ends all when one has ended: the first one speaks first.
    fn after_the_first(&self) {
        if self.rank > 0 {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }

    /// The refusal of a binary without MPI.
    pub fn without_mpi(&self) -> Error {
        self.after_the_first();
        let size = self.size.map_or("several".into(), |n| n.to_string());
        Error::Usage {
            problem: format!(
                "{} started {size} processes of this nicho, which was built without MPI: each would run the whole job",
                self.by
            ),
            fix: "build it with: cargo build --release --features mpi; or start it once, without mpirun or srun".into(),
        }
    }

    /// The refusal where the MPI library sees `ranks` ranks and the launcher started another number.
    pub fn mismatch(&self, ranks: usize, library: &str) -> Error {
        self.after_the_first();
        let size = self.size.map_or("several".into(), |n| n.to_string());
        Error::Usage {
            problem: format!(
                "{} started {size} processes, but the communicator of {library} has {ranks}: launcher and MPI library do not fit",
                self.by
            ),
            fix: "start it with the mpirun of that library; under Slurm: srun --mpi=pmix for Open MPI, --mpi=pmi2 for MPICH"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Option<Launch> {
        Launch::from(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_string()))
    }

    #[test]
    fn the_innermost_launcher_counts() {
        assert_eq!(launch(&[]), None);
        // A batch script: nothing was launched yet.
        assert_eq!(launch(&[("SLURM_JOB_ID", "7"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]), None);
        let step = [("SLURM_STEP_ID", "0"), ("SLURM_PROCID", "1"), ("SLURM_STEP_NUM_TASKS", "2")];
        assert_eq!(launch(&step), Some(Launch { by: "srun", size: Some(2), rank: 1 }));
        let inside = [step.as_slice(), &[("OMPI_COMM_WORLD_SIZE", "8"), ("OMPI_COMM_WORLD_RANK", "5")]].concat();
        assert_eq!(launch(&inside), Some(Launch { by: "mpirun", size: Some(8), rank: 5 }));
        let pmi2 = [step.as_slice(), &[("PMI_SIZE", "2"), ("PMI_RANK", "1")]].concat();
        assert_eq!(launch(&pmi2), Some(Launch { by: "srun", size: Some(2), rank: 1 }));
        assert_eq!(launch(&[("PMI_SIZE", "3"), ("MPI_LOCALNRANKS", "3")]), Some(Launch { by: "mpirun", size: Some(3), rank: 0 }));
    }
}
