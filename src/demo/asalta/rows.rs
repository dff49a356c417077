//! What the server knows of the shop's sales, and how it writes that.

use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::{Options, Payments};
use crate::{
    demo::shop::{Kind, Ledger, Line, Sale},
    zone::Zone,
};

/// Tax that every price contains, in hundredths.
const TAX: u32 = 7;

/// The server's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Invoices,
    ReturnInvoices,
    Orders,
    ReturnOrders,
}

/// One record.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub list: List,
    pub number: u64,
    pub sale: &'a Sale,
    /// Since when the list has it.
    pub known_at: DateTime<Utc>,
    pub is_void: bool,
    /// The number of the invoice that a return is of.
    pub of: Option<u64>,
}

impl List {
    pub fn of_path(name: &str) -> Option<Self> {
        match name {
            "invoices" => Some(Self::Invoices),
            "return_invoices" => Some(Self::ReturnInvoices),
            "orders" => Some(Self::Orders),
            "return_orders" => Some(Self::ReturnOrders),
            _ => None,
        }
    }

    pub fn resource(self) -> &'static str {
        match self {
            Self::Invoices => "invoice",
            Self::ReturnInvoices => "return_invoice",
            Self::Orders => "order",
            Self::ReturnOrders => "return_order",
        }
    }

    /// The numbers of different lists overlap.
    pub fn first_number(self) -> u64 {
        match self {
            Self::Invoices => 2_001,
            Self::ReturnInvoices => 2_003,
            Self::Orders => 2_002,
            Self::ReturnOrders => 2_004,
        }
    }
}

/// What is known by now. An order that is sold becomes a second record; a sale that is called off stays an invoice.
pub(super) fn seen(ledger: &Ledger, now: DateTime<Utc>) -> Vec<Facts<'_>> {
    let mut found = Vec::new();
    for shown in ledger.shown(now) {
        let states: Vec<_> = shown.states().collect();
        let first = |kind: Kind| states.iter().find(|(_, sale)| sale.kind == kind).map(|(at, _)| *at);
        let fact = |list, sale, known_at, is_void| Facts { list, number: 0, sale, known_at, is_void, of: None };
        let is_void = shown.sale.kind == Kind::Void;
        if shown.sale.kind == Kind::Refund {
            found.push(fact(List::ReturnInvoices, shown.sale, shown.first_known_at, false));
            continue;
        }
        let sold_at = first(Kind::Sale);
        if let Some(sold_at) = sold_at {
            found.push(fact(List::Invoices, shown.sale, sold_at, is_void));
        }
        if first(Kind::Order).is_some() || sold_at.is_none() {
            let last = states.iter().rev().find(|(_, sale)| matches!(sale.kind, Kind::Order | Kind::Void));
            let (_, order) = last.copied().unwrap_or((now, shown.sale));
            let is_void = is_void && sold_at.is_none();
            found.push(fact(List::Orders, order, shown.first_known_at, is_void));
        }
    }
    found
}

/// The shop's rupiah as dollars.
pub(super) fn dollars(rupiah: Decimal) -> Decimal {
    rupiah / Decimal::ONE_HUNDRED
}

fn four(amount: Decimal) -> String {
    format!("{:.4}", amount.round_dp_with_strategy(4, RoundingStrategy::MidpointAwayFromZero))
}

