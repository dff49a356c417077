//! What a warung sells, for how much, how it is paid, and when people come. Prices are rupiah.

use rust_decimal::Decimal;

/// How a product is measured, and so which quantities it is sold in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Whole pieces, mostly one.
    Piece,
    /// Always one: nobody buys two phone credits in one go.
    One,
    /// Weighed or poured: fractions of a kilogram or litre.
    Weighed,
}

/// One product on the shelf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub name: &'static str,
    pub price: u32,
    pub measure: Measure,
}

const fn piece(name: &'static str, price: u32) -> Product {
    Product { name, price, measure: Measure::Piece }
}

const fn one(name: &'static str, price: u32) -> Product {
    Product { name, price, measure: Measure::One }
}

const fn weighed(name: &'static str, price: u32) -> Product {
    Product { name, price, measure: Measure::Weighed }
}

/// The shelf, each product with how often it is asked for. Some names carry what a careless reader breaks: accents,
/// Javanese letters, an emoji with a variation selector, quotes, markup.
pub(super) const SHELF: &[(u32, Product)] = &[
    (16, piece("Kopi Susu Gula Aren", 18_500)),
    (10, piece("Kopi Tubruk", 7_000)),
    (12, piece("Es Teh Manis", 5_000)),
    (4, piece("Es Kopi “Senja” ☕️", 22_000)),
    (14, piece("Nasi Goreng Kampung", 25_000)),
    (9, piece("Nasi Padang", 27_500)),
    (8, piece("Mie Ayam", 16_000)),
    (7, piece("Ayam Geprek", 20_000)),
    (5, piece("Soto Betawi", 32_000)),
    (3, piece("ꦱꦺꦒꦥꦼꦕꦼꦭ꧀ (Sega Pecel)", 12_500)),
    (3, piece("Tahu Gejrot “Spesial” – café Ñusantara 🌶️", 15_000)),
    (2, piece("Keripik <b>\"pedas\"</b> & sambal", 8_000)),
    (8, piece("Indomie Goreng", 3_100)),
    (9, piece("Aqua 600 ml", 3_500)),
    (4, piece("Roti Sobek Coklat", 17_900)),
    (5, piece("Telur Asin", 4_250)),
    (3, piece("Sabun Lifebuoy", 4_975)),
    (6, weighed("Beras Ramos (kg)", 14_800)),
    (5, weighed("Gula Pasir (kg)", 17_500)),
    (5, weighed("Minyak Goreng Curah (liter)", 16_750)),
    (4, weighed("Telur Ayam (kg)", 28_000)),
    (3, weighed("Bawang Merah (kg)", 38_500)),
    (2, weighed("Cabai Rawit (kg)", 64_000)),
    (1, weighed("Daging Sapi (kg)", 139_000)),
    (5, one("Pulsa Telkomsel 10.000", 12_000)),
    (3, one("Pulsa XL 25.000", 26_500)),
    (2, one("Token Listrik 50.000", 52_500)),
];

/// Pieces on one line.
pub(super) const PIECES: &[(u32, u32)] = &[(70, 1), (20, 2), (6, 3), (3, 4), (1, 10)];

/// Weighed quantities in thousandths: a quarter is usual, what the scale shows exactly is not always round.
pub(super) const THOUSANDTHS: &[(u32, u32)] =
    &[(30, 250), (25, 500), (8, 750), (20, 1_000), (6, 1_500), (5, 2_000), (3, 333), (2, 1_250), (1, 185)];

/// Lines on one slip.
pub(super) const LINES: &[(u32, u32)] = &[(45, 1), (30, 2), (15, 3), (7, 4), (3, 7)];

/// How sales are paid, in the tills' own words; `None`: the till does not say.
pub(super) const TENDERS: &[(u32, Option<&str>)] = &[
    (46, Some("cash")),
    (26, Some("qris")),
    (8, Some("debit")),
    (7, Some("gopay")),
    (5, Some("ovo")),
    (2, Some("tunai")),
    (2, Some("transfer bank")),
    (4, None),
];

/// Local hours with their share of the day's customers: breakfast, lunch and dinner are the rush.
pub(super) const HOURS: &[(u32, u32)] = &[
    (3, 6),
    (9, 7),
    (8, 8),
    (4, 9),
    (3, 10),
    (6, 11),
    (13, 12),
    (10, 13),
    (4, 14),
    (3, 15),
    (4, 16),
    (7, 17),
    (11, 18),
    (9, 19),
    (4, 20),
    (2, 21),
];

/// The quantity of a line that was drawn as pieces or thousandths.
pub(super) fn quantity(measure: Measure, pieces: u32, thousandths: u32) -> Decimal {
    match measure {
        Measure::Piece => Decimal::from(pieces),
        Measure::One => Decimal::ONE,
        Measure::Weighed => Decimal::new(i64::from(thousandths), 3).normalize(),
    }
}
