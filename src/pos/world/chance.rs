//! What the world leaves to chance, and can be repeated.

/// Chance that is the same for a seed.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 2) % u64::try_from(bound.max(1)).expect("positive")).expect("62 bits")
    }

    pub fn per_mille(&mut self, share: i64) -> bool {
        self.below(1_000) < share
    }
}