fn two(amount: Decimal) -> String {
    format!("{:.2}", amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
}

fn time(at: DateTime<Utc>, zone: &Zone) -> String {
    zone.local(at).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Numbers of slips run by their own order, and come round again.
fn reference(fact: &Facts<'_>, zone: &Zone) -> String {
    let name = match fact.list {
        List::Invoices => "SALE/POS",
        List::ReturnInvoices => "RETURNSL",
        List::Orders => "ORDER/POS",
        List::ReturnOrders => "RETURNORDER",
    };
    let month = zone.local(fact.sale.at).format("%Y/%m");
    format!("{name}/{month}/{:04}", fact.number * 37 % 4_000)
}

/// What a slip comes to. What its lines do not explain is a discount, or a tax, on the whole.
struct Sums {
    lines: Decimal,
    discount: Decimal,
    line_tax: Decimal,
    order_tax: Decimal,
    total: Decimal,
    paid: Decimal,
}

impl Sums {
    fn of(fact: &Facts<'_>) -> Self {
        let sale = &fact.sale;
        let lines: Decimal = sale.lines.iter().map(subtotal).sum();
        let total = dollars(sale.total);
        let discount = (lines - total).max(Decimal::ZERO);
        let order_tax = (total - lines).max(Decimal::ZERO);
        let line_tax = sale.lines.iter().map(tax).sum();
        let paid = match fact.list {
            _ if fact.is_void => Decimal::ZERO,
            List::Orders | List::ReturnOrders => Decimal::ZERO,
            _ => sale.paid.map_or(total, dollars),
        };
        Self { lines, discount, line_tax, order_tax, total, paid }
    }

    fn payment_status(&self) -> &'static str {
        match self.paid {
            paid if paid >= self.total => "paid",
            paid if paid.is_zero() => "due",
            _ => "partial",
        }
    }
}

fn subtotal(line: &Line) -> Decimal {
    let whole = line.quantity * dollars(line.unit_price);
    whole.round_dp_with_strategy(4, RoundingStrategy::MidpointAwayFromZero)
}

fn tax(line: &Line) -> Decimal {
    let tax = subtotal(line) * Decimal::from(TAX) / Decimal::from(100 + TAX);
    tax.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

fn return_id(fact: &Facts<'_>, all: &[Facts<'_>]) -> Option<String> {
    let own = all.iter().filter(|other| other.list == List::ReturnInvoices && other.of == Some(fact.number));
    own.map(|other| other.number).max().filter(|_| fact.list == List::Invoices).map(|number| number.to_string())
}

/// One element of a list, or the answer to `?id=`.
pub(super) fn row(fact: &Facts<'_>, all: &[Facts<'_>], options: &Options) -> Value {
    let Facts { list, number, sale, .. } = fact;
    let sums = Sums::of(fact);
    let is_return = matches!(list, List::ReturnInvoices | List::ReturnOrders);
    let warehouse = options.warehouses.first().map_or("Toko", String::as_str);
    let mut row = json!({
        "id": number.to_string(),
        "date": time(sale.at, &options.zone),
        "reference_no": reference(fact, &options.zone),
        "customer_id": "1",
        "customer": "Siti Aminah",
        "biller_id": "35",
        "biller": "Kasir Budi",
        "warehouse": {"id": "21", "code": "W1", "name": warehouse, "map": null, "warehouse_type": "Warehouse",
            "address": "Jl. Kemang Raya No. 5\nJakarta Selatan", "phone": "0812-3456", "email": "", "status": "active"},
        "note": "untuk Ibu Siti",
        "total": four(sums.lines - sums.discount),
        "product_discount": "0.0000",
        "order_discount_id": if is_return { json!("null") } else { json!(null) },
        "total_discount": four(sums.discount),
        "order_discount": if sums.discount.is_zero() && is_return { json!(null) } else { json!(four(sums.discount)) },
        "product_tax": four(sums.line_tax),
        "order_tax_id": "5",
        "order_tax": four(sums.order_tax),
        "total_tax": four(sums.line_tax + sums.order_tax),
        "exchange": "0.0000",
        "grand_total": four(sums.total),
        "surcharge": "0.0000",
        "attachment": null,
        "items": sale.lines.iter().map(|line| item(line, is_return)).collect::<Vec<_>>(),
    });
    if !is_return {
        let status = match list {
            _ if fact.is_void => "void",
            List::Orders => "new",
            _ => "completed",
        };
        row["staff_note"] = json!("");
        row["shipping"] = json!("0.0000");
        row["sale_status"] = json!(status);
        row["payment_status"] = json!(if fact.is_void { "due" } else { sums.payment_status() });
        row["payment_term"] = json!("0");
        row["due_date"] = json!(null);
        row["total_items"] = json!(sale.lines.len().to_string());
        row["pos"] = json!("1");
        row["paid"] = json!(four(sums.paid));
        row["return_id"] = json!(return_id(fact, all));
        row["gst"] = row["total_tax"].clone();
    }
    if *list == List::Invoices {
        row["consignment_sale"] = json!("0");
        row["email_ids"] = json!("siti@example.com");
        row["billing_address"] = json!("Jl. Melati 7");
    }
    if matches!(list, List::Invoices | List::ReturnInvoices) {
        let mut payments = payments(fact, &options.zone);
        let as_object = match options.payments {
            Payments::List => false,
            Payments::Object => true,
            Payments::Mixed => number % 2 == 0,
        };
        match payments.len() {
            0 if options.payments == Payments::Mixed && number % 3 == 0 => {}
            1 if as_object => row["payments"] = payments.remove(0),
            _ => row["payments"] = json!(payments),
        }
    }
    row
}

