//! Exact decimal amounts: money, quantities, rates. Read from the source's own text, kept as that value, never rounded.
//!
//! An amount has at most 28 digits, and at most 28 of them after the point: what `rust_decimal` holds exactly. What is
//! longer is refused, here and in arithmetic. Each value has one form, so equal amounts have equal texts and bytes.
//!
//! Absent on purpose: division, rounding, floating point, and `rust_decimal`'s own addition and multiplication, which
//! round in silence when a result needs more than 96 bits.

use std::{borrow::Cow, fmt};

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;
use thiserror::Error;

use crate::numeral::{DIGITS_MAX, NotANumeral, Numeral, TooLong};

/// Ten to the power of [`DIGITS_MAX`]: the first mantissa that is too long.
const MANTISSA_END: u128 = 10_u128.pow(28);

/// An exact decimal value; its unit (currency, pieces, per cent) stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a value of the source is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountFault {
    /// Not a JSON number, and not text of the form `-12.50`.
    #[error("not a plain decimal number")]
    Invalid,
    /// A number, but one that cannot be held without rounding.
    #[error("more than {DIGITS_MAX} digits")]
    OutOfRange,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Reads a JSON number by its own text (an exponent is allowed and written out), or a string of the form
    /// `^[+-]?[0-9]+(\.[0-9]+)?$` with blanks around it at most.
    ///
    /// # Errors
    /// Anything else is [`AmountFault::Invalid`]; a number of more than 28 digits is [`AmountFault::OutOfRange`].
    pub fn from_json(value: &Value) -> Result<Self, AmountFault> {
        let numeral = match value {
            Value::Number(number) => Numeral::of_json_number(number.as_str())?,
            Value::String(text) => Numeral::of_plain_text(text.trim())?,
            _ => return Err(AmountFault::Invalid),
        };
        Self::of(&numeral)
    }

    /// Reads a text as [`from_json`](Self::from_json) reads a string.
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str) -> Result<Self, AmountFault> {
        Self::of(&Numeral::of_plain_text(text.trim())?)
    }

    /// The sum, or `None` if it has too many digits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.0.scale().max(other.0.scale());
        // An overflow of 128 bits means more than 28 digits in the sum too: the last digit of the value that was not
        // widened stands to the right of every digit of the other.
        Self::exact(self.widened(scale)?.checked_add(other.widened(scale)?)?, scale)
    }

    /// The difference, or `None` if it has too many digits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.negated())
    }

    /// The product, or `None` if it has too many digits.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let (left, left_zeros) = without_zeros(self.0.mantissa());
        let (right, right_zeros) = without_zeros(other.0.mantissa());
        let mantissa = left.checked_mul(right)?;
        let (scale, zeros) = (self.0.scale() + other.0.scale(), left_zeros + right_zeros);
        match scale.checked_sub(zeros) {
            Some(scale) => Self::exact(mantissa, scale),
            None => Self::exact(mantissa.checked_mul(10_i128.checked_pow(zeros - scale)?)?, 0),
        }
    }

    /// The value without its sign.
    #[must_use]
    pub fn magnitude(self) -> Self {
        Self(self.0.abs())
    }

    /// The value with the other sign; zero has none.
    #[must_use]
    pub fn negated(self) -> Self {
        if self.0.is_zero() { self } else { Self(-self.0) }
    }

    /// Below zero. (`-0` is zero.)
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative()
    }

    /// A fixed-size form for the store.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.serialize()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` if these bytes are not such a form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let read = Decimal::deserialize(bytes);
        let amount = Self::exact(read.mantissa(), read.scale())?;
        (amount.to_bytes() == bytes).then_some(amount)
    }

    fn of(numeral: &Numeral) -> Result<Self, AmountFault> {
        // `from_str_exact` refuses what it would have to round; after `plain` there is nothing left to refuse.
        Decimal::from_str_exact(&numeral.plain()?).map(Self).map_err(|_| AmountFault::OutOfRange)
    }

    /// The mantissa at a scale that is not smaller than its own.
    fn widened(self, scale: u32) -> Option<i128> {
        self.0.mantissa().checked_mul(10_i128.checked_pow(scale - self.0.scale())?)
    }

    /// The canonical amount of `mantissa / 10^scale`, if it can be held.
    fn exact(mut mantissa: i128, mut scale: u32) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if mantissa.unsigned_abs() >= MANTISSA_END {
            return None;
        }
        Decimal::try_from_i128_with_scale(mantissa, scale).ok().map(Self)
    }
}

/// A mantissa without its zeros at the end, and their number, so that a product of round values stays small.
fn without_zeros(mut mantissa: i128) -> (i128, u32) {
    let mut zeros = 0;
    while mantissa != 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        zeros += 1;
    }
    (mantissa, zeros)
}

impl From<NotANumeral> for AmountFault {
    fn from(_: NotANumeral) -> Self {
        Self::Invalid
    }
}

