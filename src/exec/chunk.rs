//! The results of a run of consecutive ids, in memory and as bytes of fixed layout: what travels between ranks, and what
//! the journal keeps.

use super::Outcome;

/// The results of consecutive ids: all outcomes, and the rows of those that are not rejected, in order of id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// The first id.
    pub first: u64,
    /// What became of each id.
    pub outcomes: Vec<Outcome>,
    /// The rows of ids that were not rejected, one after the other.
    pub rows: Vec<f64>,
    /// Seconds that one thread spent on it.
    pub seconds: f64,
}

impl Chunk {
    /// Number of ids.
    pub fn len(&self) -> u64 {
        self.outcomes.len() as u64
    }

    /// Whether it holds no id.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// Each result in order of id, with its row (empty if rejected).
    pub fn iter(&self, width: usize) -> impl Iterator<Item = (u64, Outcome, &[f64])> {
        let mut rows = self.rows.chunks_exact(width.max(1));
        (self.first..).zip(&self.outcomes).map(move |(id, &outcome)| {
            let row = if outcome == Outcome::Rejected { &[] } else { rows.next().unwrap_or(&[]) };
            (id, outcome, row)
        })
    }

    /// Appends its bytes, little-endian: first id, number of ids, number of ids not rejected (u64 each), seconds (f64); for
    /// each id not rejected its place (u32) and outcome (u32); the rows (f64).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let travels = || self.outcomes.iter().zip(0u32..).filter(|(outcome, _)| **outcome != Outcome::Rejected);
        for word in [self.first, self.len(), travels().count() as u64, self.seconds.to_bits()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for (outcome, place) in travels() {
            out.extend_from_slice(&place.to_le_bytes());
            out.extend_from_slice(&(*outcome as u32).to_le_bytes());
        }
        for value in &self.rows {
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }

    /// Reads one chunk with rows of `width` numbers from the front of `bytes`, which it shortens; `None` if they are not
    /// those of a whole chunk.
    pub fn decode(bytes: &mut &[u8], width: usize) -> Option<Chunk> {
        /// Ids in one chunk, at most; more is a damaged count.
        const MOST: u64 = 1 << 24;
        let mut rest = *bytes;
        let mut word = || Some(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?));
        let (first, count, travels, seconds) = (word()?, word()?, word()?, f64::from_bits(word()?));
        if travels > count || count > MOST {
            return None;
        }
        let mut outcomes = vec![Outcome::Rejected; count as usize];
        for pair in take(&mut rest, 8 * travels as usize)?.chunks_exact(8) {
            let place = u32::from_le_bytes(pair[..4].try_into().ok()?);
            let outcome = outcomes.get_mut(place as usize)?;
            *outcome = match u32::from_le_bytes(pair[4..].try_into().ok()?) {
                1 => Outcome::Kept,
                2 => Outcome::Failed,
                _ => return None,
            };
        }
        let values = take(&mut rest, 8 * width * travels as usize)?.chunks_exact(8);
        let rows = values.filter_map(|v| Some(f64::from_bits(u64::from_le_bytes(v.try_into().ok()?)))).collect();
        *bytes = rest;
        Some(Chunk { first, outcomes, rows, seconds })
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_back(first: u64, width in 0usize..4, kinds in prop::collection::vec(0u8..3, 0..40), seed in 1u64..1 << 52) {
            let kind = |k: &u8| [Outcome::Rejected, Outcome::Kept, Outcome::Failed][*k as usize];
            let outcomes: Vec<Outcome> = kinds.iter().map(kind).collect();
            let travels = outcomes.iter().filter(|o| **o != Outcome::Rejected).count();
            let rows = (0..travels * width).map(|k| f64::from_bits(seed.wrapping_mul(k as u64 + 1))).collect();
            let chunk = Chunk { first, outcomes, rows, seconds: 0.25 };
            let mut bytes = Vec::new();
            chunk.encode(&mut bytes);
            chunk.encode(&mut bytes);
            let mut rest = bytes.as_slice();
            for _ in 0..2 {
                let back = Chunk::decode(&mut rest, width).unwrap();
                prop_assert_eq!((back.first, &back.outcomes), (chunk.first, &chunk.outcomes));
                prop_assert!(back.rows.iter().zip(&chunk.rows).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
            prop_assert!(rest.is_empty());
            // Any truncation is noticed, and leaves the bytes as they were.
            let mut short = &bytes[..bytes.len() / 2 - 1];
            prop_assert!(Chunk::decode(&mut short, width).is_none());
            prop_assert_eq!(short.len(), bytes.len() / 2 - 1);
        }
    }
}
