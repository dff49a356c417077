//! Currencies by their ISO 4217 codes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The active codes of ISO 4217 in which a till can be paid, sorted: national and union currencies, as of 2026.
///
/// Deliberately absent: fund codes and units of account (`CLF`, `CHE`, …), metals and bond units (`XAU`, …), and the
/// codes for testing and for no currency (`XTS`, `XXX`): a sale in one of them is a mistake.
const CODES: &str = "\
     AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN \
     BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB \
     EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR \
     ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD \
     MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR \
     PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE \
     SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU \
     UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// An ISO 4217 code, such as `IDR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

impl Currency {
    /// The currency with this code: three capital letters, an active code of ISO 4217.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::codes().find(|known| *known == code).map(Self)
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.0
    }

    /// Every code that [`Currency::parse`] takes.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        CODES.split(' ')
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| de::Error::custom(format_args!("`{code}` is not an active ISO 4217 code")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_each_code_has_three_capitals() {
        let codes: Vec<&str> = Currency::codes().collect();
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert!(codes.iter().all(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())));
        assert!(codes.iter().all(|code| Currency::parse(code).is_some_and(|known| known.as_str() == *code)));
    }

    #[test]
    fn only_active_codes_are_taken() {
        for code in ["idr", "ID", "IDRR", "", "HRK", "XXX", "R\u{e9}", "\u{20ac}"] {
            assert_eq!(Currency::parse(code), None, "{code}");
        }
    }

    #[test]
    fn the_code_is_its_text_everywhere() {
        let rupiah = Currency::parse("IDR").expect("an active code");
        assert_eq!(format!("{rupiah} {rupiah:?}"), "IDR IDR");
        assert_eq!(serde_json::to_string(&rupiah).expect("text"), "\"IDR\"");
        assert_eq!(serde_json::from_str::<Currency>("\"IDR\"").expect("a code"), rupiah);
        assert!(serde_json::from_str::<Currency>("\"ABC\"").is_err());
    }
}
