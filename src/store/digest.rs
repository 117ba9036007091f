//! SHA-256 over values, not over file bytes: the same result has the same digest whatever wrote it, when and where.
//!
//! Each field is absorbed as (name, kind, shape, payload), each with its length, so that no two different sequences of
//! fields give the same stream of bytes. Floating-point numbers enter as the little-endian bits of their IEEE 754 form;
//! every NaN enters as the same one, because its sign and payload are not a value and differ between machines.

use sha2::{Digest as _, Sha256};

use super::{Header, Scenario};
use crate::density::network::Network;
use crate::distance::Parts;
use crate::population::{
    Adjusted, Calibration, Generation, Learnt, Mode, Predictive, Profile, Ranked, Regressed, Regressor, Reused, Shape, Surrogated,
};

/// The one NaN.
const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

/// A digest in the making.
struct Digest(Sha256);

impl Digest {
    fn new(what: &str) -> Self {
        let mut digest = Digest(Sha256::new());
        digest.text("nicho digest, version 1", what);
        digest
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn field(&mut self, name: &str, kind: u8, shape: &[usize]) {
        self.bytes(name.as_bytes());
        self.0.update([kind]);
        self.0.update((shape.len() as u64).to_le_bytes());
        for length in shape {
            self.0.update((*length as u64).to_le_bytes());
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.field(name, 0, &[]);
        self.bytes(text.as_bytes());
    }

    fn integers(&mut self, name: &str, values: impl ExactSizeIterator<Item = u64>) {
        self.field(name, 1, &[values.len()]);
        for value in values {
            self.0.update(value.to_le_bytes());
        }
    }

    fn numbers<'a>(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = &'a f64>) {
        self.field(name, 2, shape);
        for value in values {
            let bits = if value.is_nan() { NAN_BITS } else { value.to_bits() };
            self.0.update(bits.to_le_bytes());
        }
    }

    fn hex(self) -> String {
        hex(self.0)
    }
}

fn hex(sha: Sha256) -> String {
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the seal starts with; 64 hexadecimal digits and a line feed follow.
const SEAL: &[u8] = b"\nnicho file sha256 ";
const SEAL_LENGTH: usize = SEAL.len() + 64 + 1;

/// Appends the SHA-256 of the file's bytes behind the end that HDF5 knows, where every reader ignores it. Libraries that
/// read HDF5 may crash on a flipped bit; a damaged file is thus refused before HDF5 sees it.
pub(super) fn seal(bytes: &mut Vec<u8>) {
    let mut sha = Sha256::new();
    sha.update(&bytes);
    bytes.extend_from_slice(SEAL);
    bytes.extend_from_slice(hex(sha).as_bytes());
    bytes.push(b'\n');
}

/// The bytes without their seal; `None` if it does not fit. A file without a seal passes: it was truncated, which HDF5
/// notices, or another program wrote to it, which the other digests judge.
pub(super) fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let Some((body, seal)) = bytes.split_at_checked(bytes.len().wrapping_sub(SEAL_LENGTH)) else { return Some(bytes) };
    if !seal.starts_with(SEAL) {
        return Some(bytes);
    }
    let mut sha = Sha256::new();
    sha.update(body);
    (seal[SEAL.len()..SEAL_LENGTH - 1] == *hex(sha).as_bytes()).then_some(body)
}

/// Digest of what fixes and forms the posterior: job as parsed, content of the observations, every generation.
///
/// The number of failed simulations stays out: rejecting a simulation early may hide that it would have failed later,
/// and that switch cannot change the answer.
pub(super) fn inference(header: &Header, generations: &[Generation]) -> String {
    let mut digest = Digest::new("inference");
    digest.text("job", &header.job_canonical);
    digest.text("observations", &header.observations_sha256);
    digest.integers("generations", [generations.len() as u64].into_iter());
    for generation in generations {
        digest.numbers("tolerance", &[], [&generation.tolerance]);
        digest.numbers("theta", generation.theta.shape(), &generation.theta);
        digest.numbers("distance", &[generation.distance.len()], &generation.distance);
        digest.numbers("ln_weight", &[generation.ln_weight.len()], &generation.ln_weight);
        digest.integers("trial", generation.trial.iter().copied());
        digest.numbers("summaries", generation.summaries.shape(), &generation.summaries);
        digest.integers("simulated", [generation.simulated].into_iter());
    }
    digest.hex()
}

/// Digest of what each summary counts for.
pub(super) fn distance(parts: &Parts) -> String {
    let mut digest = Digest::new("distance");
    digest.numbers("scale", &[parts.scale.len()], &parts.scale);
    digest.numbers("weight", &[parts.weight.len()], &parts.weight);
    digest.integers("outlying", parts.outlying.iter().map(|out| u64::from(*out)));
    if let Some(foretold) = &parts.foretold {
        digest.numbers("slope", foretold.slope.shape(), &foretold.slope);
        digest.numbers("explained", &[foretold.explained.len()], &foretold.explained);
        if let Some(Network { centre, bias, hidden, offset, output }) = &foretold.network {
            for (name, values) in [("centre", centre), ("bias", bias), ("offset", offset)] {
                digest.numbers(name, &[values.len()], values);
            }
            for (name, values) in [("hidden", hidden), ("output", output)] {
                digest.numbers(name, values.shape(), values);
            }
        }
    }
    digest.hex()
}

/// Digest of draws and their simulations.
pub(super) fn predictive(what: &str, predictive: &Predictive) -> String {
    let mut digest = Digest::new(what);
    digest.numbers("theta", predictive.draws.theta.shape(), &predictive.draws.theta);
    digest.integers("particle", predictive.draws.particle.iter().map(|p| *p as u64));
    digest.numbers("values", predictive.values.shape(), &predictive.values);
    digest.hex()
}

/// Digest of the distances between replicates.
pub(super) fn noise_floor(distances: &[f64]) -> String {
    let mut digest = Digest::new("noise_floor");
    digest.numbers("distance", &[distances.len()], distances);
    digest.hex()
}

/// Digest of a calibration.
pub(super) fn calibration(calibration: &Calibration) -> String {
    let mut digest = Digest::new("calibration");
    digest.numbers("tolerance", &[], [&calibration.tolerance]);
    digest.integers("population", [calibration.population as u64].into_iter());
    let mut add = |what: &str, lines: &[Ranked]| {
        for line in lines {
            digest.text(what, &line.name);
            digest.integers("ranks", line.ranks.iter().map(|rank| *rank as u64));
            digest.integers("inside", line.inside.iter().map(|count| *count as u64));
            digest.integers("whole", [u64::from(line.whole)].into_iter());
            digest.numbers("recovery", &[line.recovery.len(), 2], line.recovery.iter().flat_map(|(truth, found)| [truth, found]));
        }
    };
    add("sampler", &calibration.lines);
    calibration.adjusted.iter().for_each(|lines| add("adjusted", lines));
    digest.hex()
}

/// Digest of a scenario: its file, what it asks for in each arm, and the simulations.
pub(super) fn scenario(scenario: &Scenario) -> String {
    let mut digest = Digest::new("scenario");
    for (name, text) in [("name", &scenario.name), ("title", &scenario.title), ("text", &scenario.text)] {
        digest.text(name, text);
    }
    digest.integers("patients", [scenario.patients].into_iter());
    scenario.arms.iter().for_each(|arm| digest.text("arm", arm));
    for row in &scenario.rows {
        // Not the label: words of the report may change, and what is predicted does not.
        for (name, text) in [("row", &row.id), ("endpoint", &row.endpoint), ("kind", &row.kind), ("given", &row.given)] {
            digest.text(name, text);
        }
        digest.numbers("month", &[], [&row.month]);
    }
    digest.integers("particle", scenario.particle.iter().map(|p| *p as u64));
    digest.numbers("posterior", scenario.posterior.shape(), &scenario.posterior);
    digest.numbers("prior", scenario.prior.shape(), &scenario.prior);
    for rule in &scenario.rules {
        digest.integers("arm", [rule.arm as u64].into_iter());
        digest.text("rule", &rule.name);
        digest.numbers("acted", &[2], [&rule.posterior, &rule.prior]);
    }
    digest.hex()
}

/// Digest of posterior modes.
pub(super) fn modes(modes: &[Mode]) -> String {
    let mut digest = Digest::new("modes");
    digest.integers("modes", [modes.len() as u64].into_iter());
    for mode in modes {
        digest.numbers("theta", &[mode.theta.len()], &mode.theta);
        digest.numbers("figures", &[4], [&mode.objective, &mode.distance, &mode.start, &mode.weight]);
        digest.integers("counts", [mode.evaluations, u64::from(mode.converged)].into_iter());
        digest.numbers("curvature_sd", &[mode.curvature_sd.len()], &mode.curvature_sd);
    }
    digest.hex()
}

/// Digest of profiles.
pub(super) fn profile(profile: &Profile) -> String {
    let mut digest = Digest::new("profile");
    for (name, values) in [("value", &profile.value), ("objective", &profile.objective), ("misfit", &profile.misfit)] {
        digest.numbers(name, values.shape(), values);
    }
    digest.integers("evaluations", [profile.evaluations].into_iter());
    digest.hex()
}

/// Digest of the adjusted posterior.
pub(super) fn adjusted(adjusted: &Adjusted) -> String {
    let Adjusted { theta, learnt, fitted } = adjusted;
    let mut digest = Digest::new("adjusted");
    digest.numbers("theta", theta.shape(), theta);
    match learnt {
        Learnt::Surrogate(Surrogated { shape, score, score_error }) => {
            let Shape { first, cells, quadratic, scaled, local, bandwidth } = shape;
            let counts = [*first as u64, *cells as u64, u64::from(*quadratic), u64::from(*scaled), u64::from(*local), *fitted];
            digest.integers("counts", counts.into_iter());
            digest.numbers("figures", &[3], [bandwidth, score, score_error]);
        }
        Learnt::Regression(Regressed { by, reused, ess, explained }) => {
            // Nothing of a linear one: there was no other once.
            if *by == Regressor::Network {
                digest.text("by", "network");
            }
            digest.integers("fitted", [*fitted].into_iter());
            digest.numbers("ess", &[], [ess]);
            digest.numbers("explained", &[explained.len()], explained);
            reused.iter().for_each(|reused| add_reused(&mut digest, reused));
        }
        Learnt::Reuse(reused) => {
            digest.integers("fitted", [*fitted].into_iter());
            add_reused(&mut digest, reused);
        }
    }
    digest.hex()
}

fn add_reused(digest: &mut Digest, Reused { earlier, before, after }: &Reused) {
    digest.integers("reused", [*earlier].into_iter());
    digest.numbers("reuse", &[2], [before, after]);
}
