//! Chance that can be repeated: the same seed gives the same shop day on every machine and in every version.

/// `SplitMix64` (Steele, Lea, Flood 2014): one add, two multiplications, full period, any seed is a good one. The
/// `rand` crates were refused: their generators may change the stream of a seed between versions.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of numbers that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, evenly spread over all 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if that is 0. The remainder favours small numbers by less than `bound` / 2⁶⁴,
    /// which no shop notices.
    pub fn below(&mut self, bound: u32) -> u32 {
        let drawn = self.draw() % u64::from(bound.max(1));
        u32::try_from(drawn).unwrap_or(u32::MAX)
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub fn happens(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of several, as often as its weight says.
    ///
    /// # Panics
    /// If there are none.
    pub fn weighted<'a, T>(&mut self, choices: &'a [(u32, T)]) -> &'a T {
        let mut drawn = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if drawn < *weight {
                return choice;
            }
            drawn -= weight;
        }
        &choices.last().expect("there is something to choose from").1
    }

    /// The numbers from 0 to `count` in random order (Fisher and Yates).
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            order.swap(last, self.below(bound) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // The first numbers of SplitMix64 for seed 1234567, as its reference implementation prints them.
        let mut chance = Chance::new(1_234_567);
        assert_eq!(chance.draw(), 6_457_827_717_110_365_317);
        assert_eq!(chance.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut order = Chance::new(7).shuffled(500);
        assert_ne!(order, (0..500).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn weights_are_kept() {
        let mut chance = Chance::new(1);
        let rare = (0..10_000).filter(|_| *chance.weighted(&[(99, false), (1, true)])).count();
        assert!((50..150).contains(&rare), "{rare} of 10000");
    }
}
