//! A number as its source wrote it: sign, digits and exponent, so that two spellings of one value can be told to be
//! equal without any arithmetic, and a text such as `1e999999999` costs nothing.
//!
//! No value is rounded here and none is held in a machine number.

use std::fmt::Write as _;

/// Digits that a [`crate::amount::Amount`] may have in all, and after the point: what `rust_decimal` holds without
/// rounding (its mantissa has 96 bits).
pub const DIGITS_MAX: usize = 28;

/// Beyond this a JSON number's exponent is not read. No such number can be an amount, and the limit keeps every sum of
/// a length and an exponent far from overflow.
const EXPONENT_MAX: i64 = 1_000_000_000;

/// The value `± digits · 10^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeral {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
}

/// The text is not a number in the asked form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANumeral;

/// The number is too long, or its exponent too large, to be written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl Numeral {
    /// Reads a JSON number's own text (RFC 8259, section 6), exponent allowed.
    ///
    /// # Errors
    /// The exponent lies beyond ±10⁹ (and the number is not zero).
    pub fn of_json_number(text: &str) -> Result<Self, TooLong> {
        let (negative, rest) = sign(text);
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if [whole, fraction].iter().all(|part| part.bytes().all(|b| b == b'0')) {
            return Ok(Self::new(false, "", "", 0));
        }
        match exponent.parse::<i64>() {
            Ok(exponent) if exponent.abs() <= EXPONENT_MAX => Ok(Self::new(negative, whole, fraction, exponent)),
            _ => Err(TooLong),
        }
    }

    /// Reads text of the form `^[+-]?[0-9]+(\.[0-9]+)?$`.
    ///
    /// # Errors
    /// The text has another form: thousands separators, an exponent, a currency sign, blanks, nothing at all.
    pub fn of_plain_text(text: &str) -> Result<Self, NotANumeral> {
        let (negative, rest) = sign(text);
        let (whole, fraction) = match rest.split_once('.') {
            Some((_, "")) => return Err(NotANumeral),
            Some(parts) => parts,
            None => (rest, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(NotANumeral);
        }
        Ok(Self::new(negative, whole, fraction, 0))
    }

    /// The value written out: no exponent, no `+`, no zeros at the end of a fraction, zero without a sign.
    ///
    /// # Errors
    /// It would need more than [`DIGITS_MAX`] digits, or more than that after the point.
    pub fn plain(&self) -> Result<String, TooLong> {
        let length = self.digits.len();
        if length == 0 {
            return Ok("0".to_owned());
        }
        let mut text = String::with_capacity(DIGITS_MAX + 3);
        if self.negative {
            text.push('-');
        }
        if let Ok(zeros) = usize::try_from(self.exponent) {
            if length + zeros > DIGITS_MAX {
                return Err(TooLong);
            }
            text.push_str(&self.digits);
            text.extend(std::iter::repeat_n('0', zeros));
            return Ok(text);
        }
        let scale = usize::try_from(-self.exponent).map_err(|_| TooLong)?;
        if length > DIGITS_MAX || scale > DIGITS_MAX {
            return Err(TooLong);
        }
        if let Some(point) = length.checked_sub(scale).filter(|&point| point > 0) {
            let (whole, fraction) = self.digits.split_at(point);
            text.push_str(whole);
            text.push('.');
            text.push_str(fraction);
        } else {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', scale - length));
            text.push_str(&self.digits);
        }
        Ok(text)
    }

    /// One text per value: written out where [`plain`](Self::plain) can, else `digits` `e` `exponent` with no zero at
    /// either end of the digits (`1e400` and `10.0e399` both give `1e400`).
    #[must_use]
    pub fn canonical(&self) -> String {
        self.plain().unwrap_or_else(|TooLong| {
            let mut text = String::from(if self.negative { "-" } else { "" });
            text.push_str(&self.digits);
            let _ = write!(text, "e{}", self.exponent);
            text
        })
    }

    fn new(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Self {
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let all = [whole, fraction].concat();
        let kept = all.trim_end_matches('0');
        let exponent = exponent - length(fraction) + length(&all) - length(kept);
        let digits = kept.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        Self { negative, digits, exponent }
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> String {
        Numeral::of_json_number(text).map_or("too long".to_owned(), |n| n.canonical())
    }

    #[test]
    fn one_value_has_one_text() {
        for (spelling, text) in [
            ("50000.0", "50000"),
            ("5E+4", "50000"),
            ("1.25e9", "1250000000"),
            ("-0.00", "0"),
            ("0e99999999999999999999", "0"),
            ("-12.340", "-12.34"),
            ("1e-3", "0.001"),
            ("123e-3", "0.123"),
            ("1234e-3", "1.234"),
            ("1e400", "1e400"),
            ("-10.0e399", "-1e400"),
            ("1e-29", "1e-29"),
            ("1e-28", "0.0000000000000000000000000001"),
            ("1e99999999999999999999", "too long"),
        ] {
            assert_eq!(number(spelling), text, "{spelling}");
        }
    }

    #[test]
    fn plain_text_is_digits_with_at_most_one_point() {
        for text in ["", "+", "-", ".", "1.", ".5", "1.2.3", "1e9", "1,5", " 1", "1 ", "--1", "+-1", "٣", "NaN", "0x1"]
        {
            assert_eq!(Numeral::of_plain_text(text), Err(NotANumeral), "{text}");
        }
        assert_eq!(Numeral::of_plain_text("+007.50").map(|n| n.canonical()), Ok("7.5".to_owned()));
    }
}
