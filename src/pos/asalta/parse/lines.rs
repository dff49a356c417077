//! The lines of a record.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{present, short, text};
use crate::{
    amount::Amount,
    pos::{fields, page::UnknownFields},
    transaction::{Flag, Item, Tax},
};

/// No product's key: an item that was typed in by hand, and a gift card that was sold.
const MANUAL_ITEM: &str = "4294967295";
const GIFT_CARD: &str = "1515676266";

/// Of a gift card's number so much is kept: the rest is money.
const CARD_CHARS_KEPT: usize = 4;

const KNOWN: &[&str] = &[
    "product_id",
    "product_code",
    "product_name",
    "product_type",
    "option_id",
    "net_unit_price",
    "nup_before_order_discount",
    "unit_price",
    "quantity",
    "warehouse_id",
    "item_tax",
    "tax_rate_id",
    "tax",
    "discount",
    "item_discount",
    "item_tax_details",
    "bundle_discount",
    "subtotal",
    "serial_no",
    "real_unit_price",
    "free_items_qty",
    "promo_id",
    "promo_title",
    "bundle_items",
    "promo_details",
    "gift_card",
    "id",
];

/// The usable lines, and what else their elements say. A bad line is left out and flagged: the header's money must not
/// be lost for it.
pub fn lines(
    value: Option<&Value>,
    flags: &mut BTreeSet<Flag>,
    unknown: &mut UnknownFields,
) -> (Option<Vec<Item>>, Option<Value>) {
    let Some(lines) = fields::lines(present(value), flags, |value| line(value, unknown)) else { return (None, None) };
    let (items, extras): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    let extra = extras.iter().any(|extra| !extra.is_empty()).then(|| json!(extras));
    (Some(items), extra)
}

fn line(value: &Value, unknown: &mut UnknownFields) -> Option<(Item, Map<String, Value>)> {
    let members = value.as_object()?;
    unknown.note("/data/*/items/*", members.keys().map(String::as_str), KNOWN);
    // Absent is nothing; present and no number makes the line unusable.
    let amount = |name: &str| present(members.get(name)).map(Amount::from_json).transpose().ok();
    let product_id = short(members.get("product_id"));
    let is_card = product_id.as_deref() == Some(GIFT_CARD) || members.get("gift_card").is_some_and(|v| !v.is_null());
    let code = text(members.get("product_code"));
    let item = Item {
        line_id: None,
        product_id: product_id.filter(|id| id != MANUAL_ITEM && id != GIFT_CARD),
        sku: if is_card { code.as_deref().map(masked) } else { short(members.get("product_code")) },
        name: if is_card { name_without_number(members) } else { text(members.get("product_name")) },
        quantity: amount("quantity")??,
        unit_price: amount("unit_price")?,
        list_price: amount("real_unit_price")?,
        net_unit_price: amount("net_unit_price")?,
        discount: amount("item_discount")?,
        taxes: taxes(members)?,
        line_total: Some(amount("subtotal")??),
        modifiers: Vec::new(),
    };
    Some((item, extra(members)))
}

/// The end of a card's number.
fn masked(number: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    // A number too short to be a card's would stand there whole.
    let kept = if chars.len() > CARD_CHARS_KEPT { &chars[chars.len() - CARD_CHARS_KEPT..] } else { &[] };
    std::iter::once('…').chain(kept.iter().copied().filter(|c| !c.is_control())).collect()
}

/// A card's name, unless a number stands in it.
fn name_without_number(members: &Map<String, Value>) -> Option<String> {
    let digits = |name: &String| name.chars().filter(char::is_ascii_digit).count();
    text(members.get("product_name")).filter(|name| digits(name) <= CARD_CHARS_KEPT)
}

/// The split of the line's tax where the source gives one, else the tax as a whole.
fn taxes(members: &Map<String, Value>) -> Option<Vec<Tax>> {
    if let Some(Value::Array(details)) = members.get("item_tax_details")
        && !details.is_empty()
    {
        let detail = |value: &Value| {
            let tax = value.as_object()?;
            let amount = Amount::from_json(tax.get("item_tax")?).ok()?;
            Some(Tax { name: short(tax.get("tax_name")), rate_percent: rate(tax.get("tax_rate")), amount })
        };
        return details.iter().map(detail).collect();
    }
    let Some(amount) = present(members.get("item_tax")).map(Amount::from_json).transpose().ok()? else {
        return Some(Vec::new());
    };
    Some(vec![Tax { name: None, rate_percent: rate(members.get("tax")), amount }])
}

/// `7.0000%`, or the same without its sign.
fn rate(value: Option<&Value>) -> Option<Amount> {
    Amount::parse(text(value)?.trim().trim_end_matches('%')).ok()
}

/// What has no place in a line: the price before the order's discount, with up to 15 decimals, the discount as it was
/// entered, and what a bundle saves. Nothing that is zero.
fn extra(members: &Map<String, Value>) -> Map<String, Value> {
    let said = |name: &'static str| {
        let shown = match Amount::from_json(present(members.get(name))?) {
            Ok(amount) if amount == Amount::ZERO => return None,
            Ok(amount) => amount.to_string(),
            Err(_) => short(members.get(name))?,
        };
        Some((name.to_owned(), Value::String(shown)))
    };
    ["nup_before_order_discount", "discount", "bundle_discount", "free_items_qty"]
        .into_iter()
        .filter_map(said)
        .collect()
}
