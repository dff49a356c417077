//! Orders as JSON.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};

use super::life::Order;
use crate::{demo::shop::Line, zone::Zone};

/// A key of the server's for something of the shop's: a UUID that is the same each time.
#[must_use]
pub fn uuid(name: &str) -> String {
    let half =
        |seed: u64| name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let (high, low) = (half(0xCBF2_9CE4_8422_2325), half(0x8422_2325_CBF2_9CE4).rotate_left(29));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFF,
        low >> 48 & 0x3FFF | 0x8000,
        low & 0xFFFF_FFFF_FFFF
    )
}

/// As Go writes it: the process's zone, microseconds without zeros at their end.
pub(super) fn written(at: DateTime<Utc>, zone: &Zone) -> String {
    let local = zone.local(at);
    let micros = format!("{:06}", local.timestamp_subsec_micros());
    let fraction = micros.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    let offset = local.format("%:z").to_string();
    let offset = if offset == "+00:00" { "Z" } else { &offset };
    format!("{}{dot}{fraction}{offset}", local.format("%Y-%m-%dT%H:%M:%S"))
}

/// A row of `GET /orders`.
pub(super) fn row(order: &Order, zone: &Zone) -> Value {
    let id = uuid(&order.sale_id);
    let mut row = json!({
        "id": id,
        "user_id": uuid("cashier"),
        "type": "takeaway",
        "status": order.status,
        "net_total": whole(order.sale.total),
        "created_at": written(order.sale.at, zone),
        "queue_number": format!("#{}", &id[..4]),
        "is_paid": order.is_paid(),
    });
    if !order.sale.lines.is_empty() {
        row["items"] = items(order);
    }
    row
}

/// The `data` of `GET /orders/{id}`.
pub(super) fn detail(order: &Order, method: Option<u64>, zone: &Zone) -> Value {
    let gross: Decimal = order.sale.lines.iter().map(subtotal).sum();
    let difference = order.sale.total - gross;
    let (discount, tax) =
        if difference.is_sign_negative() { (-difference, Decimal::ZERO) } else { (Decimal::ZERO, difference) };
    let mut detail = json!({
        "id": uuid(&order.sale_id),
        "user_id": uuid("cashier"),
        "type": "takeaway",
        "status": order.status,
        "gross_total": whole(gross),
        "discount_amount": whole(discount),
        "net_total": whole(order.sale.total),
        "tax_amount": whole(tax),
        "service_charge_amount": 0,
        "created_at": written(order.sale.at, zone),
        "updated_at": written(order.updated_at, zone),
        "version": order.version,
        "items": if order.sale.lines.is_empty() { Value::Null } else { items(order) },
    });
    let members = detail.as_object_mut().unwrap_or_else(|| unreachable!("written above"));
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    if let Some(method) = method {
        add("payment_method_id", method.into());
        add("cash_received", whole(order.sale.total));
        add("change_due", 0.into());
    }
    if order.has_gateway_reference {
        add("payment_gateway_reference", uuid(&format!("gateway {}", order.sale_id)).into());
    }
    detail
}

fn items(order: &Order) -> Value {
    let item = |(n, line): (usize, &Line)| {
        let whole_quantity = line.quantity.fract().is_zero();
        // A quantity is a whole number here: what is weighed is one piece at the price of all of it.
        let (quantity, price) =
            if whole_quantity { (line.quantity, line.unit_price.trunc()) } else { (Decimal::ONE, subtotal(line)) };
        json!({
            "id": uuid(&format!("{}/{n}", order.sale_id)),
            "product_id": uuid(&line.name),
            "product_name": line.name,
            "quantity": whole(quantity),
            "price_at_sale": whole(price),
            "subtotal": whole(subtotal(line)),
        })
    };
    order.sale.lines.iter().enumerate().map(item).collect::<Vec<_>>().into()
}

fn subtotal(line: &Line) -> Decimal {
    if line.quantity.fract().is_zero() {
        line.quantity * line.unit_price.trunc()
    } else {
        (line.quantity * line.unit_price).trunc()
    }
}

/// A JSON number of exactly this text, never through a float.
fn whole(amount: Decimal) -> Value {
    let text = amount.normalize().to_string();
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

/// `{"message": …, "data": …}`.
pub(super) fn envelope(message: &str, data: Value) -> Value {
    let mut body = Map::new();
    body.insert("message".to_owned(), message.into());
    body.insert("data".to_owned(), data);
    Value::Object(body)
}