fn item(line: &Line, is_return: bool) -> Value {
    let (price, tax) = (dollars(line.unit_price), tax(line));
    let net = (subtotal(line) - tax) / line.quantity.max(Decimal::new(1, 3));
    let mut item = json!({
        "product_id": "11",
        "product_code": "P11",
        "product_name": line.name,
        "product_type": "standard",
        "option_id": "0",
        "net_unit_price": four(net),
        "nup_before_order_discount": format!("{:.15}", net),
        "quantity": four(line.quantity),
        "warehouse_id": "21",
        "item_tax": four(tax),
        "tax_rate_id": "3",
        "tax": format!("{TAX}.0000%"),
        "discount": "0",
        "item_discount": "0.0000",
        "bundle_discount": "0.0000",
        "subtotal": four(subtotal(line)),
        "serial_no": "",
        "real_unit_price": four(price),
        "free_items_qty": "0",
        "promo_id": "0",
        "promo_title": "",
    });
    if !is_return {
        item["unit_price"] = json!(four(price));
    }
    item
}

/// A record's payments: one, or none. Card data among them, which nobody may keep.
pub(super) fn payments(fact: &Facts<'_>, zone: &Zone) -> Vec<Value> {
    let sums = Sums::of(fact);
    if sums.paid.is_zero() {
        return Vec::new();
    }
    let word = if fact.list == List::ReturnInvoices { "returned" } else { "received" };
    vec![json!({
        "id": (fact.number + 1_000).to_string(),
        "date": time(fact.sale.at, zone),
        "purchase_id": null,
        "reference_no": format!("IPAY/2026/03/{:04}", fact.number % 90),
        "transaction_id": null,
        "paid_by": fact.sale.tender.as_deref().unwrap_or("Cash"),
        "cheque_no": "",
        "cc_no": "4111111111111111",
        "cc_holder": "SITI AMINAH",
        "cc_month": "12",
        "cc_year": "2029",
        "cc_type": "Visa",
        "amount": four(sums.paid),
        "extra_charges": "0.0000",
        "currency": null,
        "attachment": null,
        "type": word,
        "note": "",
    })]
}

/// One row of the report: the same sale in other words.
pub(super) fn report_row(fact: &Facts<'_>, all: &[Facts<'_>], options: &Options) -> Value {
    let sums = Sums::of(fact);
    let tax = sums.line_tax + sums.order_tax;
    let mut row = json!({
        "sale_date": time(fact.sale.at, &options.zone),
        "customer_type": "Walk-in Customer",
        "customer_name": "Siti Aminah",
        "reference_no": reference(fact, &options.zone),
        "biller_id": "35",
        "discount": two(sums.discount),
        "tax": two(tax),
        "shipping_charge": "0.00",
        "biller": "Kasir Budi",
        "total": two(sums.total - tax),
        "grand_total": two(sums.total),
        "status": if fact.is_void { "void" } else { "completed" },
        "payment_status": if fact.is_void { "due" } else { sums.payment_status() },
        "terms": "0",
        "due_date": null,
        "total_items": fact.sale.lines.len().to_string(),
        "paid": two(sums.paid),
        "return_id": return_id(fact, all),
        "surcharge": "0.00",
    });
    if !sums.paid.is_zero() {
        row["payment_details"] = json!([{
            "payment_type": fact.sale.tender.as_deref().unwrap_or("Cash"),
            "payment_ref_no": "IPAY/2026/03/0001",
            "paid_amonut": two(sums.paid),
            "paid_date": time(fact.sale.at, &options.zone),
        }]);
    }
    row
}