impl From<TooLong> for AmountFault {
    fn from(_: TooLong) -> Self {
        Self::OutOfRange
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn read(json: &str) -> Result<String, AmountFault> {
        Amount::from_json(&serde_json::from_str(json).unwrap()).map(|a| a.to_string())
    }

    #[test]
    fn numbers_and_plain_text_are_read_exactly() {
        for (json, text) in [
            ("45000.00", "45000"),
            ("1.25e9", "1250000000"),
            ("0.1", "0.1"),
            ("-0.0", "0"),
            ("\" +12.50 \"", "12.5"),
            ("\"-0\"", "0"),
            ("\"123456789012345678.99\"", "123456789012345678.99"),
            ("9007199254740993", "9007199254740993"),
            ("93.457943925234000", "93.457943925234"),
            ("9999999999999999999999999999", "9999999999999999999999999999"),
            ("1e-28", "0.0000000000000000000000000001"),
        ] {
            assert_eq!(read(json).as_deref(), Ok(text), "{json}");
        }
    }

    #[test]
    fn what_is_no_number_is_invalid() {
        for json in
            ["\"1.250.000\"", "\"Rp 25.000\"", "\"25,000\"", "\"1e9\"", "\"NaN\"", "\"\"", "true", "null", "{}", "[1]"]
        {
            assert_eq!(read(json), Err(AmountFault::Invalid), "{json}");
        }
    }

    #[test]
    fn what_would_be_rounded_is_out_of_range() {
        for json in
            ["1e28", "1e-29", "1e999999999999", "12345678901234567890123456789", "\"0.12345678901234567890123456789\""]
        {
            assert_eq!(read(json), Err(AmountFault::OutOfRange), "{json}");
        }
    }

    #[test]
    fn arithmetic_is_exact_or_refused() {
        let largest = amount("9999999999999999999999999999");
        assert_eq!(amount("0.1").checked_mul(amount("3")), Some(amount("0.3")));
        assert_eq!(amount("0.333").checked_mul(amount("14000")), Some(amount("4662")));
        assert_eq!(
            amount("1000000000000000000000000000").checked_mul(amount("0.0000000005")),
            Some(amount("500000000000000000"))
        );
        assert_eq!(largest.checked_add(amount("0.1")), None);
        assert_eq!(largest.checked_add(amount("1")), None);
        assert_eq!(largest.checked_sub(largest), Some(Amount::ZERO));
        assert_eq!(largest.checked_mul(largest), None);
        assert_eq!(amount("0.0000000000000000000000000001").checked_mul(amount("0.1")), None);
        assert_eq!(amount("-5").checked_mul(Amount::ZERO).map(Amount::is_negative), Some(false));
    }

    proptest! {
        /// Whatever is accepted is the very digits that were sent.
        #[test]
        fn an_accepted_text_survives_exactly(sign in "[+-]?", whole in "[0-9]{1,20}", fraction in "([0-9]{0,12})") {
            let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            let trimmed_whole = whole.trim_start_matches('0');
            let trimmed_fraction = fraction.trim_end_matches('0');
            let mut expected = if trimmed_whole.is_empty() { "0".to_owned() } else { trimmed_whole.to_owned() };
            if !trimmed_fraction.is_empty() {
                expected = format!("{expected}.{trimmed_fraction}");
            }
            if sign == "-" && expected != "0" {
                expected.insert(0, '-');
            }
            let digits = trimmed_whole.len() + trimmed_fraction.len();
            match Amount::parse(&text) {
                Ok(amount) => {
                    prop_assert_eq!(amount.to_string(), expected);
                    prop_assert_eq!(Amount::from_bytes(amount.to_bytes()), Some(amount));
                    let json = serde_json::to_string(&amount).unwrap();
                    prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
                }
                Err(fault) => {
                    prop_assert_eq!(fault, AmountFault::OutOfRange);
                    prop_assert!(digits > DIGITS_MAX);
                }
            }
        }

        #[test]
        fn an_exponent_is_only_another_spelling(mantissa in -999_999_999_i64..999_999_999, exponent in -15_i32..15) {
            let number = read(&format!("{mantissa}e{exponent}")).unwrap();
            let plain = Amount::parse(&number).unwrap();
            prop_assert_eq!(plain.to_string(), number);
            let power = "1".to_owned() + &"0".repeat(exponent.unsigned_abs() as usize);
            let power = amount(&power);
            let whole = amount(&mantissa.to_string());
            let (left, right) = if exponent >= 0 { (plain, whole.checked_mul(power)) } else { (whole, plain.checked_mul(power)) };
            prop_assert_eq!(Some(left), right);
        }

        #[test]
        fn any_text_and_any_bytes_are_survived(text in ".{0,60}", bytes in any::<[u8; 16]>()) {
            let _ = Amount::parse(&text);
            if let Some(amount) = Amount::from_bytes(bytes) {
                prop_assert_eq!(amount.to_bytes(), bytes);
            }
        }

        #[test]
        fn sums_agree_with_whole_numbers(a in any::<i64>(), b in any::<i64>(), scale in 0_u32..6) {
            let of = |n: i64| Amount::exact(n.into(), scale).unwrap();
            prop_assert_eq!(of(a).checked_add(of(b)), Amount::exact(i128::from(a) + i128::from(b), scale));
            prop_assert_eq!(of(a).checked_sub(of(b)), Amount::exact(i128::from(a) - i128::from(b), scale));
            prop_assert_eq!(of(a).checked_mul(of(b)), Amount::exact(i128::from(a) * i128::from(b), 2 * scale));
        }
    }
}
